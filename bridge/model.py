"""The nouns. Frozen, no I/O. Words: docs/glossary.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, model_validator

from bridge.digests import digest_of, kept_digest
from bridge.evidence import ParityPlan
from bridge.guarding import Guardrails
from bridge.plan import BUCKETS, Cohorts, Kill, Path, Rollout, Stage, bucket
from bridge.texts import Expression, Origin, Plain, PortalHost, WebAddress
from bridge.webhooks import SHORTEST_SECRET, Webhook, shown_address

__all__ = ["BUCKETS", "Cohorts", "Path", "Rollout", "Stage", "bucket"]
"""Nouns of the plan that belong to every tenant: they can be imported from either."""

FLAG = "embed-path"
"""The feature flag that says which path a subject is on; its values are those of `Path`."""


@dataclass(frozen=True)
class Subject:
    """The person as the tenant shall know them. Compared byte for byte, never folded."""

    sub: str
    name: str
    email: str
    groups: frozenset[str]

    def fingerprint(self) -> str:
        """Return a digest of all that a group sync would write."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        """Kept, as each request asks for it and nothing of it ever changes."""
        return digest_of([self.sub, self.name, self.email, sorted(self.groups)])


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking, and how we know.

    `source` is the way of signing in (`demo`, `header`, `assertion`, `oidc`), `issuer` who vouches, `tenant` the
    one tenant that an assertion was made for (None: any that admits the source), `asserted_at` (unix
    seconds) when the facts about the subject were true.
    """

    subject: Subject
    source: str
    issuer: str
    asserted_at: float
    tenant: str | None = None

    def qualified_groups(self) -> frozenset[str]:
        """Return `source:group` names, so that no portal can name itself an operator of another."""
        return frozenset(f"{self.source}:{group}" for group in self.subject.groups)


