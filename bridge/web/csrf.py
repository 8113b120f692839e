"""Proof that a state-changing request comes from a page that we served, or that may read our session."""

import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple, Self

from flask import request

from bridge.errors import BadCsrf
from bridge.web import cors, current

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PURPOSE = b"csrf\0"
HEADERS = ("HTTP_CSRF_TOKEN", "HTTP_X_CSRF_TOKEN")
"""CSRF-Token and X-CSRF-Token, as WSGI has them."""
FIELD = "csrf_token"
FOREIGN = (
    "The bridge takes no changes from pages at this address. An operator can name it: BRIDGE_PUBLIC_URL for the"
    " bridge's own, else `portal_hosts` or `allowed_origins` of the tenant."
)


def token(anchor: str) -> str:
    """Return the token that belongs to *anchor*: a session, a proxy's person, or an open sign-in form."""
    secret = current.bridge().settings.secret_key.get_secret_value()
    return hmac.new(secret.encode(), PURPOSE + anchor.encode(), hashlib.sha256).hexdigest()


class Sent(NamedTuple):
    """What a request says of where it comes from: a token, the page's origin, and what was asked of whom."""

    token: str | None
    origin: str | None
    path: str
    host: str

    @classmethod
    def of(cls, environ: "WSGIEnvironment") -> Self:
        given = next((value for name in HEADERS if (value := environ.get(name))), None)
        return cls(given, environ.get("HTTP_ORIGIN"), environ["PATH_INFO"], environ.get("HTTP_HOST", ""))


def check(anchor: str) -> None:
    """Raise BadCsrf unless the request brings the token of *anchor*, in a header or form, from an origin that may."""
    sent = Sent.of(request.environ)._replace(path=request.path, host=request.host)
    verify(anchor, sent if sent.token is not None else sent._replace(token=request.form.get(FIELD)))


def verify(anchor: str, sent: Sent) -> None:
    """Raise BadCsrf unless the token of *anchor* was sent, from an origin that may."""
    if not _origin_may(sent):
        raise BadCsrf(FOREIGN)
    if not hmac.compare_digest((sent.token or "").encode(errors="replace"), token(anchor).encode()):
        raise BadCsrf


def _origin_may(sent: Sent) -> bool:
    """Tell whether the page that asks may.

    An embedding page can read the token of a session, so the token alone would let it move stages in an
    operator's name: outside the embeds only our own pages may.
    """
    origin = sent.origin
    if origin in {None, current.bridge().settings.public_url}:
        return True
    return origin in cors.allowed_origins(current.bridge().tenants, sent.path) or _is_portal(origin, sent.host.lower())


def _is_portal(origin: str, host: str) -> bool:
    """Tell whether the page is of this Host, and some tenant's portal has that name: anyone may write a Host."""
    states = current.bridge().tenants.all().values()
    return origin in {f"http://{host}", f"https://{host}"} and any(host in each.tenant.portal_hosts for each in states)
