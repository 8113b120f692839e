"""/api/v1/identity-providers, to be read: whose JWTs the tenant believes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, errors, paging
from bridge.sandbox.state import iso
from bridge.sandbox.tenant import here

if TYPE_CHECKING:
    from bridge.sandbox.state import IdentityProvider

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


@routes.get("/<provider_id>")
def get_provider(provider_id: str) -> Response:
    """Qlik: GET /identity-providers/{id}."""
    auth.admin()
    found = next((entry for entry in here().identity_providers if entry.id == provider_id), None)
    if found is None:
        raise errors.not_found("IDENTITY-PROVIDERS-404")
    return jsonify(shown(found))
