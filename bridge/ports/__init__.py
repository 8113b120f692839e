"""What services need from the outside world. Adapters implement these; tests pass fakes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from bridge.budgeting import Lease
from bridge.decisions import NotedDecision
from bridge.diagnosis import ClientFacts, CspEntry, Greeting, GroupSettings, JwtProvider
from bridge.evidence import Baseline, Credential, Holder, OpenedApp, Outcome, ParityCounts, ParityResult, Wanted
from bridge.model import (
    AuditEvent,
    Hypercube,
    Identity,
    IssuedToken,
    Minted,
    QlikUser,
    Rollout,
    Session,
    Subject,
    SubjectRecord,
    Tenant,
    TenantState,
    TokenKey,
    Unreadable,
)
from bridge.plan import Kill, KnownPeople
from bridge.roles import OperatorToken
from bridge.trail import AuditEntry, AuditFilter, EventPage, Impersonation, JwtUse, Kind, OriginUse
from bridge.webhooks import Notice


class Clock(Protocol):
    """Unix time in seconds."""

    def __call__(self) -> float: ...


Sign = Callable[[], str]
"""Returns a fresh legacy JWT, signed at that moment: each is single use, and costs a thousandth of a second or two."""


class Qlik(Protocol):
    """The calls that we make to a Qlik Cloud tenant.

    Every method raises a TenantError: TenantRefused on 4xx, TenantThrottled on 429, TenantUnavailable,
    TenantTimeout, TenantGarbled.
    """

    def log_in(self, tenant: Tenant, sign: Sign) -> QlikUser:
        """Log a subject in by a new JWT, read who they became (`users/me` on that session), drop the session."""

    def mint(self, tenant: Tenant, user_id: str) -> Minted:
        """Ask for an impersonation token with the tenant's issuing client and scope."""

    def whoami(self, tenant: Tenant, access_token: str) -> QlikUser:
        """Return the user that a token speaks for; TenantRefused with status 401 when it is dead."""

    def revoke(self, tenant: Tenant, access_token: str) -> None:
        """End a token at the tenant. Unknown tokens are no error."""

    def auto_creates_groups(self, tenant: Tenant) -> bool:
        """Read the tenant's group setting with the management client."""


class TenantEvents(Protocol):
    """What a tenant tells of itself to its management client. Methods raise a TenantError as those of `Qlik` do."""

    def provider_ids(self, tenant: Tenant) -> Mapping[tuple[str, str], str]:
        """Return the ids of the JWT identity providers by issuer and key id."""

    def page(self, tenant: Tenant, kind: Kind, *, since: float, until: float, cursor: str = "") -> EventPage:
        """Return events of one kind between two times (unix seconds), newest first, from the cursor on."""


class TenantSetUp(Protocol):
    """How a tenant is set up, as its management client may read it. Nothing here changes anything.

    Every method raises a TenantError as `Qlik` does; but for `greet`, TenantRefused when there is no management client.
    """

    def greet(self, tenant: Tenant) -> Greeting:
        """Ask what anybody may ask. TenantGarbled when it is no Qlik Cloud tenant that answers."""

    def sign_in(self, tenant: Tenant) -> None:
        """Let the management client prove itself anew."""

    def providers(self, tenant: Tenant) -> Sequence[JwtProvider]:
        """Return the JWT identity providers, inactive ones too."""

    def client(self, tenant: Tenant, client_id: str) -> ClientFacts | None:
        """Return an OAuth client, None where the tenant knows none of this id."""

    def groups(self, tenant: Tenant) -> GroupSettings: ...

    def web_integration(self, tenant: Tenant, integration_id: str) -> frozenset[str] | None:
        """Return the origins that a web integration lists, None where the tenant knows none of this id."""

    def csp(self, tenant: Tenant) -> Sequence[CspEntry]: ...


