"""A small sign-in service in a process of its own, made from Authlib's own server parts.

`python tests/oidc_provider.py PORT BRIDGE_ORIGIN`. No passwords: the form asks who you are. `PUT /_control` makes it
misbehave (see `Mischief`), `GET /_control` tells what it was asked.
"""

import base64
import json
import logging
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from authlib.common.security import generate_token
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo, UserInfoEndpoint
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.rpinitiated import EndSessionEndpoint
from flask import Flask, Response, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from werkzeug.serving import make_server

CLIENT_ID = "qlik-bridge"
CLIENT_SECRET = "a-secret-between-two-servers"
COOKIE = "provider_session"
PEOPLE: dict[str, dict[str, Any]] = {
    "ada": {"name": "Ada Archer", "email": "ada@example.com", "groups": ["EMEA", "Finance"]},
    "erin": {"name": "Erin Ellis", "email": "erin@example.com", "groups": ["bridge-admins"]},
    "carol": {"name": "Carol Chen", "email": "carol@example.com", "groups": []},
    "Ada": {"name": "Another Ada", "email": "another@example.com", "groups": ["Sales"]},
    "Ådá o'neil\"\\ 🦊": {"name": "Ådá O'Neil", "email": "o@example.com", "groups": ["Größe, rot", "🦊"]},
}
FORM = '<form method="post"><input name="username" aria-label="User"><button>Sign in</button></form>'


@dataclass
class Mischief:
    """How the service misbehaves. A claim of None is left out."""

    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    alg: str = "RS256"
    stranger: bool = False
    id_token: bool = True
    status: dict[str, int] = field(default_factory=dict)
    hang: list[str] = field(default_factory=list)
    bare: bool = False
    """As some services are: keys that name no algorithm, among others that nobody here can use, and no `kid`."""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class Client:
    """The bridge, as it is registered."""

    bridge: str

    @property
    def client_metadata(self) -> dict[str, Any]:
        return {"post_logout_redirect_uris": [f"{self.bridge}/login"]}

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, uri: str) -> bool:
        return uri == f"{self.bridge}/login/callback"

    def check_client_secret(self, secret: str) -> bool:
        return secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"


@dataclass
class Code:
    """An authorization code, good for one exchange."""

    code: str
    user: str
    asked: dict[str, str]
    auth_time: int = field(default_factory=lambda: int(time.time()))

    @property
    def code_challenge(self) -> str | None:
        return self.asked.get("code_challenge")

    @property
    def code_challenge_method(self) -> str | None:
        return self.asked.get("code_challenge_method")

    def get_redirect_uri(self) -> str | None:
        return self.asked.get("redirect_uri")

    def get_scope(self) -> str | None:
        return self.asked.get("scope")

    def get_nonce(self) -> str | None:
        return self.asked.get("nonce")

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class AccessToken:
    user: str
    scope: str

    def is_expired(self) -> bool:
        return False

    def is_revoked(self) -> bool:
        return False

    def get_scope(self) -> str:
        return self.scope

    def get_client(self) -> Any:  # noqa: ANN401 - whatever Authlib looks at
        return type("Asked", (), {"client_metadata": {}, "client_id": CLIENT_ID})()

    def get_user(self) -> str:
        return self.user


@dataclass
class World:
    """Everything that the service knows."""

    issuer: str
    client: Client
    mischief: Mischief = field(default_factory=Mischief)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, AccessToken] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    key_number: int = 1
    keys: dict[str, RSAKey] = field(default_factory=dict)

    @property
    def kid(self) -> str:
        return f"key-{self.key_number}"

    def key(self) -> RSAKey:
        """Return the key that signs now."""
        if self.kid not in self.keys:
            self.keys = {self.kid: RSAKey.generate_key(2048, {"kid": self.kid, "use": "sig", "alg": "RS256"})}
        return self.keys[self.kid]


def claims_of(user: str, changes: dict[str, Any]) -> dict[str, Any]:
    known = {"sub": user, **PEOPLE[user], **changes}
    return {name: value for name, value in known.items() if value is not None}


