"""What the bridge is compared with, as one gunicorn serves them all: an endpoint that does nothing, and two bridges.

BENCH_TENANTS says where the tenants are, as JSON: `{"20": "http://127.0.0.1:1234"}`; BENCH_KEY names the PEM file.
"""

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, cast

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flask import Flask, session
from requests.adapters import HTTPAdapter

IMPERSONATION = "urn:qlik:oauth:user-impersonation"
SECRET = "bench"


def claims(sub: str) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "portal",
        "aud": "qlik.api/login/jwt-session",
        "sub": sub,
        "subType": "user",
        "name": sub,
        "email": f"{sub}@example.com",
        "email_verified": True,
        "groups": ["Finance", "EMEA", "Pilots"],
        "jti": str(uuid.uuid4()),
        "iat": now,
        "nbf": now - 30,
        "exp": now + 60,
    }


def token_request(sub: str) -> dict[str, Any]:
    lookup = {"field": "subject", "value": sub}
    client = {"client_id": "client", "client_secret": "secret"}
    return {"grant_type": IMPERSONATION, "user_lookup": lookup, "scope": "user_default", **client}


def signed(sub: str, key: RSAPrivateKey | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode(claims(sub), key, 'RS256', headers={'kid': 'kid'})}"}


def pool() -> requests.Session:
    """Return a session that keeps its connections and reads no netrc, as the bridge's own does."""
    kept = requests.Session()
    kept.trust_env = False
    kept.mount("http://", HTTPAdapter(pool_connections=4, pool_maxsize=32))
    return kept


def round_trips(client: requests.Session, tenant: str, sub: str, key: RSAPrivateKey) -> float:
    """Make the calls of a first token and nothing else; return how long they took (ms), the signature aside."""
    headers = signed(sub, key)
    started = time.perf_counter()
    login = client.post(f"{tenant}/login/jwt-session", headers=headers, timeout=30)
    cookie = {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}
    for path in ("/api/v1/users/me", "/api/v1/users/id"):
        client.get(f"{tenant}{path}", headers=cookie, allow_redirects=False, timeout=30)
    client.post(f"{tenant}/oauth/token", json=token_request("id"), timeout=30)
    return (time.perf_counter() - started) * 1000


def create_app() -> Flask:
    app = Flask("bench.rivals")
    app.secret_key = SECRET
    tenants: dict[str, str] = json.loads(os.environ["BENCH_TENANTS"])
    pem = Path(os.environ["BENCH_KEY"]).read_text()
    key = cast("RSAPrivateKey", load_pem_private_key(pem.encode(), None))
    kept = pool()

    @app.post("/null")
    def null() -> str:
        """Say who is signed in."""
        return str(session["sub"])

    @app.post("/naive/<latency>")
    def naive(latency: str) -> str:
        """Log in and mint as a first try does: the key as text, a connection for each call."""
        sub, tenant = session["sub"], tenants[latency]
        requests.post(f"{tenant}/login/jwt-session", headers=signed(sub, pem), timeout=30).raise_for_status()
        answer = requests.post(f"{tenant}/oauth/token", json=token_request(sub), timeout=30)
        return str(answer.json()["access_token"])

    @app.post("/pooled/<latency>")
    def pooled(latency: str) -> str:
        """Log in and mint as well as can be without keeping a token: the key as an object, connections kept."""
        sub, tenant = session["sub"], tenants[latency]
        kept.post(f"{tenant}/login/jwt-session", headers=signed(sub, key), timeout=30).raise_for_status()
        return str(kept.post(f"{tenant}/oauth/token", json=token_request(sub), timeout=30).json()["access_token"])

    return app


def cookie(sub: str) -> str:
    """Return the Cookie header of somebody who is signed in there."""
    app = Flask("bench.rivals")
    app.secret_key = SECRET
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]  # Flask's own has it
    return f"session={serializer.dumps({'sub': sub})}"
