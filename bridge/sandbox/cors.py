"""CORS by exact origin: those of the web integrations and of the OAuth clients."""

from __future__ import annotations

from flask import Response, request

from bridge.sandbox.tenant import Tenant, here

ALLOWED_HEADERS = "authorization, content-type, qlik-api-version, qlik-csrf-token, qlik-web-integration-id"
ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
OPEN_TO_ALL = ("/resources/", "/.well-known/")


def add_headers(response: Response) -> None:
    """Let a listed origin read the answer, with credentials. The control routes never get here."""
    origin = request.headers.get("Origin")
    response.vary.add("Origin")
    if origin is None:
        return
    if _is_listed(here(), origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = "qlik-csrf-token"
    elif request.path.startswith(OPEN_TO_ALL):
        response.headers["Access-Control-Allow-Origin"] = "*"


def preflight() -> Response:
    """Answer OPTIONS. It may carry no web integration id, so the origin alone decides."""
    response = Response(status=204)
    asked = request.headers.get("Access-Control-Request-Headers", "")
    listed = here().switches.cors_allow_headers == "listed"
    response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
    response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS if listed else asked
    return response


def _is_listed(tenant: Tenant, origin: str) -> bool:
    if tenant.switches.bearer_cors == "any" and _is_bearer_call():
        return True
    listed = {entry for integration in tenant.web_integrations for entry in integration.valid_origins}
    listed.update(entry for client in tenant.clients.values() for entry in client.allowed_origins)
    return origin in listed


def _is_bearer_call() -> bool:
    asked = request.headers.get("Access-Control-Request-Headers", "").lower()
    return "Authorization" in request.headers or "authorization" in asked
