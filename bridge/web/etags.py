"""One tenant, two operators: what was read is named by an ETag, and a change says which one it was made for."""

from flask import Response, jsonify, request

from bridge.errors import Conflict, NeedsIfMatch
from bridge.model import TenantState
from bridge.web import current


def etag_of(state: TenantState) -> str:
    """Return the version of a tenant and its rollout."""
    return f"{state.revision}.{state.rollout.revision}"


def tagged(document: object, state: TenantState) -> Response:
    """Return a JSON answer that names the version it shows."""
    answer = jsonify(document)
    answer.set_etag(etag_of(state))
    return answer


def expected(slug: str) -> int | None:
    """Return the revision of the rollout that the request was made for; None for one that names no version.

    Raises Conflict when that is not how the tenant stands, UnknownTenant, StoreError.
    """
    if request.headers.get("If-Match") is None:
        return None
    state = current.bridge().tenants.get(slug, fresh=True)
    _check(state)
    return state.rollout.revision


def require(state: TenantState | None) -> int:
    """Return the revision that a change was made for; 0 for a tenant that is not there yet.

    Raises NeedsIfMatch when the request does not say which version it replaces, Conflict when that is not the one.
    """
    if state is None:
        if request.headers.get("If-Match") is not None:
            raise Conflict
        return 0
    if request.headers.get("If-None-Match", "").strip() == "*":
        raise Conflict("There is such a tenant already. Read it, then change it with `If-Match`.")
    if request.headers.get("If-Match") is None:
        raise NeedsIfMatch
    _check(state)
    return state.revision


def _check(state: TenantState) -> None:
    if not request.if_match.contains(etag_of(state)):
        raise Conflict
