"""/api/v1/oauth-clients, to be read: what each client may do. A secret shows by its hint alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request
from jwt.algorithms import RSAAlgorithm

from bridge.sandbox import auth, errors, filters, paging
from bridge.sandbox.state import iso
from bridge.sandbox.tenant import here

if TYPE_CHECKING:
    from bridge.sandbox.state import Client

routes = Blueprint("oauth_clients", __name__, url_prefix="/api/v1/oauth-clients")

HINT = 5
"""Qlik: a hint has five characters at most; that they are the secret's last ones is our choice."""
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
    secret = {"hint": client.client_secret[-HINT:], "createdAt": iso(client.secret_created_at), "createdBy": ""}
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
        "clientSecrets": [secret] if "client_secret" in client.allowed_auth_methods else [],
        "publicKeys": _keys(client),
        "connectionConfig": _connection(client),
        "createdByType": CREATED_BY,
        "createdAt": iso(client.created_at),
        "updatedAt": iso(client.created_at),
        **({"publishedAt": iso(client.published_at)} if client.published_at is not None else {}),
        **({"disableTag": "disabled"} if client.disabled else {}),
    }


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


def _found(client_id: str) -> Client:
    auth.admin()
    client = here().clients.get(client_id)
    if client is None:
        raise errors.not_found("OAUTH-CLIENTS-404")
    return client
