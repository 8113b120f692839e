<?php
require 'session.php';
$frame = '<iframe src="/single/?appid=app-1&obj=bar"></iframe>';
?>
<html>
<head><title><?= htmlspecialchars($title) ?></title></head>
<body>
<?php foreach ($charts as $chart): ?>
  <iframe src="<?= QLIK ?>/single/?appid=<?= $chart->app ?>&obj=<?php echo $chart['obj']; ?>" width="<?= $w > 5 ? $w : 5 ?>" height="300"></iframe>
<?php endforeach ?>
  <iframe src="<?= QLIK ?>/single/?appid=app-1&obj=<?= urlencode($obj) ?>" height="300" width="400"></iframe>
  <iframe src="<?= QLIK ?>/single/?appid=app-1&obj=bar<?php if ($bar) { ?>&opt=currsel<?php } ?>" height="300"></iframe>
<?php if ($old) echo '<iframe src="/single/?appid=app-1&obj=old"></iframe>';
