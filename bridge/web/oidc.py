"""Sign-in by OpenID Connect: the authorization code flow with PKCE, by Authlib's Flask client.

What has to come back (state, nonce, verifier) waits in a signed cookie of ours: any worker can finish what another one
started, and nobody can finish a sign-in that another browser started. Tokens are read once and kept nowhere.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App, OAuth, OAuthError
from flask import Flask, current_app, redirect, request, session
from flask.typing import ResponseReturnValue
from joserfc.errors import JoseError

from bridge.errors import SignInRefused, SignInUnavailable, TenantError
from bridge.model import Identity
from bridge.ports import SignInProvider
from bridge.services.bulkhead import take_place
from bridge.web import current
from bridge.web.cookies import named
from bridge.web.subjects import subject_of

if TYPE_CHECKING:
    from bridge.bootstrap import Bridge

SOURCE = "oidc"
COOKIE = "bridge_sign_in"
PATH = "/login"
CALLBACK = "/login/callback"
REGISTRY = "authlib.integrations.flask_client"
PURPOSE = b"sign-in\0"
LEEWAY_S = 30
MOST_ATTEMPTS = 4
"""Sign-ins that one browser may have open in its tabs: a cookie holds no more than 4 KB."""

NOT_FROM_HERE = "This sign-in was started in another browser, too long ago, or is finished already. Start it again."
NOT_LET_IN = "The sign-in service did not let you in. Ask whoever runs it for access to this application."
BRIDGE_REFUSED = (
    "The sign-in service refuses the bridge. An operator must compare BRIDGE_OIDC_CLIENT_ID,"
    " BRIDGE_OIDC_CLIENT_SECRET and BRIDGE_OIDC_SCOPE with what is registered there; the log names the error."
)
NOT_BELIEVED = (
    "The sign-in service's answer cannot be trusted. Start again; if it stays, an operator must compare"
    " BRIDGE_OIDC_ISSUER and BRIDGE_OIDC_CLIENT_ID with the service, and the clocks. The log names the claim."
)
WORDS = {
    "mismatching_state": NOT_FROM_HERE,
    "access_denied": NOT_LET_IN,
    **dict.fromkeys(("invalid_client", "unauthorized_client", "invalid_scope"), BRIDGE_REFUSED),
}
"""Sentences for the errors of OAuth 2.0 (RFC 6749) that somebody can act on."""
PASSING = {"server_error", "temporarily_unavailable"}

NO_TENANT = ""
"""Whose place it is that somebody takes who waits for the sign-in service."""

Facts = Mapping[str, Any]


def install(app: Flask) -> None:
    """Register the client, and make Flask's own session the cookie of open sign-ins.

    It is sent to `/login` alone, but over https: no neighbour can set a cookie that belongs to every path.
    """
    settings = cast("Bridge", app.extensions[current.BRIDGE]).settings
    app.secret_key = hmac.new(settings.secret_key.get_secret_value().encode(), PURPOSE, hashlib.sha256).digest()
    app.config |= {
        "SESSION_COOKIE_NAME": named(COOKIE, is_secure=settings.cookies_are_secure),
        "SESSION_COOKIE_PATH": "/" if settings.cookies_are_secure else PATH,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.cookies_are_secure,
    }
    _Registry(app).register(
        SOURCE,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else None,
        client_kwargs={"scope": settings.oidc_scope, "code_challenge_method": "S256"},
    )


def start(target: str) -> ResponseReturnValue:
    """Send the browser to the sign-in service; it comes back to *target* in the end. Raises SignInUnavailable."""
    take_place(NO_TENANT)
    client, callback = _client(), current.bridge().settings.public_url + CALLBACK
    with _in_our_words():
        begun = client.create_authorization_url(callback)
    address = begun.pop("url")
    client.save_authorize_data(redirect_uri=callback, target=target, **begun)
    return redirect(address)


def finish() -> tuple[Identity, str]:
    """Return who came back, and where they wanted to go. Raises SignInRefused, SignInUnavailable."""
    take_place(NO_TENANT)
    client = _client()
    attempt = client.framework.get_state_data(session, request.args.get("state"))
    with _in_our_words():
        tokens = client.authorize_access_token(claims_options=_expected(client), leeway=LEEWAY_S)
        facts = _facts(client, tokens)
    return _identity(facts), attempt["target"]


def end_address() -> str | None:
    """Return where the browser ends its session at the service too; None where that cannot be done.

    Without a hint: that would be an ID token, which is kept nowhere and has no place in an address.
    """
    settings = current.bridge().settings
    try:
        if "end_session_endpoint" not in _provider().metadata():
            return None
    except SignInUnavailable:
        return None
    after = settings.public_url + PATH
    ending = _client().create_logout_url(post_logout_redirect_uri=after, client_id=settings.oidc_client_id)
    return str(ending["url"])


def _expected(client: Any) -> dict[str, dict[str, object]]:  # noqa: ANN401 - Authlib says nothing of its types
    """Say what the ID token must hold; Authlib looks at nonce, times and the rest by itself."""
    issuer = current.bridge().settings.oidc_issuer
    return {
        "iss": {"essential": True, "values": [issuer]},
        "aud": {"essential": True, "values": [client.client_id]},
        "nonce": {"essential": True},
    }


def _facts(client: Any, tokens: Mapping[str, Any]) -> Facts:  # noqa: ANN401 - Authlib says nothing of its types
    """Return the claims of the ID token; what it leaves out is asked for, as services with thin ID tokens mean it."""
    claims: Facts | None = tokens.get("userinfo")
    if claims is None:
        raise SignInRefused(NOT_BELIEVED, detail="no ID token")
    settings = current.bridge().settings
    wanted = {"name", "email", settings.oidc_groups_claim, settings.oidc_subject_claim}
    if wanted <= claims.keys() or "userinfo_endpoint" not in _provider().metadata():
        return claims
    more = client.userinfo(token=tokens)
    if more.get("sub") != claims["sub"]:  # OpenID Connect Core 5.3.2: else it is somebody else's
        raise SignInRefused(NOT_BELIEVED, detail="userinfo of another sub")
    return {**more, **claims}


def _identity(facts: Facts) -> Identity:
    bridge = current.bridge()
    claim = bridge.settings.oidc_groups_claim
    if facts.get(claim) is None:
        raise SignInRefused(
            f"The sign-in service did not say in which groups you are. An operator must make it send the claim"
            f" `{claim}`, `[]` for people without groups, or name another one in BRIDGE_OIDC_GROUPS_CLAIM."
        )
    try:
        subject = subject_of(
            sub=_sub(facts, bridge.settings.oidc_subject_claim),
            name=facts.get("name") or facts.get("preferred_username"),
            email=facts.get("email"),
            groups=facts[claim],
        )
    except ValueError as problem:
        raise SignInRefused(
            f"What the sign-in service says about you cannot be used: {problem}. An operator must correct its claims."
        ) from None
    return Identity(subject, SOURCE, str(facts["iss"]), min(float(facts["iat"]), bridge.clock()))


def _sub(facts: Facts, claim: str) -> object:
    """Return who they are at the tenants. An address counts once the service says that it is theirs."""
    if facts.get(claim) is None:
        raise SignInRefused(
            f"The sign-in service did not send the claim `{claim}`, which says who you are. An operator must make it"
            " send that, or name another one in BRIDGE_OIDC_SUBJECT_CLAIM."
        )
    if claim == "email" and facts.get("email_verified") is not True:
        raise SignInRefused(
            "The sign-in service does not say that it verified your e-mail address, so anybody could have typed it. An"
            " operator must make it send `email_verified`, or name another claim in BRIDGE_OIDC_SUBJECT_CLAIM."
        )
    return facts[claim]


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Translate what a library raises; its texts may quote what was sent, so they go no further than the log."""
    try:
        yield
    except OAuthError as error:
        word = error.error if re.fullmatch(r"[a-z_]{1,40}", str(error.error)) else "unknown"
        if word in PASSING:
            raise SignInUnavailable(detail=word) from None
        raise SignInRefused(WORDS.get(word), detail=word) from None
    except JoseError as error:
        raise SignInRefused(NOT_BELIEVED, detail=str(error)) from None
    except TenantError as error:
        raise SignInUnavailable(detail=error.detail or error.code()) from None
    except (OSError, ValueError, TypeError, KeyError) as error:  # an HTTP status, or an answer of another form
        raise SignInUnavailable(detail=type(error).__name__) from None


