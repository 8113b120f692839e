"""Which version of a tenant the page of a form showed."""

from flask import request

REVISION = "revision"
MOST_DIGITS = 10


def seen_revision() -> int | None:
    """Return the version that the form names; one that makes no sense is as old as can be."""
    text = request.form.get(REVISION)
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < MOST_DIGITS else -1
