"""POST /oauth/token and /oauth/revoke, and the two well-known documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, client_auth, events, tokens
from bridge.sandbox.errors import ApiError
from bridge.sandbox.state import Client, Token, User, iso
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from collections.abc import Callable

routes = Blueprint("oauth", __name__)

CLIENT_CREDENTIALS = "client_credentials"
IMPERSONATION = "urn:qlik:oauth:user-impersonation"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a URN
PURPOSES = ("websocket", "webresource")


@routes.post("/oauth/token")
def post_token() -> Response:
    """Qlik: POST /oauth/token, JSON or form."""
    given = body.fields_or_form()
    grant = GRANTS.get(str(given.get("grant_type")))
    if grant is None:
        raise ApiError(400, "OAUTH-903", "Invalid request", "unsupported grant_type")
    return grant(here(), given)


def client_credentials(tenant: Tenant, given: body.Fields) -> Response:
    """Issue a token for the client's own bot user."""
    client = _granted(tenant, given, CLIENT_CREDENTIALS)
    scope = _scope(tenant, client, given)
    bot = next(user for user in tenant.users() if user.client_id == client.client_id)
    _check_usable(tenant, bot)
    return _answer(tokens.mint(tenant, client, bot, "access", scope, CLIENT_CREDENTIALS))


def impersonation(tenant: Tenant, given: body.Fields) -> Response:
    """Issue a token for an existing user, on the word of a trusted client."""
    client = _granted(tenant, given, IMPERSONATION)
    if client.consent != "trusted":
        raise ApiError(tenant.switches.consent_required_status, "OAUTH-904", "Forbidden", "Consent is not trusted")
    scope = _scope(tenant, client, given)
    user = _looked_up(tenant, given)
    _check_usable(tenant, user)
    return _answer(tokens.mint(tenant, client, user, "access", scope, IMPERSONATION))


def token_exchange(tenant: Tenant, given: body.Fields) -> Response:
    """Issue a short token for a websocket or web resource. No secret, so the origin must be the client's."""
    client = client_auth.known_client(tenant, client_auth.claimed_client_id(given))
    if request.headers.get("Origin") not in (*client.allowed_origins, auth.own_origin()):
        raise ApiError(tenant.switches.bad_origin_status, "OAUTH-29", "Invalid Origin Header")
    if given.get("subject_token_type") != ACCESS_TOKEN_TYPE or given.get("purpose") not in PURPOSES:
        raise ApiError(400, "OAUTH-905", "Invalid request", "subject_token_type or purpose is not supported")
    parent = tenant.memory.tokens.get(str(given.get("subject_token")))
    if parent is None or parent.kind != "access" or not auth.is_live(tenant, parent):
        raise ApiError(401, "OAUTH-906", "Unauthorized", "The subject token is not valid")
    if parent.client_id != client.client_id:
        raise ApiError(401, "OAUTH-906", "Unauthorized", "The subject token belongs to another client")
    user = tenant.memory.users[parent.user_id]
    token = tokens.mint(tenant, client, user, given["purpose"], parent.scope, EXCHANGE, parent)
    return _answer(token, issued_token_type=ACCESS_TOKEN_TYPE)


GRANTS: dict[str, Callable[[Tenant, body.Fields], Response]] = {
    CLIENT_CREDENTIALS: client_credentials,
    IMPERSONATION: impersonation,
    EXCHANGE: token_exchange,
}


def _granted(tenant: Tenant, given: body.Fields, grant: str) -> Client:
    client = client_auth.authenticated_client(tenant, given)
    if grant not in client.allowed_grant_types:
        raise client_auth.invalid_client(tenant.switches.grant_not_enabled_status)
    return client


def _scope(tenant: Tenant, client: Client, given: body.Fields) -> str:
    """Return the scopes asked for, each of which the client must have; none asked for means all of them."""
    asked = given.get("scope") or " ".join(client.allowed_scopes)
    if not isinstance(asked, str):
        raise body.bad_request("scope must be a string")
    wanted = list(dict.fromkeys(asked.split()))
    if not set(wanted) <= set(client.allowed_scopes):
        detail = "The client does not have the requested scope"
        raise ApiError(tenant.switches.foreign_scope_status, "OAUTH-907", "Invalid scope", detail)
    return " ".join(wanted)


