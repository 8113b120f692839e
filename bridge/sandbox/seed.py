"""What a fresh tenant holds. Keys, ids and secrets are made at start and are never the same twice."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from bridge.sandbox import certificates
from bridge.sandbox.engine import content
from bridge.sandbox.state import (
    EVERYONE_ID,
    Assignment,
    Client,
    ClientSecret,
    CspOrigin,
    IdentityProvider,
    Item,
    Person,
    Role,
    Space,
    User,
    WebIntegration,
    hex_id,
)
from bridge.sandbox.tenant import Memory, Tenant, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROLES = {"TenantAdmin": "admin", "AnalyticsAdmin": "admin", "Steward": "user", "EmbeddedAnalyticsUser": "user"}
ITEMS = {"Everybody": content.RETAIL, "Finance": content.LEDGER, "Sales": content.PIPELINE}


def people() -> dict[str, Person]:
    """Return the directory: who the portal can sign in, and with which groups."""
    everybody = [
        Person("alice", "alice", "Alice Archer", "alice@example.com", ["Finance", "EMEA"]),
        Person("bob", "bob", "Bob Baker", "bob@example.com", ["Sales", "AMER"]),
        Person("carol", "carol", "Carol Cooper", "carol@example.com", []),
        Person("dave", "dave", "Dave Dyer", "dave@example.com", ["Sales"], disabled=True),
        Person("erin", "erin", "Erin Ellis", "erin@example.com", ["bridge-admins"]),
    ]
    return {person.name: person for person in everybody}


def build(slugs: Iterable[str], portal_origins: Sequence[str]) -> World:
    """Build all tenants of one process; they share people, time of start and the lock, nothing else."""
    world = World(people=people())
    for slug in slugs:
        tenant = Tenant(
            slug=slug,
            name=slug.capitalize(),
            portal_origins=tuple(portal_origins),
            world=world,
            signing_key=ec.generate_private_key(ec.SECP384R1()),
            signing_kid=str(uuid.uuid4()),
            roles=[Role(hex_id(), name, level) for name, level in ROLES.items()],
            first_identity_providers=(_provider(slug, "portal"), _provider(slug, "bridge-sync")),
            first_web_integrations=(_web_integration(slug, portal_origins),),
            clients={client.client_id: client for client in (_client(slug, "management"), _issuing(slug))},
            apps=content.apps(slug),
        )
        world.tenants[slug] = tenant
        fill(tenant)
    return world


def fill(tenant: Tenant) -> None:
    """Put a tenant back to its seed. Bots and dave keep their ids, as other systems may have noted them."""
    kept = {user.subject: user.id for user in tenant.users()}
    tenant.memory = Memory()
    tenant.sessions.clear()
    tenant.identity_providers = list(tenant.first_identity_providers)
    tenant.web_integrations = list(tenant.first_web_integrations)
    for client in tenant.clients.values():
        _restore(tenant, client)
        if "client_credentials" in client.allowed_grant_types:
            _add_bot(tenant, client, kept)
    _add_disabled(tenant, kept)
    _add_spaces(tenant)
    _add_csp_origins(tenant)


def _provider(slug: str, purpose: str) -> IdentityProvider:
    key = certificates.rsa_key()
    issuer = f"https://{purpose}.{slug}.example"
    certificate = certificates.self_signed(key, issuer)
    pem = certificates.private_pem(key)
    kid, now = f"{slug}-{purpose}", time.time()
    return IdentityProvider(hex_id(), purpose, issuer, kid, certificate, pem, key.public_key(), now)


def _web_integration(slug: str, portal_origins: Sequence[str]) -> WebIntegration:
    return WebIntegration(secrets.token_urlsafe(24), f"{slug} portal", tuple(portal_origins), time.time())


def _client(slug: str, role: str) -> Client:
    now = time.time()
    secret = ClientSecret(secrets.token_hex(32), now)
    return Client(role, hex_id(32), f"{slug} {role}", [secret], [], [], [], [], "trusted", now)


def _issuing(slug: str) -> Client:
    client = _client(slug, "issuing")
    key = certificates.rsa_key()
    client.key_id, client.private_key, client.public_key = (
        str(uuid.uuid4()),
        certificates.private_pem(key),
        key.public_key(),
    )
    return client


def _restore(tenant: Tenant, client: Client) -> None:
    """Let the management client administer and the issuing client impersonate, and neither do both."""
    manages = client.role == "management"
    client.allowed_grant_types = ["client_credentials"] if manages else ["urn:qlik:oauth:user-impersonation"]
    client.allowed_scopes = ["admin_classic", "user_default"] if manages else ["user_default"]
    client.allowed_origins = [] if manages else list(tenant.portal_origins)
    client.allowed_auth_methods = ["client_secret"] if manages else ["client_secret", "private_key_jwt"]
    client.consent_method, client.published_at, client.disabled = "trusted", None, False
    client.secrets = client.secrets[-1:] or [ClientSecret(secrets.token_hex(32), client.created_at)]
    client.secrets[0].created_at = max(client.secrets[0].created_at, client.created_at)


def _add_bot(tenant: Tenant, client: Client, kept: dict[str, str]) -> None:
    """Qlik: a machine-to-machine client acts as a bot user with the TenantAdmin role."""
    admin, now = tenant.role_named("TenantAdmin"), tenant.now()
    subject = f"qlikbot\\{client.client_id}"
    bot = User(kept.get(subject, hex_id()), subject, client.client_name, "", "active", now, now, client.client_id)
    bot.role_ids = [admin.id] if admin else []
    tenant.memory.users[bot.id] = bot


def _add_disabled(tenant: Tenant, kept: dict[str, str]) -> None:
    now = tenant.now()
    for person in people().values():
        if person.disabled:
            user_id = kept.get(person.subject, hex_id())
            user = User(user_id, person.subject, person.display_name, person.email, "disabled", now, now)
            tenant.memory.users[user.id] = user


def _add_csp_origins(tenant: Tenant) -> None:
    now, framing = tenant.now(), frozenset({"frameAncestors"})
    for origin in tenant.portal_origins:
        entry = CspOrigin(hex_id(), origin, "portal", "May show pages of the tenant in frames", framing, now, now)
        tenant.memory.csp_origins[entry.id] = entry


def _add_spaces(tenant: Tenant) -> None:
    """One space for everyone; the others wait for the groups of their names, which come with the first logins."""
    owner, now = next(tenant.users()).id, tenant.now()
    for name, app in ITEMS.items():
        space = Space(hex_id(), name, "shared" if name == "Everybody" else "managed", owner, now)
        app_id, about = content.app_id(tenant.slug, app), f"Invented data for {name}"
        item = Item(hex_id(), app, app_id, "app", space.id, owner, now, about)
        tenant.memory.spaces[space.id], tenant.memory.items[item.id] = space, item
        if name == "Everybody":
            space.assignments.append(Assignment(hex_id(), "group", EVERYONE_ID, ["consumer"], now))
        else:
            tenant.memory.awaited[name] = space.id
