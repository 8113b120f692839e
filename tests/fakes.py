"""In-memory stand-ins for every port. They pass the same contract suites as the real adapters."""

import base64
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from pydantic import ValidationError

from bridge.adapters.keyfiles import KeyFile
from bridge.budgeting import Account, Lane, Lease, Spent, closed_for_s
from bridge.decisions import NotedDecision
from bridge.errors import (
    AppRefused,
    BadContent,
    ConfigError,
    Conflict,
    NotSignedIn,
    StoreError,
    TenantError,
    TenantRefused,
    UnknownTenant,
    UnreadableTenant,
)
from bridge.evidence import (
    Baseline,
    Credential,
    Holder,
    OpenedApp,
    Outcome,
    ParityCounts,
    ParityResult,
    Wanted,
)
from bridge.guarding import Batch, Tally
from bridge.history import KEPT_S, PEOPLE_KEPT_S, TROUBLE, HistoryNotes, Trouble
from bridge.licences import Licences
from bridge.model import (
    AuditEvent,
    Expiring,
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
from bridge.ports import Clock, Sign
from bridge.ports.budget import Decide
from bridge.ports.renewals import Seen
from bridge.roles import OperatorToken
from bridge.sealing import Holding, SealedValue
from bridge.telemetry import Step, StepTaken, credentials_masked, note_step, timed
from bridge.trail import (
    AuditEntry,
    AuditFilter,
    EventPage,
    Impersonation,
    JwtUse,
    Kind,
    OriginUse,
    TenantEvent,
    Whence,
    begins_anew,
)
from bridge.webhooks import Notice, Webhook

START = 1_800_000_000.0
TOKEN_LIFE_S = 21_600


@dataclass
class FakeClock:
    """A clock that moves when told to: `clock.advance(60)`, or by setting `clock.now`."""

    now: float = START

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class _Store:
    """Set `broken` and every method raises StoreError, as with the database away."""

    def __init__(self) -> None:
        self.broken = False
        self._lock = threading.RLock()

    def _check(self) -> None:
        if self.broken:
            raise StoreError(detail="broken by the test")


class FakeTenants(_Store):
    def __init__(self, *states: TenantState) -> None:
        super().__init__()
        self.states = {state.tenant.slug: state for state in states}
        self.bad: dict[str, Unreadable] = {}
        self.events: list[AuditEvent] = []
        self.killed: Kill | None = None
        self.outbox = FakeOutbox()

    def all(self) -> Mapping[str, TenantState]:
        self._check()
        return {slug: replace(state, kill_all=self.killed) for slug, state in self.states.items()}

    def unreadable(self) -> Mapping[str, Unreadable]:
        self._check()
        return dict(self.bad)

    def read(self) -> tuple[Mapping[str, TenantState], Mapping[str, Unreadable]]:
        return self.all(), self.unreadable()

    def get(self, slug: str, *, fresh: bool = False) -> TenantState:
        del fresh
        self._check()
        if slug in self.bad:
            raise UnreadableTenant.named(slug, self.bad[slug].problem)
        if slug not in self.states:
            raise UnknownTenant
        return replace(self.states[slug], kill_all=self.killed)

    def kill_all(self) -> Kill | None:
        self._check()
        return self.killed

    def set_kill_all(self, kill: Kill | None, *, before: Kill | None, event: AuditEvent) -> None:
        self._check()
        if self.killed != before:
            raise Conflict
        self.killed = kill
        self.events.append(event)

    def save(self, tenant: Tenant, *, starting_at: Rollout, event: AuditEvent, seen: int | None = None) -> None:
        self._check()
        with self._lock:
            old = self.states.get(tenant.slug)
            revision = old.revision if old else 0
            if seen not in {None, revision}:
                raise Conflict
            _read_back(tenant)
            self.events.append(event)
            self.bad.pop(tenant.slug, None)
            self.states[tenant.slug] = TenantState(tenant, old.rollout if old else starting_at, revision=revision + 1)

    def move(
        self, slug: str, *, before: Rollout, after: Rollout, event: AuditEvent, notices: Sequence[Notice] = ()
    ) -> Rollout:
        with self._lock:
            state = self.get(slug)
            if state.rollout.revision != before.revision:
                raise Conflict
            moved = replace(after, revision=before.revision + 1)
            self.states[slug] = replace(state, rollout=moved)
            self.events.append(event)
            self.outbox.put(*notices)
            return moved


def _read_back(tenant: Tenant) -> None:
    try:
        Tenant.from_documents(tenant.public_document(), tenant.secrets())
    except ValidationError as error:
        (first, *_) = error.errors()
        raise UnreadableTenant.named(tenant.slug, ".".join(map(str, first["loc"]))) from None


class StaleTenants(FakeTenants):
    """What a worker sees that has not looked again yet: *behind* as it stood when this was made, unless asked fresh."""

    def __init__(self, behind: FakeTenants) -> None:
        super().__init__(*behind.states.values())
        self.killed = behind.killed
        self.behind = behind
        self.events = behind.events
        self.move = behind.move  # type: ignore[method-assign]
        self.set_kill_all = behind.set_kill_all  # type: ignore[method-assign]

    def get(self, slug: str, *, fresh: bool = False) -> TenantState:
        return self.behind.get(slug) if fresh else super().get(slug)

    def kill_all(self) -> Kill | None:
        return self.behind.kill_all()


class FakeSubjects(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[tuple[str, str], SubjectRecord] = {}

    def get(self, tenant: str, sub: str, *, fresh: bool = False) -> SubjectRecord | None:
        del fresh
        self._check()
        return self.rows.get((tenant, sub))

    def known(self, tenant: str, *, most: int = 1_000_000) -> KnownPeople:
        self._check()
        everybody = {sub: row.subject.groups for (slug, sub), row in self.rows.items() if slug == tenant}
        return KnownPeople(len(everybody), dict(list(everybody.items())[:most]))

    def note(self, tenant: str, subject: Subject, asserted_at: float) -> SubjectRecord:
        self._check()
        with self._lock:
            old = self.rows.get((tenant, subject.sub)) or SubjectRecord(tenant, subject, asserted_at)
            if asserted_at >= old.asserted_at:
                old = replace(old, subject=subject, asserted_at=asserted_at)
            self.rows[tenant, subject.sub] = old
            return old

    def record_sync(self, synced: SubjectRecord) -> None:
        self._check()
        with self._lock:
            old = self.rows.get((synced.tenant, synced.subject.sub))
            if old is None:
                return
            if old.subject.fingerprint() != synced.synced_fingerprint:
                self.forget_sync(synced.tenant, synced.subject.sub)
                return
            self.rows[old.tenant, old.subject.sub] = replace(
                synced,
                subject=old.subject,
                asserted_at=old.asserted_at,
                browser_login_until=old.browser_login_until,
            )

    def note_unclear_sync(self, tenant: str, subject: Subject) -> None:
        self._check()
        with self._lock:
            if old := self.rows.get((tenant, subject.sub)):
                may_hold = old.synced_groups | subject.groups
                self.rows[tenant, subject.sub] = replace(old, synced_fingerprint=None, synced_groups=may_hold)

    def note_browser_login(self, tenant: str, sub: str, until: float) -> None:
        self._check()
        with self._lock:
            if old := self.rows.get((tenant, sub)):
                self.rows[tenant, sub] = replace(old, synced_at=None, browser_login_until=until)

    def forget_sync(self, tenant: str, sub: str) -> None:
        self._check()
        with self._lock:
            if old := self.rows.get((tenant, sub)):
                self.rows[tenant, sub] = replace(old, synced_at=None)


Leased = dict[tuple[str, str], Lease]
"""Leases by tenant and `sub`: one for a FakeBudget, where they begin, and a FakeTokens, where they end."""


class FakeTokens(_Store):
    """`rows` are the tokens in use by digest of their key, `doomed` the others by their id."""

    def __init__(self, clock: Clock, leases: Leased | None = None) -> None:
        super().__init__()
        self.clock = clock
        self.leases: Leased = {} if leases is None else leases
        self.rows: dict[str, IssuedToken] = {}
        self.doomed: dict[str, IssuedToken] = {}

    def get(self, key: TokenKey) -> IssuedToken | None:
        self._check()
        token = self.rows.get(key.digest())
        return token if token is not None and token.expires_at > self.clock() else None

    def put(self, token: IssuedToken, lease: Lease | None = None) -> bool:
        self._check()
        with self._lock:
            is_ours = lease is None or _let_go(self.leases, lease)
            if is_ours:
                self.rows[token.key.digest()] = token
            else:
                self.doomed[token.token_id] = token
            return is_ours

    def drop(self, token: IssuedToken) -> None:
        self._check()
        with self._lock:
            self.doomed.pop(token.token_id, None)
            kept = self.rows.get(token.key.digest())
            if kept is not None and kept.token_id == token.token_id:
                del self.rows[token.key.digest()]

    def doom(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        is_meant = partial(self._is_meant, tenant, sub)
        self._check()
        with self._lock:
            for (slug, name), lease in list(self.leases.items()):
                if tenant in {None, slug} and sub in {None, name} and not lease.problem:
                    self.leases[slug, name] = replace(lease, problem=NotSignedIn.code(), until=self.clock())
            for digest, token in [(digest, token) for digest, token in self.rows.items() if is_meant(token)]:
                self.doomed[token.token_id] = token
                del self.rows[digest]
            return [token for token in self.doomed.values() if is_meant(token)]

    def still_doomed(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        self._check()
        with self._lock:
            return [token for token in self.doomed.values() if self._is_meant(tenant, sub, token)]

    def _is_meant(self, tenant: str | None, sub: str | None, token: IssuedToken) -> bool:
        return tenant in {None, token.key.tenant} and sub in {None, token.key.sub} and token.expires_at > self.clock()


class FakeSealedValues(_Store):
    """Values by row; the place of the key that opens each is simply written down."""

    def __init__(self, *values: SealedValue, keys: int = 2) -> None:
        super().__init__()
        self.values = {(value.holding, value.row): value for value in values}
        self.keys = keys

    def count(self) -> int:
        self._check()
        return len(self.values)

    def batches(self) -> Iterator[Sequence[SealedValue]]:
        self._check()
        for holding in (Holding.TOKEN, Holding.SECRETS):
            yield from ([value] for value in list(self.values.values()) if value.holding is holding)

    def reseal(self, values: Sequence[SealedValue]) -> int:
        self._check()
        meant = [value for value in self._as_read(values) if value.place is not None]
        for value in meant:
            self.values[value.holding, value.row] = replace(value, place=0, sealed=value.sealed + b"'")
        return len(meant)

    def drop(self, values: Sequence[SealedValue]) -> int:
        self._check()
        meant = [value for value in self._as_read(values) if value.holding is Holding.TOKEN]
        for value in meant:
            del self.values[value.holding, value.row]
        return len(meant)

    def _as_read(self, values: Sequence[SealedValue]) -> Sequence[SealedValue]:
        return [value for value in values if self.values.get((value.holding, value.row)) == value]


def _let_go(leases: Leased, lease: Lease) -> bool:
    known = leases.get((lease.tenant, lease.sub))
    if known is None or known.holder != lease.holder or known.problem:
        return False
    del leases[lease.tenant, lease.sub]
    return True


class FakeRenewals(_Store):
    """Looks after the tokens of a FakeTokens; `seen` is when by tenant and `sub`, `claims` until when by token id."""

    def __init__(self, tokens: FakeTokens) -> None:
        super().__init__()
        self.tokens = tokens
        self.seen: dict[tuple[str, str], float] = {}
        self.claims: dict[str, float] = {}

    def add(self, seen: Seen) -> None:
        self._check()
        owners = {(token.key.tenant, token.key.sub) for token in self.tokens.rows.values()}
        self.seen.update({who: at for who, at in seen.people.items() if who in owners})

    def due(self, tenant: str, *, now: float, before: float, seen_since: float, limit: int) -> Sequence[Expiring]:
        self._check()
        mine = [each for each in self.tokens.rows.values() if each.key.tenant == tenant]
        near = [each for each in mine if now < each.expires_at < before and self.claims.get(each.token_id, 0) <= now]
        found = [each for each in near if self.seen.get((tenant, each.key.sub), 0) >= seen_since]
        ordered = sorted(found, key=lambda each: each.expires_at)[:limit]
        return [
            Expiring(each.key, each.token_id, each.issued_at, each.expires_at, self.claims.get(each.token_id, 0))
            for each in ordered
        ]

    def claim(self, expiring: Expiring, *, until: float) -> bool:
        self._check()
        with self._lock:
            kept = self.tokens.rows.get(expiring.key.digest())
            same_moment = self.claims.get(expiring.token_id, 0) == expiring.claimed_until
            if kept is None or kept.token_id != expiring.token_id or not same_moment:
                return False
            self.claims[expiring.token_id] = until
            return True


class FakeSessions(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Session] = {}

    def get(self, id_hash: str) -> Session | None:
        self._check()
        return self.rows.get(id_hash)

    def add(self, session: Session) -> bool:
        self._check()
        identity = session.identity
        theirs = [known for known in self.rows.values() if _person(known) == _person(session)]
        older = [known for known in theirs if known.identity.asserted_at < identity.asserted_at]
        self.rows |= {known.id_hash: replace(known, identity=identity) for known in older}
        self.rows[session.id_hash] = session
        return any(known.identity.subject != identity.subject for known in older)

    def touch(self, used: Mapping[str, float]) -> None:
        self._check()
        for id_hash in used.keys() & self.rows.keys():
            known = self.rows[id_hash]
            self.rows[id_hash] = replace(known, seen_at=max(known.seen_at, used[id_hash]))

    def remove(self, id_hash: str) -> None:
        self._check()
        self.rows.pop(id_hash, None)

    def remove_older(self, *, created_before: float, seen_before: float) -> bool:
        self._check()
        old = [h for h, s in self.rows.items() if s.created_at < created_before or s.seen_at < seen_before]
        for id_hash in old:
            del self.rows[id_hash]
        return False


def _person(session: Session) -> tuple[str, str, str | None, str]:
    identity = session.identity
    return identity.source, identity.issuer, identity.tenant, identity.subject.sub


class FakeLedger(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.claimed: dict[tuple[str, str], float] = {}

    def claim(self, issuer: str, jti: str, until: float, *, now: float) -> bool:
        self._check()
        with self._lock:
            self.claimed = {used: end for used, end in self.claimed.items() if end >= now}
            first = (issuer, jti) not in self.claimed
            self.claimed.setdefault((issuer, jti), until)
            return first


class FakeOperatorTokens(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, OperatorToken] = {}

    def add(self, token: OperatorToken, token_hash: str) -> bool:
        self._check()
        if any(row.name == token.name for row in self.rows.values()):
            return False
        self.rows[token_hash] = token
        return True

    def find(self, token_hash: str) -> OperatorToken | None:
        self._check()
        return self.rows.get(token_hash)

    def all(self) -> Sequence[OperatorToken]:
        self._check()
        return sorted(self.rows.values(), key=lambda each: (each.created_at, each.name))

    def remove(self, name: str) -> bool:
        self._check()
        gone = [token_hash for token_hash, row in self.rows.items() if row.name == name]
        for token_hash in gone:
            del self.rows[token_hash]
        return bool(gone)


class FakeAudit(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[AuditEvent] = []

    def append(self, event: AuditEvent) -> None:
        self._check()
        self.events.append(AuditEvent(**credentials_masked(asdict(event))))

    def latest(self, *, tenant: str | None = None, limit: int = 100) -> Sequence[AuditEvent]:
        return [entry.event for entry in self.page(AuditFilter(tenant=tenant), limit=limit)]

    def last_change(self, tenant: str | None) -> AuditEvent | None:
        self._check()
        return next((each for each in reversed(self.events) if each.tenant == tenant and begins_anew(each)), None)

    def page(self, asked: AuditFilter, *, before: int | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        found = [entry for entry in self.walk(asked) if before is None or entry.id < before]
        return found[::-1][:limit]

    def walk(self, asked: AuditFilter) -> Iterator[AuditEntry]:
        self._check()
        yield from (AuditEntry(place, each) for place, each in enumerate(self.events, 1) if asked.admits(each))


class FakeMeasures(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.people: dict[tuple[str, str, str], float] = {}
        self.counts: Counter[tuple[str, str, int]] = Counter()

    def add(self, batch: Batch) -> None:
        self._check()
        with self._lock:
            self.people.update(batch.people)
            self.counts.update(batch.counts)

    def tallies(self, tenants: Collection[str], since: float) -> Mapping[str, Tally]:
        self._check()
        found: dict[str, Counter[str]] = {}
        for (tenant, measure, _), seen_at in self.people.items():
            if tenant in tenants and seen_at >= since:
                found.setdefault(tenant, Counter())[measure] += 1
        for (tenant, measure, slot), count in self.counts.items():
            if tenant in tenants and slot >= since:
                found.setdefault(tenant, Counter())[measure] += count
        return found

    def remove_older(self, before: float) -> None:
        self._check()
        self.people = {key: at for key, at in self.people.items() if at >= before}
        self.counts = Counter({key: count for key, count in self.counts.items() if key[2] >= before})


class FakeHistory(_Store):
    """Counts by tenant, length of the slot, name and slot; and when each was last written."""

    def __init__(self) -> None:
        super().__init__()
        self.people: set[tuple[str, int, str, int, str]] = set()
        self.cells: Counter[tuple[str, int, str, int]] = Counter()
        self.last_at: dict[tuple[str, int, str, int], float] = {}
        self.turn = 0

    def add(self, notes: HistoryNotes, at: float) -> None:
        self._check()
        with self._lock:
            for (tenant, name, hour), times in notes.counts.items():
                self._grow(_cells(tenant, name, hour), times, at)
            for hour, tenant, name, person in notes.people:
                cells = [each for each in _cells(tenant, name, hour) if (*each, person) not in self.people]
                self.people |= {(*each, person) for each in cells}
                self._grow(cells, 1, at)

    def _grow(self, cells: Iterable[tuple[str, int, str, int]], times: int, at: float) -> None:
        for cell in cells:
            self.cells[cell] += times
            self.last_at[cell] = at

    def put(self, at: float, standings: Mapping[tuple[str, str], int]) -> None:
        self._check()
        for (tenant, name), count in standings.items():
            for cell in _cells(tenant, name, at):
                self.cells[cell] = count
                self.last_at[cell] = at

    def counts(self, tenant: str, slot_s: int, *, since: int) -> Mapping[tuple[str, int], int]:
        self._check()
        mine = {
            (name, slot): n
            for (slug, length, name, slot), n in self.cells.items()
            if (slug, length) == (tenant, slot_s)
        }
        return {key: count for key, count in mine.items() if key[1] >= since}

    def in_slot(
        self, tenants: Collection[str], names: Collection[str], slot_s: int, slot: int
    ) -> Mapping[tuple[str, str], int]:
        self._check()
        return {
            (tenant, name): count
            for (tenant, length, name, start), count in self.cells.items()
            if tenant in tenants and name in names and (length, start) == (slot_s, slot)
        }

    def troubles(self, tenant: str, slot_s: int, *, since: float, limit: int) -> Sequence[Trouble]:
        self._check()
        found: dict[str, Trouble] = {}
        for cell, times in self.cells.items():
            slug, length, name, _ = cell
            if (slug, length) == (tenant, slot_s) and name.startswith(TROUBLE) and self.last_at[cell] >= since:
                code = name.removeprefix(TROUBLE)
                old = found.get(code, Trouble(code, 0, 0))
                found[code] = Trouble(code, old.times + times, max(old.last_at, self.last_at[cell]))
        return sorted(found.values(), key=lambda each: (-each.last_at, each.code))[:limit]

    def claim(self, turn: int) -> bool:
        self._check()
        is_first, self.turn = turn > self.turn, max(turn, self.turn)
        return is_first

    def sweep(self, now: float, *, most: int) -> bool:
        self._check()
        old = [cell for cell in self.cells if cell[3] < now - KEPT_S[cell[1]]][:most]
        for cell in old:
            del self.cells[cell]
        gone = [each for each in self.people if each[3] < now - each[1] - PEOPLE_KEPT_S][:most]
        self.people -= set(gone)
        return most in {len(old), len(gone)}


def _cells(tenant: str, name: str, at: float) -> Iterator[tuple[str, int, str, int]]:
    return ((tenant, slot_s, name, int(at // slot_s * slot_s)) for slot_s in KEPT_S)


class FakeOutbox(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[tuple[str, str], Notice] = {}

    def put(self, *notices: Notice) -> None:
        """What FakeTenants does with its notices."""
        for each in notices:
            self.rows.setdefault((each.id, each.to), each)

    def due(self, now: float, *, limit: int) -> Sequence[Notice]:
        self._check()
        return sorted((each for each in self.rows.values() if each.due_at <= now), key=lambda each: each.due_at)[:limit]

    def claim(self, notice: Notice, *, until: float) -> bool:
        self._check()
        with self._lock:
            kept = self.rows.get((notice.id, notice.to))
            if kept is None or kept.attempts != notice.attempts:
                return False
            self.rows[notice.id, notice.to] = replace(kept, attempts=kept.attempts + 1, due_at=until)
            return True

    def postpone(self, notice: Notice, *, until: float, problem: str) -> None:
        self._check()
        if kept := self.rows.get((notice.id, notice.to)):
            self.rows[notice.id, notice.to] = replace(kept, due_at=until, problem=problem)

    def remove(self, notice: Notice) -> None:
        self._check()
        self.rows.pop((notice.id, notice.to), None)

    def waiting(self, tenant: str) -> Sequence[Notice]:
        self._check()
        mine = (each for each in self.rows.values() if each.tenant == tenant)
        return sorted(mine, key=lambda each: (each.created_at, each.to))

    def depths(self) -> Mapping[str, int]:
        self._check()
        return Counter(each.tenant for each in self.rows.values())


@dataclass
class FakeWebhooks:
    """Keeps what was posted; `answers` are given in order (a status, or an error to raise), then 204."""

    posted: list[tuple[Webhook, bytes, Mapping[str, str]]] = field(default_factory=list)
    answers: list[int | Exception] = field(default_factory=list)

    def post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
        self.posted.append((webhook, body, headers))
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeBudget(_Store):
    """`rows` are calls and refusals by account, lane and slot; `claims` counts the transactions."""

    def __init__(self, leases: Leased | None = None) -> None:
        super().__init__()
        self.leases: Leased = {} if leases is None else leases
        self.rows: dict[tuple[Account, Lane, float], Spent] = {}
        self.tiers: dict[tuple[str, int], float] = {}
        self.claims = 0

    def claim(self, account: Account, decide: Decide, *, since: float, lease: Lease | None = None) -> bool:
        self._check()
        with self._lock:
            self.claims += 1
            if lease and not self._is_free(lease):
                return False
            rows = [row for (payer, _, slot), row in self.rows.items() if payer == account and slot >= since]
            spent = decide(rows, self.tiers.get((account.tenant, 2), 0))
            self._add(account, spent)
            if lease and spent.calls:
                self.leases[lease.tenant, lease.sub] = lease
        return True

    def _is_free(self, wanted: Lease) -> bool:
        known = self.leases.get((wanted.tenant, wanted.sub))
        return known is None or not known.is_in_the_way_of(wanted)

    def lease(self, tenant: str, sub: str) -> Lease | None:
        self._check()
        return self.leases.get((tenant, sub))

    def end_lease(self, lease: Lease, problem: str = "") -> None:
        self._check()
        with self._lock:
            if _let_go(self.leases, lease) and problem:
                self.leases[lease.tenant, lease.sub] = replace(lease, problem=problem, until=lease.begun)

    def give_back(self, account: Account, unused: Spent) -> None:
        self._check()
        with self._lock:
            self._add(account, replace(unused, calls=-unused.calls))

    def _add(self, account: Account, spent: Spent) -> None:
        key = (account, spent.lane, spent.slot)
        old = self.rows.get(key, Spent(spent.lane, spent.slot))
        self.rows[key] = replace(old, calls=old.calls + spent.calls, refused=old.refused + spent.refused)

    def spent(self, since: float) -> Mapping[Account, Sequence[Spent]]:
        self._check()
        found: defaultdict[Account, list[Spent]] = defaultdict(list)
        for (account, _, slot), row in self.rows.items():
            if slot >= since:
                found[account].append(row)
        return found

    def close(self, tenant: str, tier: int, until: float, *, now: float) -> None:
        self._check()
        with self._lock:
            if closed_for_s(until, now) > closed_for_s(self.tiers.get((tenant, tier), 0), now):
                self.tiers[tenant, tier] = until

    def closed(self) -> Mapping[tuple[str, int], float]:
        self._check()
        return dict(self.tiers)

    def keep(self, since: float, until: float) -> None:
        self._check()
        self.rows = {key: row for key, row in self.rows.items() if since <= row.slot <= until}
        for key in [key for key, lease in self.leases.items() if not since <= lease.until <= until]:
            del self.leases[key]


class FakeDecisions(_Store):
    def __init__(self, audit: FakeAudit) -> None:
        super().__init__()
        self.audit = audit
        self.rows: dict[tuple[str, str], NotedDecision] = {}

    def get(self, tenant: str, sub: str) -> NotedDecision | None:
        self._check()
        return self.rows.get((tenant, sub))

    def note(self, noted: NotedDecision, *, instead_of: NotedDecision | None, event: AuditEvent | None) -> bool:
        self._check()
        with self._lock:
            standing = self.rows.get((noted.tenant, noted.sub))
            if standing is None or instead_of is None:
                is_as_read = standing is instead_of
            else:
                is_as_read = standing.decision.is_like(instead_of.decision)
            if is_as_read:
                self.rows[noted.tenant, noted.sub] = noted
                if event is not None:
                    self.audit.append(event)
            return is_as_read


class FakeJwtUses(_Store):
    """`since` is when the watch began."""

    def __init__(self, since: float = START) -> None:
        super().__init__()
        self.since = since
        self.rows: dict[tuple[str, str, Whence], JwtUse] = {}

    def note(self, use: JwtUse) -> None:
        self._check()
        with self._lock:
            key = (use.tenant, use.sub, use.whence)
            old = self.rows.get(key)
            if old is None:
                self.rows[key] = use
                return
            is_new_hour = old.last_seen < use.last_seen - use.last_seen % 3600
            self.rows[key] = replace(
                old,
                first_seen=min(old.first_seen, use.first_seen),
                last_seen=max(old.last_seen, use.last_seen),
                hours=old.hours + (use.hours if is_new_hour else 0),
            )

    def latest(self, tenant: str, *, since: float, limit: int) -> Sequence[JwtUse]:
        self._check()
        found = [use for use in self.rows.values() if use.tenant == tenant and use.last_seen >= since]
        return sorted(found, key=lambda use: -use.last_seen)[:limit]

    def origins(self, tenant: str, *, since: float) -> Sequence[OriginUse]:
        found: defaultdict[str, list[JwtUse]] = defaultdict(list)
        for use in self.latest(tenant, since=since, limit=len(self.rows)):
            found[use.whence.origin].append(use)
        return [
            OriginUse(
                origin,
                len({use.sub for use in uses}),
                min(use.first_seen for use in uses),
                max(use.last_seen for use in uses),
            )
            for origin, uses in found.items()
        ]

    def subjects(self, tenant: str, *, since: float) -> int:
        return len({use.sub for use in self.latest(tenant, since=since, limit=len(self.rows))})

    def watched_since(self) -> float:
        self._check()
        return self.since


class FakeImpersonations(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Impersonation] = []

    def since(self, tenant: str, since: float) -> Sequence[Impersonation]:
        self._check()
        found = [each for each in self.rows if each.tenant == tenant and each.at >= since]
        return sorted(found, key=lambda each: each.at)


class FakeEvents:
    """`events` are what the tenant tells, `providers` its JWT identity providers; `fail` is raised while it is set."""

    def __init__(self, page_size: int = 100) -> None:
        self.page_size = page_size
        self.events: list[TenantEvent] = []
        self.providers = {("issuer-acme", "kid-acme"): "idp-browser", ("issuer-sync", "kid-sync"): "idp-sync"}
        self.fail: TenantError | None = None
        self.pages_read = 0

    def provider_ids(self, tenant: Tenant) -> Mapping[tuple[str, str], str]:
        del tenant
        self._check()
        return dict(self.providers)

    def page(self, tenant: Tenant, kind: Kind, *, since: float, until: float, cursor: str = "") -> EventPage:
        del tenant
        self._check()
        self.pages_read += 1
        found = [each for each in self.events if each.kind == kind and since <= each.at <= until]
        found.sort(key=lambda each: -each.at)
        start = int(cursor or 0)
        end = start + self.page_size
        return EventPage(found[start:end], str(end) if end < len(found) else "")

    def _check(self) -> None:
        if self.fail:
            raise self.fail


class FakeParity(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.baselines: dict[tuple[str, str], Baseline] = {}
        self.rows: dict[tuple[str, str], ParityResult] = {}

    def keep_baseline(self, baseline: Baseline) -> None:
        self._check()
        self.baselines[baseline.tenant, baseline.sub] = baseline

    def baseline(self, tenant: str, sub: str) -> Baseline | None:
        self._check()
        return self.baselines.get((tenant, sub))

    def keep_result(self, result: ParityResult) -> None:
        self._check()
        self.rows[result.tenant, result.sub] = result

    def result(self, tenant: str, sub: str) -> ParityResult | None:
        self._check()
        return self.rows.get((tenant, sub))

    def results(self, tenant: str, *, outcome: Outcome | None = None, limit: int = 100) -> Sequence[ParityResult]:
        self._check()
        chosen = [row for row in self.rows.values() if row.tenant == tenant and outcome in {None, row.outcome}]
        return sorted(chosen, key=lambda row: (-row.compared_at, row.sub))[:limit]

    def latest_run(self, tenant: str) -> float | None:
        self._check()
        return max((row.run for row in self.rows.values() if row.tenant == tenant and row.run), default=None)

    def counts(self, tenant: str, *, fresh_since: float, basis: str) -> ParityCounts:
        rows = self.results(tenant, limit=len(self.rows))
        sizes = {each.value: sum(row.outcome is each for row in rows) for each in Outcome}
        proven = (row for row in rows if row.outcome is Outcome.PROVEN and row.basis == basis)
        fresh = sum(row.compared_at >= fresh_since for row in proven)
        return ParityCounts(**sizes, fresh=fresh)


class FakeKeys:
    """A real 2048 bit key for any name, but those in `missing`."""

    def __init__(self, *, missing: Sequence[str] = ()) -> None:
        self.missing = set(missing)
        self.loaded = 0

    def load(self, name: str) -> RSAPrivateKey:
        self.loaded += 1
        if name in self.missing:
            raise ConfigError([f"there is no signing key {name}"])
        return _key(name)

    def list(self) -> Sequence[KeyFile]:
        return [KeyFile("acme.pem", 2048, "2027-01-31", "AB:CD")]


@lru_cache
def _key(name: str) -> RSAPrivateKey:
    del name
    return generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class FakeKeySet:
    """JWKs by key id."""

    keys: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def find(self, key_id: str) -> Mapping[str, Any] | None:
        return self.keys.get(key_id)


@dataclass
class FakePeople:
    people: list[Identity] = field(default_factory=list)

    def all(self) -> Sequence[Identity]:
        return list(self.people)


class FakeQlik:
    """A tenant in a dictionary.

    `calls` lists what was asked: `("log_in", slug, sub)`, `("mint", slug, user_id)`, `("whoami", slug, token)`,
    `("revoke", slug, token)`, `("auto_creates_groups", slug)`. `fail["mint"] = [error, ...]` raises each error
    once, in order. `before["mint"]` is called before an answer (to hold a thread, say). `users[sub]` is what
    the tenant says about that subject; a subject without one gets id `id-<sub>` and the groups of the JWT.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, ...]] = []
        self.fail: defaultdict[str, list[Exception]] = defaultdict(list)
        self.before: dict[str, Callable[[], None]] = {}
        self.users: dict[str, QlikUser] = {}
        self.tokens: dict[str, QlikUser] = {}
        self.revoked: set[str] = set()
        self.auto_creates = True
        self._known: dict[str, QlikUser] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of the calls, in order."""
        return [call[0] for call in self.calls]

    def log_in(self, tenant: Tenant, sign: Sign) -> QlikUser:
        claims = claims_of(sign())
        sub = str(claims["sub"])
        with timed(Step.JWT_LOGIN):
            self._called("log_in", tenant.slug, sub)
        note_step(StepTaken(Step.GROUPS, 0.0))
        user = self.users.get(sub) or QlikUser(f"id-{sub}", sub, frozenset(claims.get("groups", ())))
        self._known[user.id] = user
        return user

    @timed(Step.MINT)
    def mint(self, tenant: Tenant, user_id: str) -> Minted:
        self._called("mint", tenant.slug, user_id)
        with self._lock:
            value = f"fake-token-{len(self.tokens) + 1}"
            self.tokens[value] = self._known.get(user_id) or QlikUser(user_id, user_id, frozenset())
        return Minted(value, tenant.scope, self.clock() + TOKEN_LIFE_S)

    @timed(Step.CHECK)
    def whoami(self, tenant: Tenant, access_token: str) -> QlikUser:
        self._called("whoami", tenant.slug, access_token)
        if access_token in self.revoked or access_token not in self.tokens:
            raise TenantRefused(status=401)
        return self.tokens[access_token]

    def revoke(self, tenant: Tenant, access_token: str) -> None:
        self._called("revoke", tenant.slug, access_token)
        self.revoked.add(access_token)

    def auto_creates_groups(self, tenant: Tenant) -> bool:
        self._called("auto_creates_groups", tenant.slug)
        return self.auto_creates

    def _called(self, method: str, *details: str) -> None:
        self.calls.append((method, *details))
        if method in self.before:
            self.before[method]()
        if self.fail[method]:
            raise self.fail[method].pop(0)


@dataclass
class FakeDirectory:
    """`users` are statuses by subject, `groups` kinds by name; `calls` lists what was asked."""

    users: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    told: Licences = field(default_factory=Licences)
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def user_status(self, tenant: Tenant, sub: str) -> str | None:
        self.calls.append(("user_status", tenant.slug, sub))
        return self.users.get(sub)

    def group_kind(self, tenant: Tenant, name: str) -> str | None:
        self.calls.append(("group_kind", tenant.slug, name))
        return self.groups.get(name)

    def licences(self, tenant: Tenant) -> Licences:
        self.calls.append(("licences", tenant.slug))
        return self.told


@dataclass
class FakeApp:
    """`rows[sub]` are what that person sees, for everybody else `rows[""]`; who is in `closed_to` may not open it."""

    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    sheets: list[Mapping[str, Any]] = field(default_factory=list)
    closed_to: set[str] = field(default_factory=set)
    fields: tuple[str, str] = ("Product", "Sum(Sales)")


class FakeEngine:
    """An engine in a dictionary, for the tokens of a FakeQlik.

    `calls` lists what was asked as `(method, app_id, token)`.
    `fail["sheets"] = [error, ...]` raises each error once, in order.
    """

    def __init__(self, qlik: FakeQlik, **apps: FakeApp) -> None:
        self.qlik = qlik
        self.apps = {name.replace("_", "-"): app for name, app in apps.items()}
        self.calls: list[tuple[str, ...]] = []
        self.fail: defaultdict[str, list[Exception]] = defaultdict(list)

    def sheets(self, tenant: Tenant, access_token: str, app_id: str) -> Sequence[Mapping[str, Any]]:
        del tenant
        with self._opened("sheets", access_token, app_id) as (app, _):
            return sorted(app.sheets, key=lambda each: each["qData"].get("rank", float("inf")))

    def hypercube(self, tenant: Tenant, access_token: str, app_id: str, *, dimension: str, measure: str) -> Hypercube:
        del tenant
        with self._opened("hypercube", access_token, app_id) as (app, sub):
            if (dimension, measure) != app.fields:
                raise BadContent
            rows = app.rows.get(sub, app.rows.get("", []))
        return Hypercube(tuple(row[0] for row in rows), tuple(row[1] for row in rows))

    def reader(self, tenant: Tenant, access_token: str, app_id: str) -> str:
        del tenant
        with self._opened("reader", access_token, app_id) as (_, sub):
            return sub

    @contextmanager
    def _opened(self, method: str, access_token: str, app_id: str) -> Iterator[tuple[FakeApp, str]]:
        self.calls.append((method, app_id, access_token))
        with timed(Step.WEBSOCKET):
            if self.fail[method]:
                raise self.fail[method].pop(0)
            if access_token in self.qlik.revoked or access_token not in self.qlik.tokens:
                raise TenantRefused(status=401)
        sub = self.qlik.tokens[access_token].subject
        with timed(Step.OPEN_APP):
            if app_id not in self.apps:
                raise BadContent
            if sub in self.apps[app_id].closed_to:
                raise AppRefused
        with timed(Step(method)):
            yield self.apps[app_id], sub


class FakeAccess:
    """What people have in a FakeQlik's tenant: their user and groups, and `spaces` and `apps`, the same for all.

    Every app is closed.
    """

    def __init__(self, qlik: FakeQlik) -> None:
        self.qlik = qlik
        self.spaces_seen: dict[str, str] = {}
        self.apps_seen: dict[str, str] = {}
        self._sessions: dict[str, QlikUser] = {}

    def session(self, tenant: Tenant, legacy_jwt: str) -> Credential:
        user = self.qlik.log_in(tenant, lambda: legacy_jwt)
        self._sessions[user.id] = user
        return Credential({"Cookie": user.id})

    def holder(self, tenant: Tenant, credential: Credential) -> Holder:
        bearer = credential.headers.get("Authorization")
        session = credential.headers.get("Cookie", "")
        user = self.qlik.whoami(tenant, bearer.split()[1]) if bearer else self._sessions[session]
        groups = {f"idp:{name}": f"{name} (idp)" for name in user.idp_groups}
        return Holder(user.id, user.subject, {}, groups)

    def spaces(self, tenant: Tenant, credential: Credential) -> Mapping[str, str]:
        self.holder(tenant, credential)
        return dict(self.spaces_seen)

    def apps(self, tenant: Tenant, credential: Credential) -> Mapping[str, str]:
        self.holder(tenant, credential)
        return dict(self.apps_seen)

    def opened(self, tenant: Tenant, credential: Credential, app_id: str, wanted: Wanted) -> OpenedApp:
        del app_id, wanted
        self.holder(tenant, credential)
        return OpenedApp(refused="closed to this person")


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, unchecked; a text that is no JWT stands for its subject."""
    parts = token.split(".")
    if len(parts) != 3:
        return {"sub": token}
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(padded))
    return claims