def _provider() -> SignInProvider:
    return cast("SignInProvider", current.bridge().oidc)


def _client() -> Any:  # noqa: ANN401 - Authlib says nothing of its types
    return current_app.extensions[REGISTRY].create_client(SOURCE)


class _Client(FlaskOAuth2App):  # type: ignore[misc]
    """Authlib's client, with our reading and keeping of what the service publishes, and our manners over HTTP."""

    def load_server_metadata(self) -> dict[str, Any]:
        return dict(_provider().metadata())

    def fetch_jwk_set(self, force: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - Authlib's signature
        return dict(_provider().keys(fresh=force))

    def _get_oauth_client(self, **metadata: Any) -> Any:  # noqa: ANN401 - Authlib says nothing of its types
        return _provider().tame(super()._get_oauth_client(**metadata))


class _Attempts(FlaskIntegration):  # type: ignore[misc]
    """Open sign-ins in Flask's session: an old one is none, and new ones push out the oldest."""

    def get_state_data(self, session: MutableMapping[str, Any], state: str | None) -> Any:  # noqa: ANN401
        self._clear_session_state(session)
        return super().get_state_data(session, state)

    def set_state_data(self, session: MutableMapping[str, Any], state: str, data: Mapping[str, Any]) -> None:
        self._clear_session_state(session)
        for key in sorted(session, key=lambda each: -session[each]["exp"])[MOST_ATTEMPTS - 1 :]:
            del session[key]
        super().set_state_data(session, state, data)


class _Registry(OAuth):  # type: ignore[misc]
    oauth2_client_cls = _Client
    framework_integration_cls = _Attempts