class Engine(Protocol):
    """What we read from a tenant's engine, as the person of an access token: row reduction is theirs.

    Every method raises AppRefused when this person may not open the app, BadContent when the app (or what is asked
    of it) is not there, or a TenantError as `Qlik` does; TenantRefused with status 401 when the token is dead.
    """

    def sheets(self, tenant: Tenant, access_token: str, app_id: str) -> Sequence[Mapping[str, Any]]:
        """Return the sheets that the person may see, by rank; each with Qlik's `qInfo`, `qMeta` and `qData`."""

    def hypercube(self, tenant: Tenant, access_token: str, app_id: str, *, dimension: str, measure: str) -> Hypercube:
        """Return every row of the measure by the dimension (a field or an expression each)."""

    def reader(self, tenant: Tenant, access_token: str, app_id: str) -> str:
        """Return who reads the app, in its own words (Qlik: OSUser())."""


class AccessReader(Protocol):
    """What one person has in a tenant, read as that person by either credential; nothing is changed.

    Every method raises a TenantError as `Qlik` does.
    """

    def session(self, tenant: Tenant, legacy_jwt: str) -> Credential:
        """Log a subject in by JWT and return the session, for the moment in which it is looked at."""

    def holder(self, tenant: Tenant, credential: Credential) -> Holder:
        """Return who the tenant takes the caller for."""

    def spaces(self, tenant: Tenant, credential: Credential) -> Mapping[str, str]:
        """Return what the caller is in which space: `name: role` by `space id/role`."""

    def apps(self, tenant: Tenant, credential: Credential) -> Mapping[str, str]:
        """Return the names of the apps that the caller finds, by id."""

    def opened(self, tenant: Tenant, credential: Credential, app_id: str, wanted: Wanted) -> OpenedApp:
        """Return an app's sheets, objects and hashed rows; that it is closed to the caller is an answer too."""


class SigningKeys(Protocol):
    """Private keys by file name; a key object is kept, because parsing one costs more than a signature."""

    def load(self, name: str) -> RSAPrivateKey:
        """Return the key. Raises ConfigError when the file is missing or is not an RSA key of 2048 bits up."""


class TenantStore(Protocol):
    """Tenants and their rollouts. Every method may raise StoreError."""

    def all(self) -> Mapping[str, TenantState]:
        """Return every tenant by slug, but for those that cannot be read."""

    def unreadable(self) -> Mapping[str, Unreadable]:
        """Return the others, by slug: one of them must not take the rest down."""

    def read(self) -> tuple[Mapping[str, TenantState], Mapping[str, Unreadable]]:
        """Return both, as they were at one moment."""

    def get(self, slug: str, *, fresh: bool = False) -> TenantState:
        """Return one tenant; `fresh` goes past any in-process copy. Raises UnknownTenant, UnreadableTenant."""

    def save(self, tenant: Tenant, *, starting_at: Rollout, event: AuditEvent, seen: int | None = None) -> None:
        """Create or replace a tenant; the rollout of an existing one stays as it is.

        *seen* is the revision that the change was made for (0: there is no such tenant yet); when it is no longer
        the tenant's, raises Conflict. None replaces whatever there is. The audit event is appended in the same
        transaction: no change without its record. What could not be read again is not kept: raises UnreadableTenant.
        """

    def move(
        self, slug: str, *, before: Rollout, after: Rollout, event: AuditEvent, notices: Sequence[Notice] = ()
    ) -> Rollout:
        """Replace the rollout, with its audit event and the notices of it: all of them, or nothing.

        Raises Conflict when it is no longer the one read *before*.
        """

    def kill_all(self) -> Kill | None:
        """Return the kill switch of all tenants, when it is on."""

    def set_kill_all(self, kill: Kill | None, *, before: Kill | None, event: AuditEvent) -> None:
        """Switch all tenants, with its audit event; every state that is read from then on says so.

        Raises Conflict when the switch is no longer as it was read *before*.
        """