def _looked_up(tenant: Tenant, given: body.Fields) -> User:
    """Qlik: `user_lookup.field` is `subject` or `userId`, nothing else."""
    lookup = given.get("user_lookup")
    if not isinstance(lookup, dict) or not isinstance(lookup.get("value"), str):
        raise ApiError(400, "OAUTH-908", "Invalid request", "user_lookup needs field and value")
    if lookup.get("field") not in ("subject", "userId"):
        raise ApiError(400, "OAUTH-908", "Invalid request", "user_lookup.field must be subject or userId")
    value = lookup["value"]
    by_subject = lookup["field"] == "subject"
    user = tenant.user_by_subject(value) if by_subject else tenant.memory.users.get(value)
    auth.note(user=user.subject if user else value)
    is_closed = user is not None and user.status == "invited" and tenant.switches.impersonate_invited == "refuse"
    if user is None or user.client_id or is_closed:
        raise ApiError(tenant.switches.impersonate_unknown_status, "OAUTH-909", "Unauthorized", "User not found")
    return user


def _check_usable(tenant: Tenant, user: User) -> None:
    """Qlik: 403 for a disabled user and for one who has the maximum number of tokens."""
    auth.note(user=user.subject)
    if user.status == "disabled":
        raise ApiError(403, "OAUTH-910", "Forbidden", "The user is disabled")
    most = tenant.switches.max_tokens_per_user
    if most and tokens.count_live(tenant, user) >= most:
        raise ApiError(403, "OAUTH-911", "Forbidden", "The user has reached the maximum number of tokens")


def _answer(token: Token, **extra: str) -> Response:
    fields: dict[str, object] = {
        "access_token": token.token,
        "token_type": "bearer",
        "scope": token.scope,
        "expires_at": iso(token.expires_at),
        "expires_in": round(token.expires_at - token.issued_at),
        "auth_time": int(token.issued_at),
        **extra,
    }
    left_out = here().switches.token_response.removeprefix("no_")
    fields.pop(left_out, None)
    return jsonify(fields)


@routes.post("/oauth/revoke")
def post_revoke() -> Response:
    """Qlik: POST /oauth/revoke. 200, or 400 for a request without a token. RFC 7009 for the rest."""
    tenant = here()
    given = body.fields_or_form()
    if tenant.switches.revoke_client_auth == "required":
        client_auth.authenticated_client(tenant, given)
    if not isinstance(given.get("token"), str):
        raise ApiError(400, "OAUTH-912", "Invalid request", "token is required")
    token = tenant.memory.tokens.get(given["token"])
    if token is None:
        return _unknown_token(tenant)
    owner = tenant.memory.users.get(token.user_id)
    auth.note(token.client_id, owner.subject if owner else None)
    if not token.revoked:
        events.token_revoked(tenant, token, token.user_id, by_bearer=True)
    token.revoked = True
    return Response(status=200)


def _unknown_token(tenant: Tenant) -> Response:
    if tenant.switches.revoke_unknown_status != 200:  # noqa: PLR2004 - the status is the switch
        raise ApiError(400, "OAUTH-912", "Invalid request", "The token is not known")
    return Response(status=200)


@routes.get("/.well-known/oauth-authorization-server")
def get_metadata() -> Response:
    """Qlik: GET /.well-known/oauth-authorization-server, without authentication."""
    origin = auth.own_origin()
    return jsonify(
        issuer=origin,
        jwks_uri=f"{origin}/.well-known/jwks.json",
        token_endpoint=f"{origin}/oauth/token",
        revocation_endpoint=f"{origin}/oauth/revoke",
        authorization_endpoint=f"{origin}/oauth/authorize",
        grant_types_supported=list(GRANTS),
        response_types_supported=["code"],
    )


@routes.get("/.well-known/jwks.json")
def get_jwks() -> Response:
    """Qlik: GET /.well-known/jwks.json, the keys of access tokens."""
    return jsonify(keys=[tokens.public_jwk(here())])
