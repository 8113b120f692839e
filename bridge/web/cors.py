"""Which other origins may use the embeds of a tenant: those that it lists, to the letter. Nothing else has CORS."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridge.errors import StoreError
from bridge.ports import TenantStore
from bridge.web.current import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

EXPOSED = ("Access-Control-Expose-Headers", "Retry-After, X-Request-Id, Token-Id, Server-Timing")
PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET, POST, DELETE"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, CSRF-Token, X-CSRF-Token, X-Rejected-Token, X-Request-Id",
    ),
    ("Access-Control-Max-Age", "600"),
)


def allowed_origins(tenants: TenantStore, path: str) -> Sequence[str]:
    """Return the foreign origins that may make a request of this path; errors have them too."""
    _, room, *rest = path.split("/")
    if room != "t" or not rest:
        return ()
    try:
        state = tenants.all().get(rest[0])
    except StoreError:
        return ()
    return state.tenant.allowed_origins if state else ()


def headers(tenants: TenantStore, environ: "WSGIEnvironment") -> Headers:
    """Allow what the tenant allows. Caches must know that the answer differs by origin, whoever asked first."""
    path, origin = environ["PATH_INFO"], environ.get("HTTP_ORIGIN")
    if not path.startswith("/t/"):
        return []
    found = [("Vary", "Origin")]
    if origin is None or origin not in allowed_origins(tenants, path):
        return found
    found += [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"), EXPOSED]
    found.append(("Timing-Allow-Origin", origin))
    return found + list(PREFLIGHT) if environ["REQUEST_METHOD"] == "OPTIONS" else found
