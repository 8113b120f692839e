"""Signing in and out with cookies: /login/jwt-session, /login, /logout, csrf-token."""

from __future__ import annotations

import secrets
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, request

from bridge.sandbox import auth, csp_origins, errors, events, jwt_login
from bridge.sandbox.errors import ApiError
from bridge.sandbox.state import Group, IdentityProvider, Session, User, hex_id
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

routes = Blueprint("login", __name__)

COOKIES = ("eas.sid", "eas.sid.sig", "_csrfToken", "_csrfToken.sig")
LOGIN_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in - {tenant}</title></head>
<body><main><h1>Sign in to {tenant}</h1>
<p>This is a sandbox tenant. A real tenant would ask here who you are; the sandbox signs people in by
<code>POST /login/jwt-session</code> alone.</p><p>Return to: <code>{returnto}</code></p></main></body></html>
"""


@routes.post("/login/jwt-session")
def post_jwt_session() -> Response:
    """Qlik: POST /login/jwt-session. Trades a signed JWT for a cookie session; 200 and `{}`."""
    tenant = here()
    token = auth.bearer()
    if token is None:
        raise errors.unauthorized("Authorization: Bearer with a signed JWT is needed")
    refuse_oversized(tenant, token)
    note_claimed(token)
    if not auth.origin_may_use_cookies(tenant):
        raise ApiError(401, "LOGIN-906", "Unauthorized", "No web integration allows this origin")
    provider, claims = jwt_login.verify(tenant, token)
    user = find_or_create_user(tenant, provider, claims)
    set_groups(tenant, user, claims)
    events.session_began(tenant, user, provider)
    return with_cookies(tenant, open_session(tenant, user, provider))


def refuse_oversized(tenant: Tenant, token: str) -> None:
    """Refuse a long header, as a proxy in front of a real tenant does before Qlik sees it."""
    if 0 < tenant.switches.max_jwt_bytes < len(token):
        raise ApiError(431, "HTTP-431", "Request Header Fields Too Large")


def note_claimed(token: str) -> None:
    _header, claims = jwt_login.unverified(token)
    auth.note(*(value if isinstance(value, str) else None for value in (claims.get("iss"), claims.get("sub"))))


def find_or_create_user(tenant: Tenant, provider: IdentityProvider, claims: dict[str, Any]) -> User:
    """Create the user at the first login, update name and email at later ones."""
    user = _existing_user(tenant, provider, claims["sub"])
    now = tenant.now()
    if user is None:
        user = User(hex_id(), claims["sub"], claims["name"], claims.get("email", ""), "active", now, now)
        user.idp_id = provider.id
        tenant.memory.users[user.id] = user
        return user
    if user.status == "disabled":
        raise ApiError(tenant.switches.disabled_login_status, "LOGIN-907", "Forbidden", "The user is disabled")
    if user.status == "invited" and tenant.switches.invited_login == "refuse":
        raise ApiError(403, "AUTH-5", "Forbidden", "User is not a member of tenant")
    user.status, user.updated_at, user.idp_id = "active", now, user.idp_id or provider.id
    if tenant.switches.later_login_profile == "update":
        user.name, user.email = claims["name"], claims.get("email", user.email)
    return user


def _existing_user(tenant: Tenant, provider: IdentityProvider, subject: str) -> User | None:
    """Look the subject up: a JWT provider has no realm, so whichever one vouches, it is the same user."""
    if tenant.switches.subject_across_idps == "same":
        return tenant.user_by_subject(subject)
    same = (user for user in tenant.users() if user.subject == subject)
    return next((user for user in same if user.idp_id in (None, provider.id)), None)


def set_groups(tenant: Tenant, user: User, claims: dict[str, Any]) -> None:
    """Make the idp memberships those of the claim; custom memberships are not the login's business."""
    names = claims.get("groups")
    if names is None:
        if tenant.switches.absent_groups == "leave":
            return
        names = []
    creates = tenant.memory.auto_create_groups
    if not creates and tenant.switches.groups_without_autocreate == "ignore":
        return
    found = [_idp_group(tenant, name, create=creates) for name in dict.fromkeys(names)]
    custom = [group.id for group in tenant.groups_of(user) if group.provider_type == "custom"]
    user.group_ids = [group.id for group in found if group] + custom


