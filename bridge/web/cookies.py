"""Our cookies: the session, and the anchor of an open sign-in form. `oidc` has a third, with the same names."""

import secrets

from flask import Response, request

from bridge.services.sessions import LIFETIME_S
from bridge.web import current

SESSION = "bridge_session"
FORM = "bridge_form"


def name_of(cookie: str) -> str:
    return named(cookie, is_secure=current.bridge().settings.cookies_are_secure)


def named(cookie: str, *, is_secure: bool) -> str:
    """Return a cookie's name; over https one that no neighbour under the same domain can set in our place."""
    return f"__Host-{cookie}" if is_secure else cookie


def session_value() -> str | None:
    return request.cookies.get(name_of(SESSION))


def set_session(response: Response, value: str) -> None:
    """Hand over a new session; the one that the browser had before ends, so that nobody can fix one in advance."""
    if old := session_value():
        current.bridge().sessions.end(old)
    _set(response, SESSION, value, LIFETIME_S)


def end_session(response: Response) -> None:
    if value := session_value():
        current.bridge().sessions.end(value)
    response.delete_cookie(name_of(SESSION), path="/", secure=current.bridge().settings.cookies_are_secure)


def form_anchor() -> str:
    """Return the anchor of the browser's sign-in forms, a new one where it has none."""
    return request.cookies.get(name_of(FORM)) or secrets.token_urlsafe(16)


def set_form_anchor(response: Response, anchor: str) -> None:
    _set(response, FORM, anchor, None)


def _set(response: Response, name: str, value: str, max_age_s: int | None) -> None:
    secure = current.bridge().settings.cookies_are_secure
    response.set_cookie(name_of(name), value, max_age=max_age_s, path="/", httponly=True, samesite="Lax", secure=secure)
