"""Sentences of ours on pages: what stands between backticks is code."""

import re

from markupsafe import Markup, escape

CODE = re.compile(r"`([^`]+)`")


def marked(text: str) -> Markup:
    """Return *text* for a page, escaped, with its backticks as `<code>`."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just before