def _idp_group(tenant: Tenant, name: str, *, create: bool) -> Group | None:
    group = tenant.group_named(name, "idp")
    if group is None and create:
        group = Group(hex_id(), name, "idp", tenant.now(), tenant.now())
        tenant.add_group(group)
    return group


def open_session(tenant: Tenant, user: User, provider: IdentityProvider) -> Session:
    now = tenant.now()
    ends = now + tenant.switches.session_lifespan_min * 60
    cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    session = Session(cookie, csrf, user.id, provider.issuer, now, now, ends)
    tenant.memory.sessions[cookie] = session
    return session


def with_cookies(tenant: Tenant, session: Session) -> Response:
    """Never `Partitioned`: that would work with third-party cookies blocked and hide what customers meet."""
    response = Response("{}", mimetype="application/json")
    values = (("eas.sid", session.cookie, True), ("_csrfToken", session.csrf_token, _hides_csrf(tenant)))
    for name, value, http_only in values:
        for cookie, content in ((name, value), (name + ".sig", tenant.sign_cookie(name, value))):
            response.set_cookie(cookie, content, path="/", secure=True, httponly=http_only, samesite="None")
    return response


def _hides_csrf(tenant: Tenant) -> bool:
    return tenant.switches.csrf_cookie == "httponly"


@routes.get("/api/v1/csrf-token")
def get_csrf_token() -> Response:
    """Qlik: GET /api/v1/csrf-token. 204 with the token in a header; 400 for bearer callers."""
    principal = auth.signed_in()
    if principal.session is None:
        raise ApiError(400, "CSRF-TOKEN-1", "Bad request", "CSRF tokens belong to cookie sessions")
    return Response(status=204, headers={"qlik-csrf-token": principal.session.csrf_token})


@routes.get("/login")
def get_login() -> AnyResponse:
    """Qlik: GET /login. 302 back for a signed-in caller, 401 for a bad returnto or prompt=none, else a page."""
    tenant = here()
    returnto = request.args.get("returnto", "").strip()
    check_returnto(tenant, returnto)
    if returnto and request.args.get("prompt") != "login" and auth.identify():
        return redirect(returnto)
    if request.args.get("prompt") == "none":
        raise ApiError(401, "LOGIN-908", "Unauthorized", "prompt=none, and nobody is signed in")
    page = LOGIN_PAGE.format(tenant=escape(tenant.name), returnto=escape(returnto or "/"))
    shown = tenant.switches.framed_login == "shown"
    framing = csp_origins.frame_ancestors(tenant) if shown else "frame-ancestors 'none'"
    return Response(page, mimetype="text/html", headers={csp_origins.HEADER: framing})


@routes.get("/logout")
def get_logout() -> AnyResponse:
    """Qlik: clients navigate to /logout. The session ends; 302 to `returnto` or to the sign-in page."""
    tenant = here()
    returnto = request.args.get("returnto", "").strip()
    check_returnto(tenant, returnto)
    if session := auth.live_session(tenant):
        tenant.memory.sessions.pop(session.cookie)
        events.session_ended(tenant, session.user_id)
    answer = redirect(returnto or "/login") if tenant.switches.logout_answer == "redirect" else Response(status=204)
    for name in COOKIES:
        answer.delete_cookie(name, path="/", secure=True, samesite="None")
    return answer


def check_returnto(tenant: Tenant, returnto: str) -> None:
    """Refuse a returnto that is neither a path here nor a page that the named web integration lists."""
    if not returnto or (returnto.startswith("/") and not returnto.startswith(("//", "/\\"))):
        return
    origin = _origin_of(returnto)
    if origin is None:
        raise ApiError(401, "LOGIN-8", "Unauthorized", "Illegal returnto value")
    if origin != auth.own_origin() and not tenant.web_integration(auth.web_integration_id(), origin):
        raise ApiError(401, "LOGIN-10", "Unauthorized", "returnto not included in web integration whitelist")


def _origin_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else None
