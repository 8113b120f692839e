"""Texts of ours on pages: what stands between backticks is code, and what an event of the audit changed."""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from bridge.trail import differences

LONGEST = 160
"""How many characters of a value a table shows; files hold all of it."""
CODE = re.compile(r"`([^`]+)`")


def marked(text: str) -> Markup:
    """Return *text* for a page, escaped, with its backticks as `<code>`."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just before


def changes(event: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return each field that an event changed: its name, before and after."""
    return list(differences(event, LONGEST))
