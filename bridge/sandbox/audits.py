"""/api/v1/audits: what happened in the tenant, newest first."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, errors, events, paging
from bridge.sandbox.state import Event, iso
from bridge.sandbox.tenant import here

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

routes = Blueprint("audits", __name__, url_prefix="/api/v1/audits")

SORTED_BY = {"eventTime": "time", "eventType": "type", "source": "source"}
EQUAL = {"eventType": "type", "source": "source", "userId": "user_id"}
RETENTION_S = 90 * 86400
"""Qlik: events are stored for 90 days, after that they are in an archive."""


def shown(event: Event) -> dict[str, Any]:
    """Return an event as Qlik lists it; the address it came from is among the `extensions`."""
    return {
        "id": event.id,
        "contentType": "application/json",
        "eventId": event.id,
        "eventTime": iso(event.time),
        "eventType": event.type,
        "eventTypeVersion": "1.0.0",
        "source": event.source,
        "tenantId": here().id,
        "userId": event.user_id,
        "data": event.data,
        "extensions": {"originip": event.origin_ip},
        "links": {"self": {"href": f"{auth.own_origin()}/api/v1/audits/{event.id}"}},
    }


@routes.get("")
def get_audits() -> Response:
    """Qlik: GET /audits, by eventTime (from/to), eventType, id, source and userId; one page.

    A cursor names the newest event of its first page, so that new events do not move the pages after it.
    """
    auth.admin()
    newest, start = _cursor()
    is_wanted = _wanted()
    found = [event for event in _kept() if event.number <= newest and is_wanted(event)]
    name, down = paging.sort_order(SORTED_BY, "-eventTime")
    found.sort(key=lambda event: (getattr(event, SORTED_BY[name]), event.number), reverse=down)
    return jsonify(_page(found, newest, start))


@routes.get("/types")
def get_types() -> Response:
    """Qlik: GET /audits/types."""
    auth.admin()
    return jsonify(data=list(events.TYPES), links={"self": {"href": request.url}})


@routes.get("/sources")
def get_sources() -> Response:
    """Qlik: GET /audits/sources."""
    auth.admin()
    return jsonify(data=[events.EDGE_AUTH], links={"self": {"href": request.url}})


@routes.get("/<event_id>")
def get_audit(event_id: str) -> Response:
    """Qlik: GET /audits/{id}."""
    auth.admin()
    event = next((event for event in _kept() if event.id == event_id), None)
    if event is None:
        raise errors.not_found("AUDITS-404")
    return jsonify(shown(event))


def _kept() -> list[Event]:
    oldest = here().now() - RETENTION_S
    return [event for event in here().memory.events if event.time >= oldest]


def _wanted() -> Callable[[Event], bool]:
    """Return what the query asks for; Qlik compares by case."""
    ids = {each.strip() for each in request.args.get("id", "").split(",") if each.strip()}
    asked = {attribute: request.args.get(name, "").strip() for name, attribute in EQUAL.items()}
    since, until = _interval()

    def is_wanted(event: Event) -> bool:
        equal = all(value in ("", getattr(event, attribute)) for attribute, value in asked.items())
        return equal and since <= event.time <= until and (not ids or event.id in ids)

    return is_wanted


def _interval() -> tuple[float, float]:
    """Return the bounds of `eventTime`, `2021-07-14T18:41:15.00Z/2021-07-14T18:41:15.99Z`."""
    text = request.args.get("eventTime", "").strip()
    if not text:
        return 0, float("inf")
    try:
        since, until = (dt.datetime.fromisoformat(part.strip()) for part in text.split("/"))
        return _unix(since), _unix(until)
    except (ValueError, OverflowError):
        raise body.bad_request("eventTime must be two times in ISO 8601 with a slash between them") from None


def _unix(moment: dt.datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _page(found: Sequence[Event], newest: int, start: int) -> dict[str, Any]:
    limit = paging.limit()
    links = {"self": _link({})}
    if start + limit < len(found):
        links["next"] = _link({"next": _encoded(newest, start + limit)})
    if start > 0:
        links["prev"] = _link({"prev": _encoded(newest, max(0, start - limit))})
    return {"data": [shown(event) for event in found[start : start + limit]], "links": links}


def _link(cursor: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in request.args.items() if name not in ("next", "prev") or not cursor}
    query = urlencode({**kept, **cursor})
    return {"href": f"{auth.own_origin()}{request.path}{'?' + query if query else ''}"}


def _cursor() -> tuple[int, int]:
    """Return the number of the newest event of this listing, and where its page starts."""
    given = [request.args[name].strip() for name in ("next", "prev") if request.args.get(name, "").strip()]
    if len(given) > 1:
        raise body.bad_request("next and prev exclude each other")
    if given:
        return _decoded(given[0])
    recorded = here().memory.events
    return (recorded[-1].number if recorded else 0), 0


def _encoded(newest: int, start: int) -> str:
    return base64.urlsafe_b64encode(f"{newest}:{start}".encode()).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[int, int]:
    try:
        newest, _, start = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
        if all(number.isascii() and number.isdigit() for number in (newest, start)):
            return int(newest), int(start)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise body.bad_request("The cursor is not one of this list")
