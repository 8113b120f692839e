"""`GET /_sandbox/state`: the tenant from the inside, as JSON."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from bridge.sandbox import auth, csp_origins, front_end, groups, users
from bridge.sandbox.state import iso

if TYPE_CHECKING:
    from bridge.sandbox.sockets import OpenSocket
    from bridge.sandbox.state import Client, IdentityProvider, Item, Session, Space, Token, WebIntegration
    from bridge.sandbox.tenant import Tenant


def state(tenant: Tenant) -> dict[str, Any]:
    memory = tenant.memory
    return {
        "tenant": {"id": tenant.id, "slug": tenant.slug, "name": tenant.name, "origin": auth.own_origin()},
        "people": [dataclasses.asdict(person) for person in tenant.world.people.values()],
        "users": [users.shown(user) for user in tenant.users()],
        "groups": [groups.shown(group) for group in memory.groups.values()],
        "group_settings": groups.settings(tenant),
        "spaces": [_space(space) for space in memory.spaces.values()],
        "items": [dataclasses.asdict(item) for item in memory.items.values()],
        "apps": [_app(tenant, item) for item in memory.items.values() if item.resource_id in tenant.apps],
        "front_end": front_end.described(),
        "sockets": [_socket(opened) for opened in tenant.sockets],
        "identity_providers": [provider(tenant, entry) for entry in tenant.identity_providers],
        "web_integrations": [integration(entry) for entry in tenant.web_integrations],
        "csp_origins": [csp_origins.shown(entry) for entry in memory.csp_origins.values()],
        "clients": [client(entry) for entry in tenant.clients.values()],
        "sessions": [_session(session) for session in memory.sessions.values()],
        "tokens": [_token(token) for token in memory.tokens.values()],
        "switches": dataclasses.asdict(memory.switches),
        "clock_offset_s": memory.clock_offset_s,
    }


def client(entry: Client) -> dict[str, Any]:
    hidden = ("public_key", "secrets")
    shown = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry) if field.name not in hidden}
    return shown | {"client_secret": entry.client_secret, "secrets": [secret.value for secret in entry.secrets]}


def integration(entry: WebIntegration) -> dict[str, Any]:
    return {"id": entry.id, "name": entry.name, "valid_origins": list(entry.valid_origins)}


def provider(tenant: Tenant, provider: IdentityProvider) -> dict[str, Any]:
    named = provider.clock_tolerance_s
    return {
        "id": provider.id,
        "description": provider.description,
        "issuer": provider.issuer,
        "kid": provider.kid,
        "certificate": provider.certificate,
        "private_key": provider.private_key,
        "active": provider.active,
        "clock_tolerance_s": tenant.switches.clock_tolerance_s if named is None else named,
    }


def _space(space: Space) -> dict[str, Any]:
    shown = dataclasses.asdict(space)
    return {**shown, "type": shown.pop("kind"), "created_at": iso(space.created_at)}


def _app(tenant: Tenant, item: Item) -> dict[str, Any]:
    app = tenant.apps[item.resource_id]
    space = tenant.memory.spaces.get(item.space_id)
    stored = [*app.objects.values(), *app.dimensions.values(), *app.measures.values()]
    return {
        "id": app.id,
        "name": app.name,
        "space": space.name if space else None,
        "fields": app.table.fields,
        "rows": app.table.rows,
        "section_access": [dataclasses.asdict(rule) for rule in app.section_access],
        "objects": [
            {"id": each.id, "type": each.type, "title": each.properties["qMetaDef"]["title"], "owner": each.owner}
            for each in stored
        ],
    }


def _socket(opened: OpenSocket) -> dict[str, Any]:
    app, _user, identity = opened.key
    return {
        "app": app,
        "user": opened.user.subject,
        "identity": identity,
        "opened_at": iso(opened.opened_at),
        "how": opened.how,
    }


def _session(session: Session) -> dict[str, Any]:
    return {
        "cookie": session.cookie,
        "csrf_token": session.csrf_token,
        "user_id": session.user_id,
        "created_at": iso(session.created_at),
        "expires_at": iso(session.expires_at),
    }


def _token(token: Token) -> dict[str, Any]:
    names = ("id", "token", "kind", "user_id", "client_id", "scope", "grant_type", "revoked")
    times = {"issued_at": iso(token.issued_at), "expires_at": iso(token.expires_at)}
    return {name: getattr(token, name) for name in names} | times
