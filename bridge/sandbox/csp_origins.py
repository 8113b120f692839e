"""/api/v1/csp-origins: the sites that may show the tenant's pages in frames, and what else pages here may load."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, errors, paging
from bridge.sandbox.errors import ApiError
from bridge.sandbox.state import CspOrigin, hex_id, iso
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

routes = Blueprint("csp_origins", __name__, url_prefix="/api/v1/csp-origins")

HEADER = "Content-Security-Policy"
FRAME_ANCESTORS = "frameAncestors"
DIRECTIVES = {
    "childSrc": "child-src",
    "connectSrc": "connect-src",
    "connectSrcWSS": "connect-src",
    "fontSrc": "font-src",
    "formAction": "form-action",
    FRAME_ANCESTORS: "frame-ancestors",
    "frameSrc": "frame-src",
    "imgSrc": "img-src",
    "mediaSrc": "media-src",
    "objectSrc": "object-src",
    "scriptSrc": "script-src",
    "styleSrc": "style-src",
    "workerSrc": "worker-src",
}
WEBSOCKETS = "connectSrcWSS"
# Anything else could end the directive and begin another, or another header.
ORIGIN = re.compile(r"(https?://)?(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:(\d{1,5}|\*))?")
LIMITS = {"name": 512, "description": 1024}
SORTED_BY = {"name": "name", "origin": "origin", "createdDate": "created_at", "modifiedDate": "modified_at"}
BOOLEANS = {"true": True, "false": False}


def sources(tenant: Tenant, flag: str) -> list[str]:
    origins = [entry.origin for entry in tenant.memory.csp_origins.values() if flag in entry.directives]
    if flag == WEBSOCKETS:
        origins = [f"wss://{origin.rpartition('://')[2]}" for origin in origins]
    return list(dict.fromkeys(origins))


def frame_ancestors(tenant: Tenant) -> str:
    """Return the policy of the pages that others may frame."""
    return " ".join([DIRECTIVES[FRAME_ANCESTORS], "'self'", *sources(tenant, FRAME_ANCESTORS)])


def header(tenant: Tenant) -> str:
    """Return the whole policy: `frame-ancestors`, and each other directive that an entry names."""
    found: dict[str, list[str]] = {DIRECTIVES[FRAME_ANCESTORS]: ["'self'"]}
    for flag, directive in DIRECTIVES.items():
        if listed := sources(tenant, flag):
            found.setdefault(directive, ["'self'"]).extend(listed)
    return "; ".join(" ".join([directive, *listed]) for directive, listed in found.items())


def shown(entry: CspOrigin) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "description": entry.description,
        "origin": entry.origin,
        **{flag: flag in entry.directives for flag in DIRECTIVES},
        "createdDate": iso(entry.created_at),
        "modifiedDate": iso(entry.modified_at),
    }


@routes.get("")
def get_origins() -> Response:
    """Qlik: GET /csp-origins. By `name`, `origin` and one boolean for each directive; sorted by `sort`."""
    auth.admin()
    name, down = paging.sort_order(SORTED_BY, "name")
    found = [entry for entry in here().memory.csp_origins.values() if _is_wanted(entry)]
    found.sort(key=lambda entry: getattr(entry, SORTED_BY[name]), reverse=down)
    return jsonify(paging.page(found, shown))


def _is_wanted(entry: CspOrigin) -> bool:
    asked = {name: value.strip() for name, value in request.args.items()}
    for flag in DIRECTIVES.keys() & asked.keys():
        if asked[flag] not in BOOLEANS:
            raise body.bad_request(f"{flag} must be true or false")
        if BOOLEANS[asked[flag]] != (flag in entry.directives):
            return False
    return all(asked.get(name) in (None, "", getattr(entry, name)) for name in ("name", "origin"))


@routes.post("")
def post_origin() -> tuple[Response, int]:
    """Qlik: POST /csp-origins. 201."""
    auth.admin()
    now = here().now()
    entry = CspOrigin(hex_id(), "", "", "", frozenset(), now, now)
    _fill(entry)
    here().memory.csp_origins[entry.id] = entry
    return jsonify(shown(entry)), 201


@routes.get("/<entry_id>")
def get_origin(entry_id: str) -> Response:
    """Qlik: GET /csp-origins/{id}."""
    return jsonify(shown(_found(entry_id)))


@routes.put("/<entry_id>")
def put_origin(entry_id: str) -> Response:
    """Qlik: PUT /csp-origins/{id}: the whole entry anew; what the body leaves out is off."""
    entry = _found(entry_id)
    _fill(entry)
    entry.modified_at = here().now()
    return jsonify(shown(entry))


@routes.delete("/<entry_id>")
def delete_origin(entry_id: str) -> Response:
    """Qlik: DELETE /csp-origins/{id}. 204."""
    del here().memory.csp_origins[_found(entry_id).id]
    return Response(status=204)


@routes.get("/actions/generate-header")
def get_header() -> AnyResponse:
    """Qlik: GET /csp-origins/actions/generate-header, as JSON or as text; 406 for anything else."""
    auth.signed_in()
    kind = request.accept_mimetypes.best_match(["application/json", "text/plain"])
    if request.accept_mimetypes and kind is None:
        raise ApiError(406, "HTTP-406", "Not Acceptable", "Accept must be application/json or text/plain")
    policy = header(here())
    return Response(policy, mimetype="text/plain") if kind == "text/plain" else jsonify({HEADER: policy})


def _fill(entry: CspOrigin) -> None:
    given = body.fields()
    origin = body.text(given, "origin", required=True)
    if not ORIGIN.fullmatch(origin):
        raise body.bad_request("origin must be like domain.com, *.domain.com or https://domain.com:8443")
    if any(not isinstance(given.get(flag, False), bool) for flag in DIRECTIVES):
        raise body.bad_request(f"{', '.join(DIRECTIVES)} must be true or false")
    texts = {name: body.text(given, name, longest=longest) for name, longest in LIMITS.items() if given.get(name) != ""}
    entry.name, entry.description = texts.get("name", ""), texts.get("description", "")
    entry.origin = origin
    entry.directives = frozenset(flag for flag in DIRECTIVES if given.get(flag))


def _found(entry_id: str) -> CspOrigin:
    auth.admin()
    entry = here().memory.csp_origins.get(entry_id)
    if entry is None:
        raise errors.not_found("CSP-404")
    return entry