def app_of(world: World) -> Flask:  # noqa: C901 - one service, read from top to bottom
    app = Flask(__name__)
    server = AuthorizationServer(
        app,
        query_client=lambda client_id: world.client if client_id == CLIENT_ID else None,
        save_token=lambda token, asked: world.tokens.update(
            {token["access_token"]: AccessToken(asked.user, token["scope"])}
        ),
    )

    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        def save_authorization_code(self, code: str, asked: Any) -> None:  # noqa: ANN401
            world.codes[code] = Code(code, asked.user, asked.payload.data)

        def query_authorization_code(self, code: str, _client: Client) -> Code | None:
            return world.codes.get(code)

        def delete_authorization_code(self, code: Code) -> None:
            world.codes.pop(code.code, None)

        def authenticate_user(self, code: Code) -> str:
            return code.user

    class IdTokens(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, _asked: Any) -> bool:  # noqa: ANN401
            return nonce in world.nonces

        def resolve_client_private_key(self, _client: Client) -> RSAKey:
            return world.key()

        def get_client_claims(self, _client: Client) -> dict[str, Any]:
            return {"iss": world.issuer, "aud": CLIENT_ID}

        def get_encode_header(self, _client: Client) -> dict[str, str]:
            return {"alg": "RS256", "kid": world.kid}

        def get_client_algorithm(self, _client: Client) -> str:
            return "RS256"

        def generate_user_info(self, user: str, _scope: str) -> UserInfo:
            return UserInfo(sub=user, **PEOPLE[user])

        def process_token(self, grant: Any, response: Any) -> Any:  # noqa: ANN401
            token = super().process_token(grant, response)
            if not world.mischief.id_token:
                token.pop("id_token")
            else:
                token["id_token"] = forged(world, token["id_token"])
            return token

    class Ending(EndSessionEndpoint):  # type: ignore[misc]
        def get_server_jwks(self) -> dict[str, Any]:
            return {"keys": [world.key().as_dict(private=False)]}

        def is_post_logout_redirect_uri_legitimate(self, *_: Any) -> bool:  # noqa: ANN401
            return True

        def end_session(self, _asked: Any) -> None:  # noqa: ANN401
            world.sessions.pop(request.cookies.get(COOKIE, ""), None)

    class Tokens(BearerTokenValidator):  # type: ignore[misc]
        def authenticate_token(self, value: str) -> AccessToken | None:
            return world.tokens.get(value)

    class Info(UserInfoEndpoint):  # type: ignore[misc]
        def generate_user_info(self, user: str, _scope: str) -> UserInfo:
            return UserInfo(claims_of(user, world.mischief.userinfo))

    protector = ResourceProtector()
    protector.register_token_validator(Tokens())
    server.register_grant(Grant, [CodeChallenge(required=True), IdTokens(require_nonce=True)])
    server.register_endpoint(Ending)
    server.register_endpoint(Info(resource_protector=protector))

    @app.before_request
    def misbehave() -> ResponseReturnValue | None:
        world.asked[request.path] += 1
        if request.path in world.mischief.hang:
            threading.Event().wait(3)
        status = world.mischief.status.get(request.path)
        return Response("<h1>not today</h1>", status) if status else None

    @app.get("/.well-known/openid-configuration")
    def discovery() -> Response:
        known = {
            "issuer": world.issuer,
            "authorization_endpoint": f"{world.issuer}/authorize",
            "token_endpoint": f"{world.issuer}/token",
            "userinfo_endpoint": f"{world.issuer}/userinfo",
            "jwks_uri": f"{world.issuer}/jwks",
            "end_session_endpoint": f"{world.issuer}/end",
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "HS256", "none"],
            **world.mischief.metadata,
        }
        return jsonify({name: value for name, value in known.items() if value is not None})

    @app.get("/jwks")
    def jwks() -> Response:
        key = world.key().as_dict(private=False)
        if not world.mischief.bare:
            return jsonify(keys=[key])
        bare = {name: value for name, value in key.items() if name != "alg"} | {"x5c": ["MII"], "issuer": world.issuer}
        others = [{"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "x"}, {**bare, "use": "enc", "kid": "enc"}]
        return jsonify(keys=[*others, bare])

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize() -> ResponseReturnValue:
        known = request.cookies.get(COOKIE, "")
        user = request.form.get("username") or world.sessions.get(known, "")
        if request.method == "GET" and not user:
            return FORM
        try:
            grant = server.get_consent_grant(end_user=user)
        except OAuth2Error as error:
            return f"{error.error}: {error.description}", 400
        answer: Response = server.create_authorization_response(
            grant_user=user if user in PEOPLE else None, grant=grant
        )
        known = generate_token(24)
        world.sessions[known] = user
        answer.set_cookie(COOKIE, known, httponly=True)
        return answer

    @app.post("/token")
    def token() -> Response:
        answer: Response = server.create_token_response()
        return answer

    @app.get("/userinfo")
    def userinfo() -> Response:
        answer: Response = server.create_endpoint_response("userinfo")
        return answer

    @app.get("/end")
    def end() -> ResponseReturnValue:
        answer = make_response(server.create_endpoint_response("end_session") or "You are signed out.")
        answer.delete_cookie(COOKIE)
        return answer

    @app.put("/_control")
    def control() -> Response:
        world.mischief = Mischief(**request.get_json())
        return jsonify({})

    @app.post("/_control/rotate")
    def rotate() -> Response:
        world.key_number += 1
        return jsonify(kid=world.key().kid)

    @app.get("/_control")
    def told() -> Response:
        return jsonify(asked=world.asked, sessions=sorted(world.sessions.values()), tokens=list(world.tokens))

    return app


def forged(world: World, honest: str) -> str:
    """Return the ID token with the mischief of now."""
    mischief = world.mischief
    payload = honest.split(".")[1]
    claims = {**json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))), **mischief.claims}
    claims = {name: value for name, value in claims.items() if value is not None}
    header = {"alg": mischief.alg} | ({} if mischief.bare else {"kid": world.kid})
    if mischief.alg == "none":
        parts = [json.dumps(each).encode() for each in (header, claims)]
        return ".".join([*(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts), ""])
    if mischief.alg.startswith("HS"):
        return jwt.encode(header, claims, OctKey.import_key(CLIENT_SECRET.ljust(32, "-")), [mischief.alg])
    own = {name: value for name, value in world.key().as_dict(private=True).items() if name != "alg"}
    key = RSAKey.generate_key(2048) if mischief.stranger else RSAKey.import_key(own)
    return jwt.encode(header, claims, key, [mischief.alg])


def main() -> None:
    port, bridge = int(sys.argv[1]), sys.argv[2]
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback, plain http
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    world = World(f"http://127.0.0.1:{port}", Client(bridge))
    world.key()
    make_server("127.0.0.1", port, app_of(world), threaded=True).serve_forever()


if __name__ == "__main__":
    main()
