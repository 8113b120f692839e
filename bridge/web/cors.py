"""Which other origins may use the embeds of a tenant: those that it lists, to the letter. Nothing else has CORS."""

from collections.abc import Sequence

from flask import Response, request

from bridge.errors import StoreError
from bridge.web import current

ALLOWED_HEADERS = "Authorization, Content-Type, CSRF-Token, X-CSRF-Token, X-Rejected-Token, X-Request-Id"
EXPOSED_HEADERS = "Retry-After, X-Request-Id, Token-Id, Server-Timing"
PREFLIGHT_S = "600"


def allowed_origins() -> Sequence[str]:
    """Return the foreign origins that may make this request; from the path, so that errors have them too."""
    _, room, *rest = request.path.split("/")
    if room != "t" or not rest:
        return ()
    try:
        state = current.bridge().tenants.all().get(rest[0])
    except StoreError:
        return ()
    return state.tenant.allowed_origins if state else ()


def add_headers(response: Response) -> Response:
    """Allow what the tenant allows. Caches must know that the answer differs by origin, whoever asked first."""
    if not request.path.startswith("/t/"):
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin is None or origin not in allowed_origins():
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    response.headers["Timing-Allow-Origin"] = origin
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_S
    return response