@dataclass(frozen=True, slots=True)
class SubjectRecord:
    """What the bridge remembers of a subject in one tenant.

    `synced_at` None means: the tenant's memberships are unknown, sync before the next token.
    `synced_groups` are the `idp` groups that the tenant may have: those of the last good sync, and of logins
    since then of which nobody knows whether they arrived. Until `browser_login_until` a browser may log in with
    a JWT that we signed, and bring back the groups that it was signed with.
    """

    tenant: str
    subject: Subject
    asserted_at: float
    user_id: str | None = None
    synced_fingerprint: str | None = None
    synced_groups: frozenset[str] = frozenset()
    synced_at: float | None = None
    browser_login_until: float = 0

    def has_last_good(self, *, now: float) -> bool:
        """Tell whether the memberships are known; a sync from before a browser's JWT ended does not say, after that."""
        return (
            self.user_id is not None
            and self.synced_at is not None
            and not self.synced_at < self.browser_login_until <= now
        )

    def is_synced(self, *, now: float, max_age_s: float) -> bool:
        """Tell whether the last sync still counts, so that no other is needed."""
        return (
            self.has_last_good(now=now)
            and self.synced_at is not None
            and self.synced_fingerprint == self.subject.fingerprint()
            and now - self.synced_at < max_age_s
        )


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Everything that changes which impersonation token is the right one. Stage and percentage do not."""

    tenant: str
    client_id: str
    sub: str
    scope: str
    credential_revision: str

    def digest(self) -> str:
        return digest_of([self.tenant, self.client_id, self.sub, self.scope, self.credential_revision])


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An impersonation token in our keeping. `token_id` names it without revealing it."""

    key: TokenKey
    token_id: str
    value: str = field(repr=False)
    scope: str
    issued_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Expiring:
    """A token near its end, of somebody seen lately. Somebody renews it until `claimed_until` (unix seconds)."""

    key: TokenKey
    token_id: str
    issued_at: float
    expires_at: float
    claimed_until: float = 0


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser or page: `id_hash` is the digest of the cookie or bearer, never the value."""

    id_hash: str
    identity: Identity
    created_at: float
    seen_at: float


@dataclass(frozen=True, slots=True)
class QlikUser:
    """A user as the tenant reports them. `idp_groups` leaves Everyone and custom groups aside."""

    id: str
    subject: str
    idp_groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Minted:
    """The tenant's answer to a token request."""

    value: str = field(repr=False)
    scope: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who changed what, why, from what to what."""

    at: float
    actor: str
    action: str
    tenant: str | None
    reason: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    request_id: str = ""


# --- the tenant ------------------------------------------------------------------------------------------


Slug = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
KeyFile = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Text = Annotated[Plain, Field(min_length=1, max_length=512)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)


class OAuthClient(_Part):
    """An OAuth client of the tenant, proven by a secret or by a signing key (private_key_jwt)."""

    id: Text
    secret: Annotated[SecretStr, Field(min_length=1)] | None = None
    key: KeyFile | None = None
    key_id: Text | None = None

    @property
    def is_locked(self) -> bool:
        return self.secret is not None and not self.secret

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if (self.secret is None) == (self.key is None):
            raise ValueError("needs either `secret` or `key` (with `key_id`), not both")
        if (self.key is None) != (self.key_id is None):
            raise ValueError("`key` and `key_id` go together")
        return self


class Content(_Part):
    """The Qlik objects that the sample pages ask for; each may stay empty."""

    app_id: Plain = ""
    sheet_id: Plain = ""
    object_id: Plain = ""
    field_id: Plain = ""
    assistant_id: Plain = ""
    agentic_assistant_id: Plain = ""
    hypercube_dimension: Expression = ""
    hypercube_measure: Expression = ""
    master_dimension: Plain = ""
    master_measure: Plain = ""


SECRET_HOLDERS = ("issuing_client", "management_client", "notify")
"""The fields of a tenant that have a `secret`."""
STAND_IN = "*" * SHORTEST_SECRET
"""Passes for a secret while a tenant whose secrets no key opens is read."""


class Tenant(_Part):
    """One Qlik Cloud tenant and how we talk to it. Its rollout is kept apart: it changes on its own."""

    slug: Slug
    name: Text
    host: Origin
    portal_hosts: tuple[PortalHost, ...] = ()
    allowed_origins: tuple[Origin, ...] = ()
    admits: Annotated[tuple[Text, ...], Field(min_length=1)]
    required_group: Text | None = None
    issuer: Text
    key_id: Text
    signing_key: KeyFile
    sync_issuer: Text | None = None
    sync_key_id: Text | None = None
    sync_key: KeyFile | None = None
    web_integration_id: Text | None = None
    issuing_client: OAuthClient | None = None
    management_client: OAuthClient | None = None
    content: Content = Content()
    parity: ParityPlan = ParityPlan()
    embed_script: WebAddress = "https://cdn.jsdelivr.net/npm/@qlik/embed-web-components@1/dist/index.min.js"
    group_strategy: Literal["jwt"] = "jwt"
    sync_max_age_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 8 * 3600
    quiet_days: Annotated[int, Field(ge=1, le=90)] = 14
    own_flags: bool = False
    scope: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+( [A-Za-z0-9_.:-]+)*$")] = "user_default"
    guardrails: Guardrails = Guardrails()
    notify: Webhook | None = None

    @field_serializer("guardrails")
    def _what_differs(self, guardrails: Guardrails) -> dict[str, Any]:
        """Keep what differs from the defaults, so that better defaults of a later version reach old tenants."""
        return guardrails.differing()

    @model_validator(mode="after")
    def _whole_sync_provider(self) -> Self:
        given = [self.sync_issuer, self.sync_key_id, self.sync_key]
        if any(given) and not all(given):
            raise ValueError("`sync_issuer`, `sync_key_id` and `sync_key` go together")
        return self

    def trusts(self, identity: Identity) -> bool:
        """Tell whether who vouches for this person counts here, whatever the person may do."""
        return bool({identity.source, identity.issuer} & set(self.admits)) and identity.tenant in {None, self.slug}

    def admits_identity(self, identity: Identity) -> bool:
        """Tell whether this person may use this tenant at all; asked before any call upstream."""
        return self.trusts(identity) and self.has_member(identity.subject)

    def has_member(self, subject: Subject) -> bool:
        """Tell whether a person is in the group that this tenant requires, if it does."""
        return self.required_group is None or self.required_group in subject.groups

    def key_files(self) -> list[str]:
        """Return the names of all private keys that this tenant needs."""
        clients = [client for client in (self.issuing_client, self.management_client) if client]
        names = [self.signing_key, self.sync_key, *(client.key for client in clients)]
        return sorted({name for name in names if name})

    def token_key(self, sub: str) -> TokenKey:
        """Return the key under which the impersonation token of *sub* is kept."""
        client_id = self.issuing_client.id if self.issuing_client else ""
        revision = kept_digest(self.host, client_id, self.scope)[:16]
        return TokenKey(self.slug, client_id, sub, self.scope, revision)

    def parity_basis(self) -> str:
        """Return a digest of what a comparison is made under: with another one it proves nothing any more."""
        plan = self.parity.model_dump(mode="json", include={"probes", "ignores", "max_apps"})
        return digest_of([self.token_key("").credential_revision, plan])[:16]

    def public_document(self) -> dict[str, Any]:
        """Return every field but the secrets, of which only the presence shows."""
        return self.model_dump(mode="json")

    def shown_document(self) -> dict[str, Any]:
        """Return the public document for people's eyes: of the webhook's address no more than its host."""
        document = self.public_document()
        if self.notify is not None:
            document["notify"]["url"] = shown_address(self.notify.url)
        return document

    def secrets(self) -> dict[str, str]:
        """Return the secret values by field, for the store that encrypts them."""
        holders = {name: getattr(self, name) for name in SECRET_HOLDERS}
        return {
            field: holder.secret.get_secret_value()
            for field, holder in holders.items()
            if holder is not None and holder.secret
        }

    def locked(self) -> list[str]:
        """Return the fields whose secret no key opens: it is empty, and must be set again."""
        holders = {name: getattr(self, name) for name in SECRET_HOLDERS}
        return [name for name, holder in holders.items() if holder and holder.secret is not None and not holder.secret]

    @classmethod
    def from_documents(cls, document: Mapping[str, Any], secrets: Mapping[str, str] | None) -> Self:
        """Join what `public_document` and `secrets` took apart; None stands for secrets that no key opens."""
        if secrets is None:
            return cls._with_locked(document)
        whole = dict(document)
        for name, secret in secrets.items():
            whole[name] = {**(whole.get(name) or {}), "secret": secret}
        return cls.model_validate(whole)

    @classmethod
    def _with_locked(cls, document: Mapping[str, Any]) -> Self:
        names = [name for name in SECRET_HOLDERS if (document.get(name) or {}).get("secret")]
        tenant = cls.from_documents(document, dict.fromkeys(names, STAND_IN))
        empty = {name: getattr(tenant, name).model_copy(update={"secret": SecretStr("")}) for name in names}
        return tenant.model_copy(update=empty)


@dataclass(frozen=True, slots=True)
class TenantState:
    """A tenant with its rollout and the kill switch of all tenants, as read from the store at one moment.

    `revision` grows with each change of the tenant itself.
    """

    tenant: Tenant
    rollout: Rollout
    kill_all: Kill | None = None
    revision: int = 0

    @property
    def kill(self) -> Kill | None:
        """Return the kill switch that is on: the tenant's own, else that of all tenants."""
        return self.rollout.kill or self.kill_all

    @property
    def is_killed(self) -> bool:
        """Tell whether a kill switch works here: a retired tenant has no JWT path to fall back on."""
        return self.kill is not None and self.rollout.stage is not Stage.RETIRED

    @property
    def settled_path(self) -> Path | None:
        """Return the one path of everybody, or None where the flag decides."""
        if self.is_killed:
            return Path.JWT
        stage = self.rollout.stage
        return None if stage is Stage.ROLLOUT else stage.safe_path

    def path_for(self, sub: str, groups: frozenset[str]) -> Path:
        """Return the path that our own flag gives one subject."""
        return self.settled_path or self.rollout.path_for(self.tenant.slug, sub, groups)

    def rollout_document(self) -> dict[str, Any]:
        """Return the rollout as it works now: the kill switch may be that of all tenants."""
        return self.rollout.document() | {"kill": self.kill.document() if self.kill else None}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A tenant that this version cannot make out: what is wrong, and the hosts that are its own all the same."""

    problem: str
    portal_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Hypercube:
    """The rows of one dimension and one measure, as the tenant writes them for people; both have the same length."""

    dimension: tuple[str, ...]
    measure: tuple[str, ...]
