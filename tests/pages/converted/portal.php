<?php
require 'session.php';
$frame = '<iframe src="/single/?appid=app-1&obj=bar"></iframe>';
?>
<html>
<head><title><?= htmlspecialchars($title) ?></title></head>
<body>
<?php foreach ($charts as $chart): ?>
  <span style="display:inline-block;width:<?= $w > 5 ? $w : 5 ?>px;height:300px">
    <qlik-embed ui="classic/chart" app-id="<?= $chart->app ?>" object-id="<?php echo $chart['obj']; ?>"></qlik-embed>
  </span>
<?php endforeach ?>
  <span style="display:inline-block;width:400px;height:300px">
    <qlik-embed ui="classic/chart" app-id="app-1" object-id="<?= urlencode($obj) ?>"></qlik-embed>
  </span>
  <iframe src="<?= QLIK ?>/single/?appid=app-1&obj=bar<?php if ($bar) { ?>&opt=currsel<?php } ?>" height="300"></iframe>
<?php if ($old) echo '<iframe src="/single/?appid=app-1&obj=old"></iframe>';