class SubjectStore(Protocol):
    """One row per tenant and `sub`. Every method may raise StoreError."""

    def get(self, tenant: str, sub: str, *, fresh: bool = False) -> SubjectRecord | None:
        """Return the row; `fresh` goes past any in-process copy."""

    def known(self, tenant: str, *, most: int) -> KnownPeople:
        """Return the people of a tenant with their newest groups: all, or *most* of them drawn at random."""

    def note(self, tenant: str, subject: Subject, asserted_at: float) -> SubjectRecord:
        """Write the subject's facts unless the row holds newer ones; return the row that stands."""

    def record_sync(self, synced: SubjectRecord) -> None:
        """Remember the outcome of a good sync: user id, fingerprint, groups and time."""

    def note_unclear_sync(self, tenant: str, subject: Subject) -> None:
        """Remember that a login with these facts may have reached the tenant: it may hold their groups too."""

    def note_browser_login(self, tenant: str, sub: str, until: float) -> None:
        """Mark the memberships as unknown, and remember until when (unix seconds) a browser may change them again."""

    def forget_sync(self, tenant: str, sub: str) -> None:
        """Mark the tenant's memberships of this subject as unknown."""


class Impersonations(Protocol):
    """The tokens that were minted, for 90 days. They are noted with `TokenStore.put`. May raise StoreError."""

    def since(self, tenant: str, since: float) -> Sequence[Impersonation]:
        """Return those of one tenant from that moment on (unix seconds), oldest first."""


