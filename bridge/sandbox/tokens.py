"""Access tokens: ES384 JWTs without user data, and /api/v1/oauth-tokens."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import jwt
from flask import Blueprint, Response, g, jsonify, request
from jwt.algorithms import ECAlgorithm

from bridge.sandbox import auth, errors, events, paging
from bridge.sandbox.state import Client, Token, User, hex_id, iso
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from collections.abc import Iterator

routes = Blueprint("tokens", __name__)


def mint(
    tenant: Tenant, client: Client, user: User, kind: str, scope: str, grant: str, parent: Token | None = None
) -> Token:
    """Make a token. An exchanged one never outlives the token it came from."""
    now = tenant.now()
    expires = now + tenant.switches.access_token_s
    if parent:
        expires = min(parent.expires_at, now + tenant.switches.exchanged_token_s)
    token = Token(
        hex_id(), _signed(tenant, kind, now, expires), kind, user.id, client.client_id, scope, grant, now, expires
    )
    token.secret, token.parent = g.get("client_secret", ""), parent
    tenant.memory.tokens[token.token] = token
    events.token_issued(tenant, token)
    return token


def _signed(tenant: Tenant, kind: str, now: float, expires: float) -> str:
    claims = {
        "subType": "user",
        "purpose": "accessToken" if kind == "access" else kind,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now),
        "exp": int(expires),
        "aud": auth.own_origin(),
        "iss": "qlik.api",
    }
    return jwt.encode(claims, tenant.signing_key, algorithm="ES384", headers={"kid": tenant.signing_kid})


def public_jwk(tenant: Tenant) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(tenant.signing_key.public_key()))
    return {**public, "alg": "ES384", "use": "sig", "kid": tenant.signing_kid}


def live(tenant: Tenant) -> Iterator[Token]:
    tokens = list(tenant.memory.tokens.values())
    return (token for token in tokens if token.kind == "access" and auth.is_live(tenant, token))


def count_live(tenant: Tenant, user: User) -> int:
    return sum(token.user_id == user.id for token in live(tenant))


@routes.get("/api/v1/oauth-tokens")
def get_oauth_tokens() -> Response:
    """Qlik: GET /api/v1/oauth-tokens. One's own tokens; TenantAdmin sees everybody's."""
    tenant, principal = here(), auth.signed_in()
    owner = request.args.get("userId", "").strip()
    sees_all = tenant.is_admin(principal.user)
    found = [t for t in live(tenant) if owner in ("", t.user_id) and (sees_all or t.user_id == principal.user.id)]
    found.sort(key=lambda token: (token.user_id, token.issued_at))
    return jsonify(paging.page(found, _shown, cursor="page"))


@routes.delete("/api/v1/oauth-tokens/<token_id>")
def delete_oauth_token(token_id: str) -> Response:
    """Qlik: DELETE /api/v1/oauth-tokens/{id}. 204; later requests with the token fail."""
    tenant, principal = here(), auth.signed_in()
    token = next((entry for entry in live(tenant) if entry.id == token_id), None)
    if token is None or not (tenant.is_admin(principal.user) or token.user_id == principal.user.id):
        raise errors.not_found("OAUTH-TOKENS-404")
    token.revoked = True
    events.token_revoked(tenant, token, principal.user.id, by_bearer=False)
    return Response(status=204)


def _shown(token: Token) -> dict[str, Any]:
    used = {"lastUsed": iso(token.last_used)} if token.last_used else {}
    return {
        "id": token.id,
        "tenantId": here().id,
        "userId": token.user_id,
        "clientId": token.client_id,
        "description": "",
        "deviceType": "",
        **used,
    }
