"""The nouns of a tenant and what it remembers."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from flask import current_app

from bridge.sandbox.limits import Limits
from bridge.sandbox.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric import ec

EVERYONE_ID = "000000000000000000000001"
EVERYONE = "com.qlik.Everyone"
CALLS_KEPT = 200_000


def hex_id(length: int = 24) -> str:
    return secrets.token_hex(length // 2)


def iso(moment: float) -> str:
    stamp = dt.datetime.fromtimestamp(moment, dt.UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Person:
    """Somebody in the directory that both tenants of the process share: what an identity provider knows."""

    name: str
    subject: str
    display_name: str
    email: str
    groups: list[str]
    disabled: bool = False


@dataclass
class Role:
    """A tenant role; `level` is admin or user."""

    id: str
    name: str
    level: str


@dataclass
class Group:
    """A group of the tenant; `provider_type` is idp or custom."""

    id: str
    name: str
    provider_type: str
    created_at: float
    updated_at: float
    description: str = ""
    status: str = "active"
    role_ids: list[str] = field(default_factory=list)


@dataclass
class User:
    """A user or bot of one tenant; `client_id` marks a bot."""

    id: str
    subject: str
    name: str
    email: str
    status: str
    created_at: float
    updated_at: float
    client_id: str | None = None
    idp_id: str | None = None
    picture: str = ""
    preferred: dict[str, str] = field(default_factory=dict)
    invite_expiry: float | None = None
    role_ids: list[str] = field(default_factory=list)
    group_ids: list[str] = field(default_factory=list)


@dataclass
class Assignment:
    """What one user, group or bot may do in a space."""

    id: str
    kind: str
    assignee_id: str
    roles: list[str]
    created_at: float


@dataclass
class Space:
    """A space; `kind` is shared, managed or data."""

    id: str
    name: str
    kind: str
    owner_id: str
    created_at: float
    description: str = ""
    assignments: list[Assignment] = field(default_factory=list)


@dataclass
class Item:
    """A resource in a space, as the catalog lists it."""

    id: str
    name: str
    resource_id: str
    resource_type: str
    space_id: str
    owner_id: str
    created_at: float
    description: str = ""


@dataclass(frozen=True)
class IdentityProvider:
    """A JWT identity provider. The sandbox keeps the private key too, so that others can sign with it."""

    id: str
    description: str
    issuer: str
    kid: str
    certificate: str
    private_key: str
    public_key: Any
    clock_tolerance_s: int | None = None


@dataclass(frozen=True)
class WebIntegration:
    """The origins whose pages may use cookies here."""

    id: str
    name: str
    valid_origins: tuple[str, ...]


@dataclass
class Client:
    """An OAuth client; `role` tells the seeded ones apart."""

    role: str
    client_id: str
    client_name: str
    client_secret: str
    allowed_grant_types: list[str]
    allowed_scopes: list[str]
    allowed_origins: list[str]
    allowed_auth_methods: list[str]
    consent_method: str
    key_id: str = ""
    private_key: str = ""
    public_key: Any = None


@dataclass
class Session:
    """A cookie session, from one JWT login."""

    cookie: str
    csrf_token: str
    user_id: str
    issuer: str
    created_at: float
    last_used: float
    expires_at: float


@dataclass
class Token:
    """An access token, or with a `parent` one that was exchanged for it."""

    id: str
    token: str
    kind: str
    user_id: str
    client_id: str
    scope: str
    grant_type: str
    issued_at: float
    expires_at: float
    secret: str = ""
    parent: Token | None = None
    last_used: float | None = None
    revoked: bool = False


@dataclass
class Call:
    """One line of the call log."""

    time: float
    method: str
    path: str
    status: int | None = None
    client: str | None = None
    user: str | None = None


@dataclass
class Fault:
    """Trouble for the calls whose path `endpoint` names; `times` of None lasts until deleted."""

    endpoint: str
    status: int | None = None
    times: int | None = 1
    latency_ms: int = 0
    retry_after: int | None = None
    drop: str | None = None
    body: str | None = None
    content_type: str = "application/json"
    bytes: int | None = None
    location: str | None = None

    def matches(self, path: str) -> bool:
        if self.endpoint.endswith("*"):
            return path.startswith(self.endpoint[:-1])
        return path == self.endpoint


@dataclass
class Memory:
    """What `POST /_sandbox/reset` puts back; keys, clients and ids stay."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    spaces: dict[str, Space] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    seen_jtis: dict[tuple[str, str], float] = field(default_factory=dict)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT))
    faults: list[Fault] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    switches: Switches = field(default_factory=Switches)
    clock_offset_s: float = 0
    auto_create_groups: bool = True
    sync_idp_groups: bool = True
    everyone_role_ids: list[str] = field(default_factory=list)
    settings_updated_at: float = field(default_factory=time.time)


@dataclass
class Tenant:
    """One pretend tenant: what is fixed at start, and `memory`, which a reset makes anew."""

    slug: str
    name: str
    portal_origins: tuple[str, ...]
    world: World
    signing_key: ec.EllipticCurvePrivateKey
    signing_kid: str
    roles: list[Role]
    identity_providers: list[IdentityProvider]
    web_integrations: list[WebIntegration]
    clients: dict[str, Client]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    created_at: float = field(default_factory=time.time)
    cookie_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    memory: Memory = field(default_factory=Memory)

    def now(self) -> float:
        return time.time() + self.memory.clock_offset_s

    @property
    def switches(self) -> Switches:
        return self.memory.switches

    def users(self) -> Iterator[User]:
        return iter(list(self.memory.users.values()))

    def user_by_subject(self, subject: str) -> User | None:
        """Byte for byte: two subjects that differ by case are two users."""
        return next((user for user in self.users() if user.subject == subject), None)

    def group_named(self, name: str, provider_type: str) -> Group | None:
        """Group names are case-sensitive; an idp and a custom group may share one."""
        groups = self.memory.groups.values()
        return next((g for g in groups if g.name == name and g.provider_type == provider_type), None)

    def role(self, role_id: str) -> Role | None:
        return next((role for role in self.roles if role.id == role_id), None)

    def role_named(self, name: str) -> Role | None:
        return next((role for role in self.roles if role.name == name), None)

    def groups_of(self, user: User) -> list[Group]:
        return [self.memory.groups[gid] for gid in user.group_ids if gid in self.memory.groups]

    def is_admin(self, user: User) -> bool:
        role = self.role_named("TenantAdmin")
        inherited = [rid for group in self.groups_of(user) for rid in group.role_ids]
        return role is not None and role.id in [*user.role_ids, *inherited, *self.memory.everyone_role_ids]

    def web_integration(self, identifier: str, origin: str) -> WebIntegration | None:
        found = next((entry for entry in self.web_integrations if entry.id == identifier), None)
        return found if found and origin in found.valid_origins else None

    def sign_cookie(self, name: str, value: str) -> str:
        return hmac.new(self.cookie_key, f"{name}={value}".encode(), hashlib.sha256).hexdigest()

    def drop_user(self, user: User) -> None:
        """Forget a user and everything that acts in their name."""
        memory = self.memory
        memory.users.pop(user.id, None)
        memory.sessions = {key: s for key, s in memory.sessions.items() if s.user_id != user.id}
        for space in memory.spaces.values():
            space.assignments = [a for a in space.assignments if a.assignee_id != user.id]


@dataclass
class World:
    """All tenants of one process, their shared people, and the one lock that makes each request atomic."""

    people: dict[str, Person] = field(default_factory=dict)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


def here() -> Tenant:
    """Return the tenant that the current request came to."""
    return cast("Tenant", current_app.extensions["tenant"])
