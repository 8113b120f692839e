"""/api/v1/identity-providers: whose JWTs the tenant believes. One has one key; another key is another provider."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, errors, paging
from bridge.sandbox.state import IdentityProvider, hex_id, iso
from bridge.sandbox.tenant import here

routes = Blueprint("identity_providers", __name__, url_prefix="/api/v1/identity-providers")

BOOLEANS = {"true": True, "false": False}


def shown(provider: IdentityProvider) -> dict[str, Any]:
    """Return a provider of protocol jwtAuth, which has one key at most."""
    tolerance = provider.clock_tolerance_s
    return {
        "id": provider.id,
        "active": provider.active,
        "clockToleranceSec": here().switches.clock_tolerance_s if tolerance is None else tolerance,
        "createNewUsersOnLogin": True,
        "created": iso(provider.created_at),
        "lastUpdated": iso(provider.created_at),
        "interactive": False,
        "description": provider.description,
        "protocol": "jwtAuth",
        "provider": "external",
        "tenantIds": [here().id],
        "options": {
            "issuer": provider.issuer,
            "jwtLoginEnabled": True,
            "staticKeys": [{"kid": provider.kid, "pem": provider.certificate}],
        },
    }


@routes.get("")
def get_providers() -> Response:
    """Qlik: GET /identity-providers, by `active`."""
    auth.admin()
    asked = request.args.get("active", "").strip()
    if asked and asked not in BOOLEANS:
        raise body.bad_request("active must be true or false")
    found = [entry for entry in here().identity_providers if not asked or entry.active is BOOLEANS[asked]]
    return jsonify(paging.page(found, shown))


@routes.post("")
def post_provider() -> tuple[Response, int]:
    """Qlik: POST /identity-providers, of protocol jwtAuth. 201. That issuer and key id are unique is our choice."""
    auth.admin()
    given = body.fields()
    options = given.get("options")
    if given.get("protocol") != "jwtAuth" or given.get("provider") != "external" or not isinstance(options, dict):
        raise body.bad_request("protocol must be jwtAuth, provider external, options an object")
    kid, pem = _static_key(options)
    issuer = body.text(options, "issuer", required=True)
    if any((entry.issuer, entry.kid) == (issuer, kid) for entry in here().identity_providers):
        raise body.bad_request("another identity provider has this issuer and kid")
    description, now = body.text(given, "description"), here().now()
    provider = IdentityProvider(hex_id(), description, issuer, kid, pem, "", _public_key(pem), now)
    here().identity_providers.append(provider)
    return jsonify(shown(provider)), 201


def _static_key(options: body.Fields) -> tuple[str, str]:
    """Qlik: staticKeys is limited to one key."""
    keys = options.get("staticKeys")
    if not isinstance(keys, list) or len(keys) != 1 or not isinstance(keys[0], dict):
        raise body.bad_request("options.staticKeys must hold one key")
    return body.text(keys[0], "kid", required=True), body.text(keys[0], "pem", required=True, longest=16_384)


def _public_key(pem: str) -> Any:  # noqa: ANN401 - a certificate's key may be of any kind
    """Return the key of a certificate, or a bare public key."""
    try:
        if "BEGIN CERTIFICATE" in pem:
            return x509.load_pem_x509_certificate(pem.encode()).public_key()
        return load_pem_public_key(pem.encode())
    except ValueError:
        raise body.bad_request("pem must be a certificate or a public key in PEM form") from None


@routes.get("/<provider_id>")
def get_provider(provider_id: str) -> Response:
    """Qlik: GET /identity-providers/{id}."""
    return jsonify(shown(_found(provider_id)))


@routes.delete("/<provider_id>")
def delete_provider(provider_id: str) -> Response:
    """Qlik: DELETE /identity-providers/{id}. 204."""
    here().identity_providers.remove(_found(provider_id))
    return Response(status=204)


def _found(provider_id: str) -> IdentityProvider:
    auth.admin()
    found = next((entry for entry in here().identity_providers if entry.id == provider_id), None)
    if found is None:
        raise errors.not_found("IDENTITY-PROVIDERS-404")
    return found
