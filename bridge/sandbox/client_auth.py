"""Which OAuth client is calling: secret in the body, HTTP Basic, or private_key_jwt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import jwt
from flask import g, request

from bridge.sandbox import auth, body
from bridge.sandbox.errors import ApiError
from bridge.sandbox.jwt_login import PYJWT_CHECKS, unverified
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from bridge.sandbox.state import Client

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ["RS256", "RS512", "ES384"]
ASSERTION_MAX_S = 300


def credentials(given: body.Fields) -> tuple[str, str]:
    """Return client id and secret of the body or of HTTP Basic; empty where there is none."""
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        # RFC 6749 has both parts form-encoded inside Basic; ids and secrets here hold nothing that changes.
        return unquote_plus(basic.username or ""), unquote_plus(basic.password or "")
    client_id, secret = given.get("client_id"), given.get("client_secret")
    return (client_id if isinstance(client_id, str) else "", secret if isinstance(secret, str) else "")


def claimed_client_id(given: body.Fields) -> str:
    client_id, _secret = credentials(given)
    if client_id or not isinstance(given.get("client_assertion"), str):
        return client_id
    _header, claims = unverified(given["client_assertion"])
    return claims["iss"] if isinstance(claims.get("iss"), str) else ""


def paying_client() -> str | None:
    """Return the client whose rate budget an OAuth call spends, as far as the call names one we know."""
    try:
        given = body.fields_or_form()
    except ApiError:
        return None
    if client := here().clients.get(claimed_client_id(given)):
        return client.client_id
    token = given.get("token")
    known = here().memory.tokens.get(token) if isinstance(token, str) else None
    return known.client_id if known else None


def known_client(tenant: Tenant, client_id: str) -> Client:
    """Qlik: 400 OAUTH-14 "Invalid client_id" for a client that the tenant does not know, or has disabled."""
    auth.note(client=client_id)
    client = tenant.clients.get(client_id)
    if client is None or client.disabled:
        raise invalid_client(tenant.switches.unknown_client_status)
    return client


def invalid_client(status: int) -> ApiError:
    return ApiError(status, "OAUTH-14", "Invalid client_id", "OAuth client is not authorized")


def authenticated_client(tenant: Tenant, given: body.Fields) -> Client:
    """Return the client that proved itself, or refuse."""
    client = known_client(tenant, claimed_client_id(given))
    if "client_assertion" in given:
        check_assertion(tenant, client, given)
        return client
    _client_id, secret = credentials(given)
    known = [each for each in client.secrets if auth.same(secret, each.value)]
    if not known or "client_secret" not in client.allowed_auth_methods:
        raise invalid_client(tenant.switches.wrong_secret_status)
    g.client_secret = secret
    return client


def check_assertion(tenant: Tenant, client: Client, given: body.Fields) -> None:
    """Qlik: private_key_jwt. iss = sub = client id, aud = TENANT/oauth/token, fresh jti, at most 5 minutes."""
    if given.get("client_assertion_type") != ASSERTION_TYPE:
        raise ApiError(400, "OAUTH-901", "unsupported_client_assertion_type")
    if "private_key_jwt" not in client.allowed_auth_methods:
        raise invalid_assertion("unauthorized_client: private_key_jwt is not enabled on the client")
    claims = _verified(client, given["client_assertion"])
    for problem in _problems(claims, client.client_id, tenant.now(), tenant.switches.clock_tolerance_s):
        raise invalid_assertion(problem)
    _use_once(tenant, client, claims)


def invalid_assertion(detail: str) -> ApiError:
    return ApiError(401, "OAUTH-902", "Invalid client assertion", detail)


def _verified(client: Client, assertion: object) -> dict[str, Any]:
    if not isinstance(assertion, str):
        raise body.bad_request("client_assertion must be a string")
    header, _claims = unverified(assertion)
    if header.get("kid") != client.key_id:
        raise invalid_assertion("signature validation failed: unknown kid")
    options = {"verify_signature": True} | dict.fromkeys(PYJWT_CHECKS, False)
    try:
        return jwt.decode(assertion, client.public_key, algorithms=ASSERTION_ALGORITHMS, options=options)  # type: ignore[arg-type,unused-ignore]
    except jwt.PyJWTError:
        raise invalid_assertion("signature validation failed") from None


def _problems(claims: dict[str, Any], client_id: str, now: float, tolerance: int) -> list[str]:
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or not isinstance(expires, int) or not isinstance(claims.get("jti"), str):
        return ["iat, exp and jti are required"]
    broken = {
        "invalid client: iss and sub must be the client id": {claims.get("iss"), claims.get("sub")} != {client_id},
        "invalid audience": claims.get("aud") != f"{auth.own_origin()}/oauth/token",
        "the assertion lives longer than 5 minutes": expires - issued > ASSERTION_MAX_S,
        "the assertion is expired": now > expires + tolerance,
        "the assertion is from the future": issued > now + tolerance + 1,
    }
    return [problem for problem, is_broken in broken.items() if is_broken]


def _use_once(tenant: Tenant, client: Client, claims: dict[str, Any]) -> None:
    key = (client.client_id, claims["jti"])
    if tenant.memory.seen_jtis.get(key, 0) >= tenant.now():
        raise invalid_assertion("the jti was used before")
    tenant.memory.seen_jtis[key] = claims["exp"]
