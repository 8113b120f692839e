"""The nouns of a tenant."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field
from typing import Any

EVERYONE_ID = "000000000000000000000001"
EVERYONE = "com.qlik.Everyone"


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


@dataclass(frozen=True)
class Licence:
    """A licence that somebody has; `kind` is professional or analyzer."""

    subject: str
    kind: str
    created_at: float


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
    created_at: float
    clock_tolerance_s: int | None = None
    active: bool = True


@dataclass(frozen=True)
class WebIntegration:
    """The origins whose pages may use cookies here."""

    id: str
    name: str
    valid_origins: tuple[str, ...]
    created_at: float


@dataclass
class CspOrigin:
    """A site that pages of the tenant may load from or be framed by, as its `directives` say."""

    id: str
    origin: str
    name: str
    description: str
    directives: frozenset[str]
    created_at: float
    modified_at: float


@dataclass
class ClientSecret:
    """One of the secrets of a client, which may have several: a new one is deployed before the old one goes."""

    value: str
    created_at: float

    @property
    def hint(self) -> str:
        """Qlik: five characters at most; that they are the secret's last ones is our choice."""
        return self.value[-5:]


@dataclass
class Client:
    """An OAuth client; `role` tells the seeded ones apart."""

    role: str
    client_id: str
    client_name: str
    secrets: list[ClientSecret]
    allowed_grant_types: list[str]
    allowed_scopes: list[str]
    allowed_origins: list[str]
    allowed_auth_methods: list[str]
    consent_method: str
    created_at: float
    key_id: str = ""
    private_key: str = ""
    public_key: Any = None
    published_at: float | None = None
    disabled: bool = False

    @property
    def client_secret(self) -> str:
        """Return the newest secret, empty when none is left."""
        return self.secrets[-1].value if self.secrets else ""

    @property
    def consent(self) -> str:
        """Return the consent that counts. Qlik: published clients are always Required."""
        return "required" if self.published_at is not None else self.consent_method


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


@dataclass(frozen=True)
class Event:
    """Something that happened, as the audits tell it; `number` counts the tenant's events."""

    number: int
    id: str
    time: float
    type: str
    source: str
    user_id: str
    origin_ip: str
    data: dict[str, Any]


@dataclass
class Fault:
    """Trouble for the calls whose path `endpoint` names; `times` of None lasts until deleted."""

    endpoint: str
    status: int | None = None
    times: int | None = 1
    latency_ms: int = 0
    retry_after: int | None = None
    trickle_ms: int = 0
    drop: str | None = None
    body: str | None = None
    content_type: str = "application/json"
    bytes: int | None = None
    location: str | None = None
    close: int | None = None

    def matches(self, path: str) -> bool:
        if self.endpoint.endswith("*"):
            return path.startswith(self.endpoint[:-1])
        return path == self.endpoint
