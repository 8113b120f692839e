"""The in-process copy in front of the SQL stores: a warm request touches no database.

Changes that other processes must see grow one counter in the database, in their own transaction. It is looked
at in passing; when it has grown, the copies of those whom the changes were about are thrown away, or all of them where
that is not known.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Generic, TypeVar

from bridge.budgeting import Lease
from bridge.errors import StoreError, UnknownTenant, UnreadableTenant
from bridge.memory import look_further
from bridge.model import (
    AuditEvent,
    IssuedToken,
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
from bridge.ports import Clock, SessionStore, SubjectStore, TenantStore, TokenStore
from bridge.webhooks import Notice

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

CAPACITY = 10_000
"""People of whom a worker keeps copies: a session, a subject and a token each."""

NOT_USED_HERE_S = 900.0
"""A session that nobody used for so long, as far as this worker knows, is looked up."""
RENEWAL_LIFE_S = 900.0
"""With less life than this left, another process may have renewed a token: the store is asked."""

NEVER = float("-inf")

People = Collection[str] | None
"""The `sub` of those whom changes were about; None: perhaps everybody."""


class RevisionWatch:
    """Looks at the counter at most every *every_s* seconds, and trusts copies for *trust_s* when it cannot.

    *read* returns the counter, *whom* says whom its changes were about; both may raise StoreError. One thread looks,
    the others go on with their copy. *note_seen* hears when a look was good.
    """

    def __init__(
        self,
        read: Callable[[], int],
        clock: Clock,
        whom: Callable[[int, int], People] = lambda *_: None,
        *,
        every_s: float = 0.25,
        trust_s: float = 60.0,
        note_seen: Callable[[float], object] = float,
    ) -> None:
        self._read = read
        self._whom = whom
        self._clock = clock
        self._note_seen = note_seen
        self._every_s = every_s
        self._trust_s = trust_s
        self._seen: int | None = None
        self._tried_at = self._good_at = NEVER
        self._looking = threading.Lock()
        self._forgetters: list[Callable[[People], None]] = []

    def on_change(self, forget: Callable[[People], None]) -> None:
        """Call *forget* with the people concerned whenever the counter has changed."""
        self._forgetters.append(forget)

    def age_s(self) -> float:
        """Return how old the copies may be; infinity before the first look."""
        return self._clock() - self._good_at

    def look(self) -> None:
        """Make sure that copies may be used. Raises StoreError when they are too old to trust."""
        if 0 <= self.age_s() < self._every_s:  # most requests go on here
            return
        if self._is_due() and self._looking.acquire(blocking=not self._is_trusted()):
            try:
                self._look_once()
            finally:
                self._looking.release()
        if not self._is_trusted():
            raise StoreError(detail=f"no look at the database for more than {self._trust_s:.0f} s")

    def _look_once(self) -> None:
        if not self._is_due():  # another thread looked while this one waited
            return
        try:
            revision = self._read()
            people = self._concerned(revision) if revision != self._seen else ()
        except StoreError:
            self._tried_at = self._clock()
            return
        if people is None or people:
            for forget in self._forgetters:
                forget(people)
        self._seen = revision
        self._tried_at = self._good_at = self._clock()
        self._note_seen(self._good_at)

    def _concerned(self, revision: int) -> People:
        """Return whom the changes since the last look were about; after an outage it may be another database."""
        since = self._seen if self._tried_at == self._good_at else None
        return None if since is None else self._whom(since, revision)

    def _is_due(self) -> bool:
        return not 0 <= self._clock() - self._tried_at < self._every_s

    def _is_trusted(self) -> bool:
        return abs(self.age_s()) <= self._trust_s  # an hour ahead is of before the clock went back


class _Copies(Generic[K, V]):
    """A bounded copy. A value that was read before somebody forgot it is never put back after."""

    def __init__(self, watch: RevisionWatch, most: int, whose: Callable[[K, V], str | None] = lambda *_: None) -> None:
        self._whose = whose
        self._watch = watch
        self._kept: OrderedDict[K, V] = OrderedDict()  # the least used first; half as large as a cache of a library
        self._most = most
        self._generation = 0
        self._guard = threading.Lock()
        watch.on_change(self.forget_people)

    def get(self, key: K, read: Callable[[], V | None], *, usable: Callable[[V], bool] = lambda _: True) -> V | None:
        """Return the copy, else what *read* returns, which is kept unless it is None. May raise NotInMemory."""
        self._watch.look()
        with self._guard:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
            generation = self._generation
        if kept is not None and usable(kept):
            return kept
        look_further()
        try:
            value = read()
        except StoreError:
            if kept is None:
                raise
            return kept  # the watch trusts it still, and nobody can say what is newer
        with self._guard:
            if value is not None and generation == self._generation:
                self._kept[key] = value
                self._kept.move_to_end(key)
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return value

    def __len__(self) -> int:
        return len(self._kept)

    def change(self, key: K, how: Callable[[V], V]) -> None:
        """Change a copy; one that was forgotten meanwhile stays forgotten."""
        with self._guard:
            if (kept := self._kept.get(key)) is not None:
                self._kept[key] = how(kept)

    def forget(self, key: K) -> None:
        with self._guard:
            self._generation += 1
            self._kept.pop(key, None)

    def forget_people(self, people: People) -> None:
        """Forget what is about these people, or all where it is not known whom."""
        if people is None:
            self.clear()
            return
        with self._guard:
            self._generation += 1
            for key in [key for key, value in self._kept.items() if self._whose(key, value) in people]:
                del self._kept[key]

    def clear(self) -> None:
        with self._guard:
            self._generation += 1
            self._kept.clear()


class CachedTenants:
    """All tenants at once: there are few, and an unknown slug then costs no query either."""

    def __init__(self, tenants: TenantStore, watch: RevisionWatch) -> None:
        self._tenants = tenants
        self._copies: _Copies[str, tuple[Mapping[str, TenantState], Mapping[str, Unreadable]]] = _Copies(watch, 1)

    def all(self) -> Mapping[str, TenantState]:
        return self.read()[0]

    def unreadable(self) -> Mapping[str, Unreadable]:
        return self.read()[1]

    def read(self) -> tuple[Mapping[str, TenantState], Mapping[str, Unreadable]]:
        return self._copies.get("all", self._tenants.read) or ({}, {})

    def get(self, slug: str, *, fresh: bool = False) -> TenantState:
        if fresh:  # not by way of the copies: whether those may be trusted is another question
            self._copies.clear()
            return self._tenants.get(slug, fresh=True)
        states, unreadable = self.read()
        if slug in unreadable:
            raise UnreadableTenant.named(slug, unreadable[slug].problem)
        if slug not in states:
            raise UnknownTenant
        return states[slug]

    def save(self, tenant: Tenant, *, starting_at: Rollout, event: AuditEvent, seen: int | None = None) -> None:
        try:
            self._tenants.save(tenant, starting_at=starting_at, event=event, seen=seen)
        finally:
            self._copies.clear()

    def move(
        self, slug: str, *, before: Rollout, after: Rollout, event: AuditEvent, notices: Sequence[Notice] = ()
    ) -> Rollout:
        try:
            return self._tenants.move(slug, before=before, after=after, event=event, notices=notices)
        finally:
            self._copies.clear()

    def kill_all(self) -> Kill | None:
        return self._tenants.kill_all()

    def set_kill_all(self, kill: Kill | None, *, before: Kill | None, event: AuditEvent) -> None:
        try:
            self._tenants.set_kill_all(kill, before=before, event=event)
        finally:
            self._copies.clear()


class CachedSubjects:
    """One copy a tenant and `sub`, thrown away by each write of ours."""

    def __init__(self, subjects: SubjectStore, watch: RevisionWatch, *, most: int = CAPACITY) -> None:
        self._subjects = subjects
        self._copies: _Copies[tuple[str, str], SubjectRecord] = _Copies(watch, most, lambda key, _: key[1])

    def get(self, tenant: str, sub: str, *, fresh: bool = False) -> SubjectRecord | None:
        if fresh:
            self._copies.forget((tenant, sub))
        return self._copies.get((tenant, sub), lambda: self._subjects.get(tenant, sub, fresh=fresh))

    def known(self, tenant: str, *, most: int) -> KnownPeople:
        return self._subjects.known(tenant, most=most)

    def note(self, tenant: str, subject: Subject, asserted_at: float) -> SubjectRecord:
        try:
            return self._subjects.note(tenant, subject, asserted_at)
        finally:
            self._copies.forget((tenant, subject.sub))

    def record_sync(self, synced: SubjectRecord) -> None:
        try:
            self._subjects.record_sync(synced)
        finally:
            self._copies.forget((synced.tenant, synced.subject.sub))

    def note_unclear_sync(self, tenant: str, subject: Subject) -> None:
        try:
            self._subjects.note_unclear_sync(tenant, subject)
        finally:
            self._copies.forget((tenant, subject.sub))

    def note_browser_login(self, tenant: str, sub: str, until: float) -> None:
        try:
            self._subjects.note_browser_login(tenant, sub, until)
        finally:
            self._copies.forget((tenant, sub))

    def forget_sync(self, tenant: str, sub: str) -> None:
        try:
            self._subjects.forget_sync(tenant, sub)
        finally:
            self._copies.forget((tenant, sub))


class CachedTokens:
    """Tokens by key, decrypted in memory alone; one close to its end is read again."""

    def __init__(self, tokens: TokenStore, watch: RevisionWatch, clock: Clock, *, most: int = CAPACITY) -> None:
        self._tokens = tokens
        self._clock = clock
        self._copies: _Copies[TokenKey, IssuedToken] = _Copies(watch, most, lambda key, _: key.sub)

    def get(self, key: TokenKey) -> IssuedToken | None:
        return self._copies.get(key, lambda: self._tokens.get(key), usable=self._has_life)

    def _has_life(self, token: IssuedToken) -> bool:
        return token.expires_at - self._clock() >= RENEWAL_LIFE_S

    def put(self, token: IssuedToken, lease: Lease | None = None) -> bool:
        try:
            return self._tokens.put(token, lease)
        finally:
            self._copies.forget(token.key)

    def drop(self, token: IssuedToken) -> None:
        try:
            self._tokens.drop(token)
        finally:
            self._copies.forget(token.key)

    def doom(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        try:
            return self._tokens.doom(tenant=tenant, sub=sub)
        finally:
            self._copies.forget_people(None if sub is None else (sub,))

    def still_doomed(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        return self._tokens.still_doomed(tenant=tenant, sub=sub)


class CachedSessions:
    """Sessions by id. One that nobody used here for long is read again: it may be in use at another worker."""

    def __init__(self, sessions: SessionStore, watch: RevisionWatch, clock: Clock, *, most: int = CAPACITY) -> None:
        self._sessions = sessions
        self._clock = clock
        self._copies: _Copies[str, Session] = _Copies(watch, most, lambda _, kept: kept.identity.subject.sub)

    def get(self, id_hash: str) -> Session | None:
        return self._copies.get(id_hash, lambda: self._sessions.get(id_hash), usable=self._is_in_use)

    def _is_in_use(self, session: Session) -> bool:
        return self._clock() - session.seen_at < NOT_USED_HERE_S

    def add(self, session: Session) -> bool:
        """Keep the copies of everybody else, unless other sessions of this person learned something."""
        is_news = True
        try:
            is_news = self._sessions.add(session)
        finally:
            if is_news:
                self._copies.forget_people((session.identity.subject.sub,))
        return is_news

    def touch(self, used: Mapping[str, float]) -> None:
        self._sessions.touch(used)
        for id_hash, at in used.items():
            self._copies.change(id_hash, partial(_seen, at=at))

    def remove(self, id_hash: str) -> None:
        try:
            self._sessions.remove(id_hash)
        finally:
            self._copies.forget(id_hash)

    def remove_older(self, *, created_before: float, seen_before: float) -> bool:
        """Leave the copies: whoever finds one that ended sees that it did."""
        return self._sessions.remove_older(created_before=created_before, seen_before=seen_before)


def _seen(session: Session, at: float) -> Session:
    return replace(session, seen_at=max(at, session.seen_at))
