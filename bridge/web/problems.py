"""The one table: error class -> HTTP status; and how errors look from outside."""

import math
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import structlog
from flask import Flask, Response, jsonify, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from bridge import errors
from bridge.model import Path
from bridge.web import current

log = structlog.get_logger()

STATUS: dict[type[errors.BridgeError], int] = {
    errors.NotSignedIn: 401,
    errors.SignInRefused: 403,
    errors.SignInUnavailable: 503,
    errors.BadRequest: 400,
    errors.BadCsrf: 403,
    errors.NotAllowed: 403,
    errors.UnknownTenant: 404,
    errors.TooLarge: 413,
    errors.Conflict: 412,
    errors.NeedsIfMatch: 428,
    errors.TooMany: 429,
    errors.StillOnJwt: 409,
    errors.JwtRetired: 410,
    errors.StageRefused: 409,
    errors.SubjectNotProvisioned: 403,
    errors.SyncRefused: 403,
    errors.AppRefused: 403,
    errors.BadContent: 404,
    errors.BudgetSpent: 503,
    errors.TenantRefused: 502,
    errors.TenantThrottled: 503,
    errors.TenantUnavailable: 503,
    errors.TenantTimeout: 504,
    errors.TenantGarbled: 502,
    errors.StillWaiting: 503,
    errors.BridgeBusy: 503,
    errors.StoreError: 503,
    errors.UnreadableTenant: 503,
}
BUSY = 503
DEFECT = 500
ASKING = {"get_token", "get_session", "post_session", "post_access_token"}
"""The views of the embed contract by which people ask for a legacy JWT, a session or a token."""
PAGES = {"portal", "admin", "sign_in"}
"""Blueprints for people's eyes: their errors are pages, wherever they live."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as the outside sees it."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)


def install(app: Flask) -> None:
    """Render whatever goes wrong."""
    app.register_error_handler(errors.BridgeError, _answer_ours)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_defect)


def _answer_ours(error: errors.BridgeError) -> ResponseReturnValue:
    status = STATUS.get(type(error))
    if status is None:  # no class without a line in the table reaches the outside, see the test
        return _answer_defect(error)
    log.warning("refused", code=error.code(), status=status, detail=error.detail)
    headers = {} if error.retry_after_s is None else {"Retry-After": whole_seconds(error.retry_after_s)}
    parts = {"unmet": error.unmet_document()} if isinstance(error, errors.StageRefused) else {}
    if isinstance(error, errors.NotSignedIn):
        if _may_sign_in_here():
            return redirect("/login?" + urlencode({"next": request.full_path.removesuffix("?")}), 303)
        headers["WWW-Authenticate"] = "Bearer"
    return _render(Problem(status, error.code(), error.message, headers, parts))


def _answer_http(error: HTTPException) -> ResponseReturnValue:
    """Answer for Flask's own refusals in our form."""
    status = error.code or DEFECT
    if isinstance(error, NotFound):
        return _render(Problem(status, "not_found", "There is no such page or route. Check the address."))
    if isinstance(error, MethodNotAllowed):
        allow = {"Allow": ", ".join(sorted(error.valid_methods or ()))}
        return _render(Problem(status, "method_not_allowed", "This route exists, but not for this method.", allow))
    kind = errors.TooLarge if isinstance(error, RequestEntityTooLarge) else errors.BadRequest
    return _render(Problem(status, kind.code(), kind.public))


def _answer_defect(error: Exception) -> ResponseReturnValue:
    log.error("internal_error", exc_info=error)
    return _render(Problem(DEFECT, "internal_error", errors.BridgeError.public))


def _render(problem: Problem) -> Response:
    current.about().problem = problem.code
    if problem.code == errors.StillOnJwt.code():
        current.note_path(Path.JWT)
    current.bridge().metrics.errors.labels(problem.code).inc()
    _note_trouble(problem.code)
    if _wants_page():
        body = make_response(_page(problem))
    else:
        head = {"error": problem.code, "message": problem.message, "request_id": current.request_id()}
        body = jsonify(head | problem.parts)
    body.status_code = problem.status
    body.headers.update(problem.headers)
    if problem.status == BUSY:
        body.headers.setdefault("Retry-After", "1")
    return body


def _note_trouble(code: str) -> None:
    """Note for the tenant's history what somebody met who wanted to see its content."""
    slug = current.about().tenant
    if slug is not None and (request.endpoint or "").rpartition(".")[2] in ASKING:
        current.bridge().history.note_trouble(slug, code)


def _page(problem: Problem) -> str:
    settings = current.bridge().settings
    way_on = ("/", "Back to the start") if settings.is_demo else ("/login", "Sign in")
    return render_template(
        "error.html",
        problem=problem,
        request_id=current.request_id(),
        way_on=way_on if settings.has_sign_in_page else None,
    )


def _wants_page() -> bool:
    """Tell whether a person is looking: pages say so by blueprint, unknown addresses by where they are."""
    if request.blueprint is not None:
        return request.blueprint in PAGES
    return not request.path.startswith(("/t/", "/api/"))


def _may_sign_in_here() -> bool:
    return current.bridge().settings.has_sign_in_page and request.method == "GET" and _wants_page()


def whole_seconds(wait_s: float) -> str:
    return str(max(1, math.ceil(wait_s)))
