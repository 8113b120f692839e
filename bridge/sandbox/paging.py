"""Pages of a list: `limit`, opaque cursors, absolute links."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from flask import request

from bridge.sandbox import auth, body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Entry = TypeVar("Entry")
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
LIMITS = {str(number) for number in range(1, MAX_LIMIT + 1)}


def page(entries: Sequence[Entry], show: Callable[[Entry], dict[str, Any]], cursor: str = "next") -> dict[str, Any]:
    """Return one page: `data` and absolute `links`, as clients follow `links.next.href` as it stands."""
    size, start = limit(), _start(cursor)
    shown: dict[str, Any] = {
        "data": [show(entry) for entry in entries[start : start + size]],
        "links": {"self": {"href": _link({})}},
    }
    if start + size < len(entries):
        shown["links"]["next"] = {"href": _link({cursor: _encode(start + size)})}
    if start > 0:
        previous = "prev" if cursor == "next" else cursor
        shown["links"]["prev"] = {"href": _link({previous: _encode(max(0, start - size))})}
    if request.args.get("totalResults", "").strip().lower() == "true":
        shown["totalResults"] = len(entries)
    return shown


def sort_order(allowed: Iterable[str], default: str) -> tuple[str, bool]:
    """Return the field to sort by and whether it goes down. `+` arrives as a blank when not encoded."""
    wanted = request.args.get("sort", "").strip() or default
    name = wanted.lstrip("+-").strip()
    if name not in allowed:
        raise body.bad_request(f"Cannot sort by {name}")
    return name, wanted.startswith("-")


def wanted_fields() -> list[str]:
    return [name.strip() for name in request.args.get("fields", "").split(",") if name.strip()]


def limit(default: int = DEFAULT_LIMIT) -> int:
    """Return how many entries a page has at most."""
    given = request.args.get("limit", "").strip() or str(default)
    if given not in LIMITS:
        raise body.bad_request(f"limit must be 1 to {MAX_LIMIT}")
    return int(given)


def _start(cursor: str) -> int:
    names = [name for name in dict.fromkeys((cursor, "next", "prev")) if request.args.get(name, "").strip()]
    if len(names) > 1:
        raise body.bad_request("next and prev exclude each other")
    return _decode(request.args[names[0]].strip()) if names else 0


def _link(cursor: dict[str, str]) -> str:
    kept = {name: value for name, value in request.args.items() if name not in ("next", "prev", "page") or not cursor}
    query = urlencode({**kept, **cursor})
    return f"{auth.own_origin()}{request.path}{'?' + query if query else ''}"


def _encode(start: int) -> str:
    return base64.urlsafe_b64encode(f"from:{start}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> int:
    try:
        word, _, number = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
        if word == "from" and number.isascii() and number.isdigit():
            return int(number)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise body.bad_request("The cursor is not one of this list")
