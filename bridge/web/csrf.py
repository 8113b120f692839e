"""Proof that a state-changing request comes from a page that we served, or that may read our session."""

import hashlib
import hmac

from flask import request

from bridge.errors import BadCsrf
from bridge.web import cors, current

PURPOSE = b"csrf\0"
HEADERS = ("CSRF-Token", "X-CSRF-Token")
FIELD = "csrf_token"
FOREIGN = (
    "The bridge takes no changes from pages at this address. An operator can name it: BRIDGE_PUBLIC_URL for the"
    " bridge's own, else `portal_hosts` or `allowed_origins` of the tenant."
)


def token(anchor: str) -> str:
    """Return the token that belongs to *anchor*: a session, a proxy's person, or an open sign-in form."""
    secret = current.bridge().settings.secret_key.get_secret_value()
    return hmac.new(secret.encode(), PURPOSE + anchor.encode(), hashlib.sha256).hexdigest()


def check(anchor: str) -> None:
    """Raise BadCsrf unless the request brings the token of *anchor*, from an origin that may."""
    given = next((value for name in HEADERS if (value := request.headers.get(name))), None)
    given = request.form.get(FIELD, "") if given is None else given
    if not _origin_may():
        raise BadCsrf(FOREIGN)
    if not hmac.compare_digest(given.encode(errors="replace"), token(anchor).encode()):
        raise BadCsrf


def _origin_may() -> bool:
    """Tell whether the page that asks may.

    An embedding page can read the token of a session, so the token alone would let it move stages in an
    operator's name: outside the embeds only our own pages may.
    """
    origin = request.headers.get("Origin")
    return origin in {None, current.bridge().settings.public_url} or _is_listed(origin) or _is_portal(origin)


def _is_listed(origin: str) -> bool:
    return origin in cors.allowed_origins(current.bridge().tenants, request.path)


def _is_portal(origin: str) -> bool:
    """Tell whether the page is of this Host, and some tenant's portal has that name: anyone may write a Host."""
    host = request.host.lower()
    states = current.bridge().tenants.all().values()
    return origin in {f"http://{host}", f"https://{host}"} and any(host in each.tenant.portal_hosts for each in states)
