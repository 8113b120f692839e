"""Sentences of ours as pages show them."""

from bridge.web.marking import marked


def test_backticks_are_code() -> None:
    assert marked("Give it `a` and `b`.") == "Give it <code>a</code> and <code>b</code>."


def test_everything_else_is_escaped_also_inside() -> None:
    assert marked("<b> `<script>` & a lone ` stays") == "&lt;b&gt; <code>&lt;script&gt;</code> &amp; a lone ` stays"