class TokenStore(Protocol):
    """Issued tokens, encrypted at rest. Every method may raise StoreError."""

    def get(self, key: TokenKey) -> IssuedToken | None:
        """Return the token kept under *key*, unless it is to be revoked, or no encryption key opens it."""

    def put(self, token: IssuedToken, lease: Lease | None = None) -> bool:
        """Keep a new token, replacing an older one of the same key, and note the impersonation.

        The *lease* under which it was minted ends with that. Was it taken over or revoked meanwhile, the token is
        doomed from the beginning, and the answer is False.
        """

    def drop(self, token: IssuedToken) -> None:
        """Forget this very token; a newer one under the same key stays."""

    def doom(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        """Take matching tokens out of use at once and return them, with any doomed earlier and not yet dropped.

        The value of one that no encryption key opens is empty.
        Leases that match end too, so that no token comes of them later.
        """

    def still_doomed(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        """Return matching tokens that are out of use and not yet dropped; dooms none."""


class SessionStore(Protocol):
    """Sign-in sessions. Every method may raise StoreError."""

    def get(self, id_hash: str) -> Session | None: ...

    def add(self, session: Session) -> bool:
        """Add a session; older ones of the same person (source, issuer, tenant, sub) learn its newer facts.

        Return whether those were news to any of them.
        """

    def touch(self, used: Mapping[str, float]) -> None:
        """Note when sessions were last used, by `id_hash`; those that ended stay gone."""

    def remove(self, id_hash: str) -> None: ...

    def remove_older(self, *, created_before: float, seen_before: float) -> bool:
        """Remove some of those that ended; tell whether there may be more."""


class ParityStore(Protocol):
    """One JWT baseline and the newest comparison of each subject. Every method may raise StoreError."""

    def keep_baseline(self, baseline: Baseline) -> None:
        """Keep a baseline in place of the subject's older one."""

    def baseline(self, tenant: str, sub: str) -> Baseline | None: ...

    def keep_result(self, result: ParityResult) -> None:
        """Keep a comparison in place of the subject's older one."""

    def result(self, tenant: str, sub: str) -> ParityResult | None: ...

    def results(self, tenant: str, *, outcome: Outcome | None = None, limit: int = 100) -> Sequence[ParityResult]:
        """Return the newest comparisons first, those of one outcome when it is given."""

    def latest_run(self, tenant: str) -> float | None:
        """Return the newest run's name (unix seconds); comparisons on their own are of none."""

    def counts(self, tenant: str, *, fresh_since: float, basis: str) -> ParityCounts:
        """Return how many subjects there are of each outcome, and how many were proven since then on this basis."""


class AssertionLedger(Protocol):
    """Ids of assertions that were used. May raise StoreError: then the assertion is refused."""

    def claim(self, issuer: str, jti: str, until: float, *, now: float) -> bool:
        """Return True the first time, False for a replay."""


class KeySet(Protocol):
    """The public keys of the portal that signs assertions."""

    def find(self, key_id: str) -> Mapping[str, Any] | None:
        """Return the JWK with this id, looking at the source when unknown. Raises SignInUnavailable if it is away."""


class SignInProvider(Protocol):
    """The company's sign-in service (OpenID Connect). Reading raises SignInUnavailable while nothing is known."""

    def metadata(self) -> Mapping[str, Any]:
        """Return what is used of its discovery document, kept for an hour."""

    def keys(self, *, fresh: bool = False) -> Mapping[str, Any]:
        """Return its JWKS, kept for an hour; *fresh* looks again, because a key is unknown."""

    def tame(self, session: Any) -> Any:  # noqa: ANN401 - the session of a library that says nothing of its types
        """Give a session our time limits and return it; its failures are TenantErrors."""

    def check(self) -> None:
        """Raise ConfigError unless the service can be used."""


class OperatorTokens(Protocol):
    """Bearer tokens for operators' machines, stored hashed. May raise StoreError."""

    def add(self, token: OperatorToken, token_hash: str) -> bool:
        """Keep a token, unless one has its name already. Return whether it was kept, which is told once a name."""

    def find(self, token_hash: str) -> OperatorToken | None: ...

    def all(self) -> Sequence[OperatorToken]:
        """Return every token, the oldest first."""

    def remove(self, name: str) -> bool:
        """End every token of this name. Return whether there was one."""


class AuditLog(Protocol):
    """Append-only: nothing here changes or removes an event. May raise StoreError."""

    def append(self, event: AuditEvent) -> None:
        """Keep an event for good; what looks like a credential in its reason is masked: nothing can be taken back."""

    def latest(self, *, tenant: str | None = None, limit: int = 100) -> Sequence[AuditEvent]:
        """Return the newest events first."""

    def last_change(self, tenant: str | None) -> AuditEvent | None:
        """Return the newest event that began a tenant's rollout anew; of None, that of all tenants at once."""

    def page(self, asked: AuditFilter, *, before: int | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        """Return matching entries, newest first, from the one below the id *before* on."""

    def walk(self, asked: AuditFilter) -> Iterator[AuditEntry]:
        """Yield every matching entry, oldest first, without holding many in memory or a transaction open."""


class DecisionStore(Protocol):
    """The newest decision of another flag provider for each subject. Every method may raise StoreError."""

    def get(self, tenant: str, sub: str) -> NotedDecision | None: ...

    def note(self, noted: NotedDecision, *, instead_of: NotedDecision | None, event: AuditEvent | None) -> bool:
        """Replace the decision that was read (None: there was none), with its audit event if there is one.

        Return False, and change nothing, when another decision stands there by now.
        """


class JwtUses(Protocol):
    """Who used the JWT path. Rows end 90 days after their last use. May raise StoreError."""

    def note(self, use: JwtUse) -> None:
        """Add a use to the row of its tenant, subject, origin and family; `first_seen` stays the earliest."""

    def latest(self, tenant: str, *, since: float, limit: int) -> Sequence[JwtUse]:
        """Return the uses that were last seen since then, the newest first."""

    def origins(self, tenant: str, *, since: float) -> Sequence[OriginUse]:
        """Return the origins of those uses with their number of subjects, the newest first."""

    def subjects(self, tenant: str, *, since: float) -> int:
        """Return how many different subjects those uses are of."""

    def watched_since(self) -> float:
        """Return since when uses are noted at all: silence before that proves nothing."""


class People(Protocol):
    """The sandbox's people, for the demo sign-in alone."""

    def all(self) -> Sequence[Identity]:
        """Return everyone who may sign in to the demo. Raises TenantError."""


class Probe(Protocol):
    """A resource that can say whether it works."""

    name: str

    def check(self) -> None:
        """Raise any BridgeError when the resource does not work."""
