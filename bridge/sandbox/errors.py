"""Qlik's error envelope: `{"errors": [{code, title, detail, status}], "traceId"}`."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

# Qlik's areas disagree on `status` inside an error: a number here, absent there, a string everywhere else.
NUMBER_STATUS = ("/api/v1/users", "/api/v1/groups", "/api/v1/identity-providers")
NO_STATUS = (
    "/api/v1/roles",
    "/api/v1/oauth-clients",
    "/api/v1/csp-origins",
    "/api/core/auth-settings",
    "/api/v1/spaces",
    "/api/v1/items",
    "/api/v1/audits",
    "/api/v1/licenses",
)


@dataclass(eq=False)
class ApiError(Exception):
    """A refusal that a client sees; `extra` goes beside `errors`."""

    status: int
    code: str
    title: str
    detail: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    bare: bool = False


def unauthorized(detail: str = "") -> ApiError:
    return ApiError(401, "AUTH-1", "Unauthorized", detail)


def forbidden(detail: str = "") -> ApiError:
    return ApiError(403, "AUTH-3", "Forbidden", detail)


def not_found(code: str) -> ApiError:
    return ApiError(404, code, "Not found")


def item(path: str, status: int, code: str, title: str, detail: str = "") -> dict[str, Any]:
    """One entry of `errors`, with `status` the way the area of `path` writes it."""
    entry: dict[str, Any] = {"code": code, "title": title}
    if detail:
        entry["detail"] = detail
    if path.startswith(NUMBER_STATUS):
        entry["status"] = status
    elif not path.startswith(NO_STATUS):
        entry["status"] = str(status)
    return entry


def envelope(status: int, items: list[dict[str, Any]], **extra: str) -> Response:
    body = {**extra, "errors": items, "traceId": secrets.token_hex(16)}
    return Response(json.dumps(body), status, mimetype="application/json")


def render(error: ApiError) -> Response:
    items = [] if error.bare else [item(request.path, error.status, error.code, error.title, error.detail)]
    response = envelope(error.status, items, **error.extra)
    if error.bare:
        response.set_data(json.dumps(error.extra))
    response.headers.update(error.headers)
    return response


def render_http(error: HTTPException) -> Response:
    """Flask's own refusals (404, 405, 413) in Qlik's words."""
    if error.response is not None:
        return error.response  # type: ignore[return-value]  # Flask's own redirects are Responses
    status = error.code or 500
    code = f"HTTP-{status}"
    return envelope(status, [item(request.path, status, code, HTTPStatus(status).phrase)])


def install(app: Flask) -> None:
    app.register_error_handler(ApiError, render)
    app.register_error_handler(HTTPException, render_http)
