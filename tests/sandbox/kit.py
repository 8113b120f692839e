"""The calls that tests make of a tenant in this process."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from functools import cache
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from bridge.sandbox.state import Client
    from bridge.sandbox.tenant import Tenant

PORTAL = "http://localhost:8000"
ORIGIN = "http://127.0.0.1:9001"
IMPERSONATION = "urn:qlik:oauth:user-impersonation"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@cache
def private_key(pem: str) -> RSAPrivateKey:
    """Reading a key checks its primes, which takes longer than a whole test."""
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


@dataclass
class Sandbox:
    """One tenant by its test client. Every request stands alone: no cookie jar."""

    tenant: Tenant
    http: FlaskClient
    _management: str = field(default="")

    @property
    def issuing(self) -> Client:
        return next(c for c in self.tenant.clients.values() if c.role == "issuing")

    @property
    def management(self) -> Client:
        return next(c for c in self.tenant.clients.values() if c.role == "management")

    def call(self, method: str, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - werkzeug names them
        return self.http.open(path, method=method, base_url=ORIGIN, **options)

    def switch(self, **choices: int | str) -> None:
        answer = self.call("POST", "/_sandbox/switches", json=choices)
        assert answer.status_code == 200, answer.text

    def reset(self) -> None:
        assert self.call("POST", "/_sandbox/reset").status_code == 204
        self._management = ""

    def clock(self, offset_s: float) -> None:
        self.call("POST", "/_sandbox/clock", json={"offset_s": offset_s})

    # cookies

    def claims(self, subject: str = "alice", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - claims are JSON
        """The claims of a correct login JWT; a change to None leaves the claim out."""
        now = self.tenant.now()
        claims = {
            "iss": self.tenant.identity_providers[0].issuer,
            "aud": "qlik.api/login/jwt-session",
            "sub": subject,
            "subType": "user",
            "name": subject.title(),
            "email": f"{subject}@example.com",
            "email_verified": True,
            "groups": ["Finance", "EMEA"],
            "jti": str(uuid.uuid4()),
            "iat": int(now),
            "nbf": int(now) - 5,
            "exp": int(now) + 60,
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def sign(self, claims: dict[str, Any], provider: int = 0, algorithm: str = "RS256") -> str:
        idp = self.tenant.identity_providers[provider]
        return jwt.encode(claims, private_key(idp.private_key), algorithm=algorithm, headers={"kid": idp.kid})

    def post_login(self, token: str, **headers: str) -> TestResponse:
        return self.call("POST", "/login/jwt-session", headers={"Authorization": f"Bearer {token}", **headers})

    def login(self, subject: str = "alice", **changes: Any) -> dict[str, str]:  # noqa: ANN401 - claims are JSON
        """Sign in and return the cookies."""
        answer = self.post_login(self.sign(self.claims(subject, **changes)))
        assert answer.status_code == 200, answer.text
        return cookies_of(answer)

    # OAuth

    def post_token(self, grant: str, client: Client, **fields: Any) -> TestResponse:  # noqa: ANN401 - fields are JSON
        named = {"client_id": client.client_id, "client_secret": client.client_secret}
        return self.call("POST", "/oauth/token", json={"grant_type": grant, **named, **fields})

    def impersonate(self, value: str = "alice", by: str = "subject", **fields: Any) -> TestResponse:  # noqa: ANN401 - fields are JSON
        lookup = {"field": by, "value": value}
        return self.post_token(IMPERSONATION, self.issuing, user_lookup=lookup, **fields)

    def token(self, subject: str = "alice") -> str:
        """Return an impersonation token of somebody who signed in."""
        self.login(subject)
        return str(self.impersonate(subject).json["access_token"])  # type: ignore[index]  # a success has a body

    def admin(self) -> str:
        if not self._management:
            answer = self.post_token("client_credentials", self.management)
            self._management = str(answer.json["access_token"])  # type: ignore[index]  # a success has a body
        return self._management

    def api(self, method: str, path: str, token: str = "", **options: Any) -> TestResponse:  # noqa: ANN401 - werkzeug names them
        """Call the REST API with a token, the administrator's if none is given."""
        return self.call(method, path, headers={"Authorization": f"Bearer {token or self.admin()}"}, **options)

    def me(self, token: str) -> dict[str, Any]:
        answer = self.api("GET", self.api("GET", "/api/v1/users/me", token).headers["Location"], token)
        assert answer.status_code == 200
        return dict(answer.json or {})


def cookies_of(answer: TestResponse) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.getlist("Set-Cookie"):
        jar.load(line)
    return {name: morsel.value for name, morsel in jar.items()}


def with_cookies(cookies: dict[str, str], **headers: str) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), **headers}


def group_names(user: dict[str, Any]) -> list[str]:
    return sorted(group["name"] for group in user["assignedGroups"] if group.get("providerType"))


def error(answer: TestResponse) -> dict[str, Any]:
    """Return the first entry of an error envelope."""
    body = answer.json
    assert body is not None
    assert len(body["traceId"]) == 32
    return dict(body["errors"][0])
