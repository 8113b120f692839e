"""A tenant and what it remembers; all tenants of one process."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flask import current_app

from bridge.sandbox.limits import Limits
from bridge.sandbox.state import Assignment, hex_id
from bridge.sandbox.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

    from bridge.sandbox.engine import App
    from bridge.sandbox.engine import Session as EngineSession
    from bridge.sandbox.sockets import Key, OpenSocket
    from bridge.sandbox.state import (
        Call,
        Client,
        CspOrigin,
        Event,
        Fault,
        Group,
        IdentityProvider,
        Item,
        Licence,
        Person,
        Role,
        Session,
        Space,
        Token,
        User,
        WebIntegration,
    )

CALLS_KEPT = 200_000
EVENTS_KEPT = 200_000


@dataclass
class Memory:
    """What `POST /_sandbox/reset` puts back; keys, clients and ids stay."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    spaces: dict[str, Space] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    awaited: dict[str, str] = field(default_factory=dict)
    csp_origins: dict[str, CspOrigin] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    seen_jtis: dict[tuple[str, str], float] = field(default_factory=dict)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT))
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    faults: list[Fault] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    switches: Switches = field(default_factory=Switches)
    clock_offset_s: float = 0
    auto_create_groups: bool = True
    sync_idp_groups: bool = True
    everyone_role_ids: list[str] = field(default_factory=list)
    licences: dict[str, Licence] = field(default_factory=dict)
    licences_by_themselves: set[str] = field(default_factory=lambda: {"analyzer"})
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
    first_identity_providers: tuple[IdentityProvider, ...]
    first_web_integrations: tuple[WebIntegration, ...]
    clients: dict[str, Client]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    created_at: float = field(default_factory=time.time)
    cookie_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    memory: Memory = field(default_factory=Memory)
    identity_providers: list[IdentityProvider] = field(default_factory=list)
    web_integrations: list[WebIntegration] = field(default_factory=list)
    apps: Mapping[str, App] = field(default_factory=dict)
    sessions: dict[Key, EngineSession] = field(default_factory=dict)
    sockets: list[OpenSocket] = field(default_factory=list)

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

    def add_group(self, group: Group) -> None:
        """Add a group. An idp group that the seed waits for gets its place in a space, as an administrator would do."""
        memory = self.memory
        memory.groups[group.id] = group
        if group.provider_type == "idp" and (space := memory.spaces.get(memory.awaited.pop(group.name, ""))):
            space.assignments.append(Assignment(hex_id(), "group", group.id, ["consumer"], self.now()))

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
