"""Where a request came from, by its own word."""

from flask import request

from bridge.services.stragglers import agent_family
from bridge.texts import origin_of
from bridge.trail import Whence


def whence() -> Whence:
    """Return the page's origin, never its path or query, and the family of browsers.

    Browsers send no `Origin` with a GET to the page's own site; its `Referer` then tells.
    """
    headers = request.headers
    origin = origin_of(headers.get("Origin", "")) or origin_of(headers.get("Referer", ""))
    return Whence(origin, agent_family(headers.get("User-Agent", "")))
