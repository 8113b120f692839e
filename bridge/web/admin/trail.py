"""The audit as a page, and as a file to take away."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from pydantic import ValidationError

from bridge.errors import BadRequest
from bridge.trail import AuditFilter
from bridge.web import current
from bridge.web.admin.frame import page
from bridge.web.admin.home import own_tenants
from bridge.web.api.audit import audited
from bridge.web.api.shapes import AuditQuery
from bridge.web.bodies import refusal
from bridge.web.operator import Operator, operator

SHOWN = 50
PAGING = {"before", "limit"}
SEARCHED = AuditQuery.model_fields.keys() - PAGING
COLUMNS = ("id", "at", "actor", "action", "tenant", "reason", "before", "after", "request_id")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would work such a cell out instead of showing it."""


def install(blueprint: Blueprint) -> None:
    blueprint.get("/audit")(get_audit)
    blueprint.get("/audit.csv")(get_csv)
    blueprint.get("/audit.json")(get_json)


def get_audit() -> ResponseReturnValue:
    who = operator()
    query, problem = _query(who)
    found = current.bridge().audit.page(_narrowed(who, query), before=query.before, limit=SHOWN + 1)
    shown = found[:SHOWN]
    asked = {name: value for name, value in request.args.items() if value and name in SEARCHED}
    own = who.tenants()
    if own is not None:  # they see one tenant at a time, and the page says which
        asked.setdefault("tenant", min(own))
    return page(
        "console_audit.html",
        who,
        events=[entry.document() for entry in shown],
        following=shown[-1].id if len(found) > len(shown) else None,
        asked=asked,
        tenants=own_tenants(who),
        may_see_all=own is None,
        problem=problem,
    )


def get_csv() -> Response:
    who = operator()
    entries = _documents(_exported(who))
    return _file(_csv(entries), "text/csv", "audit.csv")


def get_json() -> Response:
    """Send JSON lines: one event a line, the oldest first."""
    who = operator()
    lines = (json.dumps(each) + "\n" for each in _documents(_exported(who)))
    return _file(lines, "application/jsonl", "audit.jsonl")


def _query(who: Operator) -> tuple[AuditQuery, str]:
    """Return what the address asks for, and what is wrong with it: then it asks for nothing."""
    given = {name: value for name, value in request.args.items() if value}
    own = who.tenants()
    if own is not None and "tenant" not in given:
        given["tenant"] = min(own)
    try:
        return AuditQuery.model_validate(given), ""
    except ValidationError as error:
        mistakes = [f"{where}: {what}" for where, what in refusal(error).mistakes]
        # As it was written: who may not see that tenant is refused, and nobody gets more than they asked for.
        return AuditQuery.model_construct(
            tenant=given.get("tenant")
        ), f"This cannot be searched for: {'; '.join(mistakes)}."


def _exported(who: Operator) -> AuditFilter:
    """Return what a file shall hold. Raises BadRequest: a file with other events than asked for would mislead."""
    query, problem = _query(who)
    if problem:
        raise BadRequest(problem)
    if query.model_fields_set & PAGING:
        raise BadRequest("A file holds every event that is searched for: leave out `before` and `limit`.")
    return _narrowed(who, query)


def _narrowed(who: Operator, query: AuditQuery) -> AuditFilter:
    return query.narrowed(audited(who, query.tenant))


def _documents(asked: AuditFilter) -> Iterator[dict[str, Any]]:
    return (entry.document() for entry in current.bridge().audit.walk(asked))


def _csv(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield ",".join(COLUMNS) + "\r\n"
    for entry in entries:
        line = io.StringIO()
        csv.writer(line).writerow([_cell(entry[name]) for name in COLUMNS])
        yield line.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _file(lines: Iterator[str], kind: str, name: str) -> Response:
    return Response(lines, mimetype=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
