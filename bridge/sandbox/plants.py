"""Controls under /_sandbox that make an administrator's mistakes: in clients, identity providers, web integrations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cryptography import x509
from flask import Blueprint, Response, jsonify

from bridge.sandbox import body, control_state, oauth_clients
from bridge.sandbox.control import only, only_loopback
from bridge.sandbox.errors import not_found
from bridge.sandbox.tenant import here

if TYPE_CHECKING:
    from bridge.sandbox.state import Client

routes = Blueprint("plants", __name__, url_prefix="/_sandbox")
routes.before_request(only_loopback)

DAY_S = 86400
OLDEST_DAYS = 36500
CLIENT_LISTS = ("allowed_grant_types", "allowed_scopes", "allowed_origins", "allowed_auth_methods")
CLIENT_FIELDS: dict[str, Any] = {
    **dict.fromkeys(CLIENT_LISTS, list),
    "consent_method": str,
    "published": bool,
    "disabled": bool,
    "secret_age_days": (int, float),
}
PROVIDER_FIELDS: dict[str, Any] = {"issuer": str, "kid": str, "certificate": str, "active": bool}
INTEGRATION_FIELDS: dict[str, Any] = {"name": str, "valid_origins": list}


@routes.patch("/clients/<client_id>")
def patch_client(client_id: str) -> Response:
    """Change what a client may do, whether it is published or disabled, and how old its secret is."""
    client, now = _client(client_id), here().now()
    given = only(body.fields(), CLIENT_FIELDS)
    if "published" in given:
        client.published_at = now if given.pop("published") else None
    if "secret_age_days" in given:
        created_at = now - _age_days(given.pop("secret_age_days")) * DAY_S
        client.secrets = [replace(secret, created_at=created_at) for secret in client.secrets]
    for name, value in given.items():
        setattr(client, name, value)
    return jsonify(control_state.client(client))


def _age_days(given: float) -> float:
    if not 0 <= given <= OLDEST_DAYS:
        raise body.bad_request(f"secret_age_days must be 0 to {OLDEST_DAYS}")
    return given


@routes.post("/clients/<client_id>/secret")
def post_secret(client_id: str) -> Response:
    """Revoke the client's secrets and answer a new one."""
    client = _client(client_id)
    for secret in list(client.secrets):
        oauth_clients.end_secret(client, secret)
    return jsonify(client_id=client_id, client_secret=oauth_clients.new_secret(client).value)


def _client(client_id: str) -> Client:
    client = here().clients.get(client_id)
    if client is None:
        raise not_found("SANDBOX-404")
    return client


@routes.patch("/identity-providers/<provider_id>")
def patch_provider(provider_id: str) -> Response:
    """Change what Qlik lets nobody change: issuer, key id, certificate, whether it is active."""
    providers, place = here().identity_providers, _place(here().identity_providers, provider_id)
    given = only(body.fields(), PROVIDER_FIELDS)
    if "certificate" in given:
        given["public_key"] = _certificate(given["certificate"]).public_key()
    providers[place] = replace(providers[place], **given)
    return jsonify(control_state.provider(here(), providers[place]))


@routes.delete("/identity-providers/<provider_id>")
def delete_provider(provider_id: str) -> Response:
    del here().identity_providers[_place(here().identity_providers, provider_id)]
    return Response(status=204)


@routes.patch("/web-integrations/<integration_id>")
def patch_integration(integration_id: str) -> Response:
    integrations, place = here().web_integrations, _place(here().web_integrations, integration_id)
    given = only(body.fields(), INTEGRATION_FIELDS)
    origins = given.pop("valid_origins", integrations[place].valid_origins)
    if not all(isinstance(origin, str) for origin in origins):
        raise body.bad_request("valid_origins must be a list of origins")
    integrations[place] = replace(integrations[place], valid_origins=tuple(origins), **given)
    return jsonify(control_state.integration(integrations[place]))


@routes.delete("/web-integrations/<integration_id>")
def delete_integration(integration_id: str) -> Response:
    del here().web_integrations[_place(here().web_integrations, integration_id)]
    return Response(status=204)


def _place(entries: list[Any], entry_id: str) -> int:
    place = next((number for number, entry in enumerate(entries) if entry.id == entry_id), None)
    if place is None:
        raise not_found("SANDBOX-404")
    return place


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise body.bad_request("certificate must be one in PEM form") from None
