"""What happened in a tenant, as CloudEvents name it; `GET /api/v1/audits` shows it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from flask import request

from bridge.sandbox.state import Event, iso

if TYPE_CHECKING:
    from bridge.sandbox.state import IdentityProvider, Token, User
    from bridge.sandbox.tenant import Tenant

SESSION_BEGIN, SESSION_END = "com.qlik.user-session.begin", "com.qlik.user-session.end"
TOKEN_ISSUED, TOKEN_REVOKED = "com.qlik.oauth-token.issued", "com.qlik.oauth-token.revoked"
TYPES = (TOKEN_ISSUED, TOKEN_REVOKED, SESSION_BEGIN, SESSION_END)
EDGE_AUTH = "com.qlik/edge-auth"
"""Qlik names this source for sessions, and none for tokens."""
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


def session_began(tenant: Tenant, user: User, provider: IdentityProvider) -> None:
    data = {"idpId": provider.id, "subject": user.subject, "recovery": False, "userType": "user"}
    _record(tenant, SESSION_BEGIN, user.id, data)


def session_ended(tenant: Tenant, user_id: str) -> None:
    user = tenant.memory.users.get(user_id)
    _record(tenant, SESSION_END, user_id, {"subject": user.subject if user else ""})


def token_issued(tenant: Tenant, token: Token) -> None:
    """Tell of a token; its `id` is the one that `/api/v1/oauth-tokens` lists."""
    grant = tenant.switches.audit_exchange_grant if token.grant_type == EXCHANGE else token.grant_type
    data = {
        "id": token.id,
        "scopes": token.scope.split(),
        "appType": "web",
        "ownerId": token.client_id,
        "issuedAt": iso(token.issued_at),
        "tenantId": tenant.id,
        "createdBy": token.client_id,
        "grantType": grant,
        "deviceType": "",
        "description": "",
        "resourceOwner": token.user_id,
        "issuedToClientId": token.client_id,
    }
    _record(tenant, TOKEN_ISSUED, token.user_id, data)


def token_revoked(tenant: Tenant, token: Token, by: str, *, by_bearer: bool) -> None:
    """Tell that one token was revoked; *by_bearer*: with the token itself, not through `/api/v1/oauth-tokens`."""
    context = {"userId": token.user_id, "grantId": token.id, "clientId": token.client_id, "tenantId": tenant.id}
    data = {"revokedAt": iso(tenant.now()), "revokedBy": by, "revokedContext": context, "revokedByBearer": by_bearer}
    _record(tenant, TOKEN_REVOKED, by, data)


def _record(tenant: Tenant, kind: str, user_id: str, data: dict[str, Any]) -> None:
    events = tenant.memory.events
    number = events[-1].number + 1 if events else 1
    when, origin_ip = round(tenant.now(), 3), request.remote_addr or ""  # as precise as it is shown
    events.append(Event(number, str(uuid.uuid4()), when, kind, EDGE_AUTH, user_id, origin_ip, data))
