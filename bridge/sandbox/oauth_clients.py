"""/api/v1/oauth-clients: what each client may do, to be read, and its secrets, which show by their hints alone."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request
from jwt.algorithms import RSAAlgorithm

from bridge.sandbox import auth, errors, filters, paging
from bridge.sandbox.state import ClientSecret, iso
from bridge.sandbox.tenant import here

if TYPE_CHECKING:
    from bridge.sandbox.state import Client

routes = Blueprint("oauth_clients", __name__, url_prefix="/api/v1/oauth-clients")

MOST_SECRETS = 5
APP_TYPE, CREATED_BY = "web", "user"
SORTED_BY = ("clientId", "clientName", "appType", "tenantId", "createdAt", "updatedAt")
ATTRIBUTES = filters.Attributes(
    {
        "clientId": lambda client: [client.client_id],
        "clientName": lambda client: [client.client_name],
        "appType": lambda _: [APP_TYPE],
        "tenantId": lambda _: [here().id],
        "createdByType": lambda _: [CREATED_BY],
    },
    frozenset(),
)


def shown(client: Client) -> dict[str, Any]:
    known = client.secrets if "client_secret" in client.allowed_auth_methods else []
    return {
        "clientId": client.client_id,
        "clientName": client.client_name,
        "appType": APP_TYPE,
        "description": "",
        "tenantId": here().id,
        "allowedGrantTypes": client.allowed_grant_types,
        "allowedScopes": client.allowed_scopes,
        "allowedOrigins": client.allowed_origins,
        "allowedAuthMethods": client.allowed_auth_methods,
        "redirectUris": [],
        "clientSecrets": [_secret(secret) for secret in known],
        "publicKeys": _keys(client),
        "connectionConfig": _connection(client),
        "createdByType": CREATED_BY,
        "createdAt": iso(client.created_at),
        "updatedAt": iso(client.created_at),
        **({"publishedAt": iso(client.published_at)} if client.published_at is not None else {}),
        **({"disableTag": "disabled"} if client.disabled else {}),
    }


def _secret(secret: ClientSecret) -> dict[str, Any]:
    return {"hint": secret.hint, "createdAt": iso(secret.created_at), "createdBy": ""}


def _keys(client: Client) -> list[dict[str, Any]]:
    if client.public_key is None:
        return []
    public: dict[str, Any] = RSAAlgorithm.to_jwk(client.public_key, as_dict=True)
    kept = {name: public[name] for name in ("kty", "n", "e")}
    return [{**kept, "alg": "RS256", "use": "sig", "kid": client.key_id}]


def _connection(client: Client) -> dict[str, Any]:
    return {"consentMethod": client.consent, "status": "approved", "deletedByOwner": False}


@routes.get("")
def get_clients() -> Response:
    """Qlik: GET /oauth-clients, by `filter`, in the order of `sort`."""
    auth.admin()
    found = list(here().clients.values())
    if text := request.args.get("filter", "").strip():
        expression = filters.parse(text, ATTRIBUTES)
        found = [client for client in found if expression.matches(client)]
    name, down = paging.sort_order(SORTED_BY, "+clientName")
    found.sort(key=lambda client: (str(shown(client)[name]).lower(), client.client_id), reverse=down)
    return jsonify(paging.page(found, shown))


@routes.get("/<client_id>")
def get_client(client_id: str) -> Response:
    """Qlik: GET /oauth-clients/{id}."""
    return jsonify(shown(_found(client_id)))


@routes.get("/<client_id>/connection-configs/me")
def get_connection(client_id: str) -> Response:
    """Qlik: GET /oauth-clients/{id}/connection-configs/me: the consent, here and now."""
    return jsonify(_connection(_found(client_id)))


@routes.post("/<client_id>/client-secrets")
def post_secret(client_id: str) -> tuple[Response, int]:
    """Qlik: POST /oauth-clients/{id}/client-secrets. 201, the secret shows this once; 409 beyond five."""
    client = _found(client_id)
    if len(client.secrets) >= MOST_SECRETS:
        raise errors.ApiError(409, "OAUTH-CLIENTS-409", "Conflict", f"A client has {MOST_SECRETS} secrets at most")
    secret = new_secret(client)
    return jsonify({"clientId": client_id, "clientSecret": secret.value, **_secret(secret)}), 201


@routes.delete("/<client_id>/client-secrets/<hint>")
def delete_secret(client_id: str, hint: str) -> Response:
    """Qlik: DELETE /oauth-clients/{id}/client-secrets/{hint}. 204. That the last one may go is our choice."""
    client = _found(client_id)
    secret = next((each for each in client.secrets if each.hint == hint), None)
    if secret is None:
        raise errors.not_found("OAUTH-CLIENTS-404")
    end_secret(client, secret)
    return Response(status=204)


def new_secret(client: Client) -> ClientSecret:
    """Give a client one more secret, with a hint of its own."""
    taken = {each.hint for each in client.secrets}
    while (secret := ClientSecret(secrets.token_hex(32), here().now())).hint in taken:
        continue
    client.secrets.append(secret)
    return secret


def end_secret(client: Client, secret: ClientSecret) -> None:
    client.secrets.remove(secret)
    if here().switches.tokens_of_rotated_secret == "die":  # noqa: S105 - a switch
        for token in here().memory.tokens.values():
            token.revoked = token.revoked or token.secret == secret.value


def _found(client_id: str) -> Client:
    auth.admin()
    client = here().clients.get(client_id)
    if client is None:
        raise errors.not_found("OAUTH-CLIENTS-404")
    return client
