"""/api/v1/web-integrations, to be read: whose pages may use cookies here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, paging
from bridge.sandbox.errors import ApiError
from bridge.sandbox.state import WebIntegration, iso
from bridge.sandbox.tenant import here

if TYPE_CHECKING:
    from collections.abc import Sequence

routes = Blueprint("web_integrations", __name__, url_prefix="/api/v1/web-integrations")

DEFAULT_LIMIT = 10
FORBIDDEN = 403


def shown(entry: WebIntegration) -> dict[str, Any]:
    created = iso(entry.created_at)
    names = {"id": entry.id, "name": entry.name, "tenantId": here().id, "createdBy": ""}
    return {**names, "validOrigins": list(entry.valid_origins), "created": created, "lastUpdated": created}


@routes.get("")
def get_integrations() -> Response:
    """Qlik: GET /web-integrations, after `startingAfter` or before `endingBefore`, both ids."""
    _need_admin()
    found = list(here().web_integrations) if _args("tenantId") in ("", here().id) else []
    _, down = paging.sort_order(["name"], "+name")
    found.sort(key=lambda entry: (entry.name.lower(), entry.id), reverse=down)
    return jsonify(_page(found))


def _page(found: Sequence[WebIntegration]) -> dict[str, Any]:
    limit, ids = paging.limit(DEFAULT_LIMIT), [entry.id for entry in found]
    after, before = _args("startingAfter"), _args("endingBefore")
    if (after and before) or any(named and named not in ids for named in (after, before)):
        raise body.bad_request("startingAfter or endingBefore must be the id of an entry", code="BAD_REQUEST")
    start = ids.index(after) + 1 if after else max(0, ids.index(before) - limit) if before else 0
    end = min(start + limit, ids.index(before) if before else len(ids))
    links = {"self": {"href": request.url}}
    if end < len(ids):
        links["next"] = _link(startingAfter=ids[end - 1])
    if start > 0:
        links["prev"] = _link(endingBefore=ids[start])
    return {"data": [shown(entry) for entry in found[start:end]], "links": links}


def _link(**cursor: str) -> dict[str, str]:
    kept = {name: value for name, value in request.args.items() if name not in ("startingAfter", "endingBefore")}
    return {"href": f"{auth.own_origin()}{request.path}?{urlencode({**kept, **cursor})}"}


def _args(name: str) -> str:
    return request.args.get(name, "").strip()


@routes.get("/<integration_id>")
def get_integration(integration_id: str) -> Response:
    """Qlik: GET /web-integrations/{id}."""
    _need_admin()
    found = next((entry for entry in here().web_integrations if entry.id == integration_id), None)
    if found is None:
        raise ApiError(404, "WEBINTEGRATIONS_NOT_FOUND", "Not found")
    return jsonify(shown(found))


def _need_admin() -> None:
    """Refuse in this area's own code."""
    try:
        auth.admin()
    except ApiError as refusal:
        if refusal.status != FORBIDDEN:
            raise
        raise ApiError(FORBIDDEN, "WEBINTEGRATIONS_FORBIDDEN", "Forbidden") from None
