"""Who is calling: a bearer token or a cookie session, and what that lets them do."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import g, request

from bridge.sandbox import errors
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from bridge.sandbox.state import Session, Token, User

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Principal:
    """A signed-in caller. `scopes` is None for a cookie session, which scopes do not narrow."""

    user: User
    scopes: frozenset[str] | None
    session: Session | None = None
    token: Token | None = None

    @property
    def how(self) -> str:
        """Name the credential: `cookie`, `bearer`, or `accessToken` for one from a token exchange in the address."""
        if self.token is None:
            return "cookie"
        return "bearer" if self.token.parent is None else "accessToken"

    def may(self, *scopes: str) -> bool:
        return self.scopes is None or not self.scopes.isdisjoint(scopes)


def own_origin() -> str:
    """Return the tenant's own origin: scheme and Host of the request."""
    return f"{request.scheme}://{request.host}"


def bearer() -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def web_integration_id() -> str:
    """Header or query; real pages send the query with blanks around it."""
    named = request.headers.get("qlik-web-integration-id") or request.args.get("qlik-web-integration-id", "")
    return named.strip()


def origin_may_use_cookies(tenant: Tenant) -> bool:
    """Say whether the page behind the request may: one of another origin needs a web integration that lists it."""
    origin = request.headers.get("Origin")
    if origin is None or origin == own_origin():
        return True
    return tenant.web_integration(web_integration_id(), origin) is not None


def same(given: str, right: str) -> bool:
    """Compare secrets in constant time; JSON can hold half a surrogate pair, which does not encode."""
    return hmac.compare_digest(given.encode(errors="replace"), right.encode())


def note(client: str | None = None, user: str | None = None) -> None:
    """Remember for the call log who this call says it is."""
    g.client = client or g.get("client")
    g.user = user or g.get("user")


def identify() -> Principal | None:
    """Return the caller, or None. A bearer token rules out the cookie."""
    return _noted(_by_token() if bearer() is not None else _by_cookie())


def identify_websocket() -> Principal:
    """Return who opens a websocket: by bearer token, else by `accessToken`, else by cookie. 401 for nobody."""
    if bearer() is not None:
        principal = _noted(_by_token())
    elif "accessToken" in request.args:
        frames_too = here().switches.webresource_opens_engine == "yes"
        principal = by_exchanged_token("websocket", *(["webresource"] if frames_too else []))
    else:
        principal = _noted(_by_cookie())
    if principal is None:
        raise errors.unauthorized()
    return principal


def by_exchanged_token(*purposes: str) -> Principal | None:
    """Return who is behind the `accessToken` of the address: one from a token exchange for one of the purposes."""
    tenant = here()
    token = tenant.memory.tokens.get(request.args.get("accessToken", "").strip())
    if token is None or token.kind not in purposes or not is_live(tenant, token):
        return None
    token.last_used = tenant.now()
    return _noted(Principal(tenant.memory.users[token.user_id], frozenset(token.scope.split()), token=token))


def _noted(principal: Principal | None) -> Principal | None:
    """Tell the call log."""
    if principal:
        client = principal.token.client_id if principal.token else None
        issuer = principal.session.issuer if principal.session else None
        note(client or issuer, principal.user.subject)
    return principal


def signed_in() -> Principal:
    principal: Principal | None = g.get("principal")
    if principal is None:
        raise errors.unauthorized()
    return principal


def admin(*scopes: str) -> Principal:
    """Need TenantAdmin and, for a token, `admin_classic` or one of `scopes`."""
    principal = signed_in()
    if not here().is_admin(principal.user) or not principal.may("admin_classic", *scopes):
        raise errors.forbidden()
    return principal


def is_live(tenant: Tenant, token: Token) -> bool:
    if token.revoked or token.expires_at <= tenant.now():
        return False
    user = tenant.memory.users.get(token.user_id)
    if user is None or token.client_id not in tenant.clients:
        return False
    if user.status == "disabled" and tenant.switches.tokens_of_disabled == "die":
        return False
    return token.parent is None or is_live(tenant, token.parent)


def live_session(tenant: Tenant) -> Session | None:
    """Return the session of the request's cookies, if it has not ended."""
    cookie = request.cookies.get("eas.sid", "")
    session = tenant.memory.sessions.get(cookie)
    if session is None or not _signature_holds(tenant, cookie):
        return None
    idle = tenant.now() - session.last_used
    if session.expires_at <= tenant.now() or idle >= tenant.switches.session_inactivity_min * 60:
        return None
    return session


def _signature_holds(tenant: Tenant, cookie: str) -> bool:
    if tenant.switches.session_signature == "ignored":
        return True
    given = request.cookies.get("eas.sid.sig", "")
    return same(given, tenant.sign_cookie("eas.sid", cookie))


def _by_token() -> Principal | None:
    tenant = here()
    token = tenant.memory.tokens.get(bearer() or "")
    if token is None or token.kind != "access" or not is_live(tenant, token):
        return None
    token.last_used = tenant.now()
    return Principal(tenant.memory.users[token.user_id], frozenset(token.scope.split()), token=token)


def _by_cookie() -> Principal | None:
    tenant = here()
    session = live_session(tenant)
    if session is None or not origin_may_use_cookies(tenant):
        return None
    user = tenant.memory.users.get(session.user_id)
    if user is None or user.status == "disabled":
        return None
    session.last_used = tenant.now()
    return Principal(user, None, session=session)


def check_csrf(*, upgrades: bool = False) -> None:
    """Qlik: a write with a cookie session carries the session's token in `qlik-csrf-token`, else CSRF-TOKEN-2.

    So does a websocket, where browsers can only put it into the address.
    """
    principal: Principal | None = g.get("principal")
    if (request.method in SAFE_METHODS and not upgrades) or principal is None or principal.session is None:
        return
    given = request.headers.get("qlik-csrf-token", "")
    if upgrades:
        given = given or request.args.get("qlik-csrf-token", "").strip()
    if same(given, principal.session.csrf_token):
        return
    where = here().switches.csrf_error_body
    extra = {} if where == "errors" else {"code": "CSRF-TOKEN-2"}
    raise errors.ApiError(403, "CSRF-TOKEN-2", "CSRF token mismatch", extra=extra, bare=where == "top_level")
