"""The in-process copy: no query when warm, nothing stale after a change, a limit to trust without the database."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from fakes import FakeClock, FakeSessions, FakeSubjects, FakeTenants, FakeTokens
from stores import cached_stores

from bridge.adapters.cached import CachedSessions, CachedSubjects, CachedTenants, CachedTokens, RevisionWatch
from bridge.adapters.sql import Database
from bridge.adapters.vault import Vault
from bridge.errors import StoreError, UnknownTenant
from bridge.model import (
    AuditEvent,
    Identity,
    IssuedToken,
    Rollout,
    Session,
    Stage,
    Subject,
    Tenant,
    TenantState,
    TokenKey,
)

ALICE = Subject("alice", "Alice", "", frozenset({"Finance"}))
KEY = TokenKey("acme", "client", "alice", "user_default", "r1")


class Counter:
    """The revision in the database, with a count of how often it was read."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0
        self.broken = False

    def __call__(self) -> int:
        self.reads += 1
        if self.broken:
            raise StoreError(detail="away")
        return self.value


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def watch(counter: Counter, clock: FakeClock) -> RevisionWatch:
    return RevisionWatch(counter, clock)


@pytest.fixture
def token(clock: FakeClock) -> IssuedToken:
    return IssuedToken(KEY, "id-1", "value", "user_default", clock(), clock() + 21_600)


def test_the_counter_is_read_at_most_every_quarter_second(
    watch: RevisionWatch, counter: Counter, clock: FakeClock
) -> None:
    for _ in range(5):
        watch.look()
    assert counter.reads == 1
    clock.advance(0.25)
    watch.look()
    assert counter.reads == 2


def test_a_clock_that_went_back_does_not_stop_the_looking(
    watch: RevisionWatch, counter: Counter, clock: FakeClock
) -> None:
    watch.look()
    clock.advance(-3600)
    watch.look()
    assert counter.reads == 2


def test_a_warm_request_reads_nothing(watch: RevisionWatch, acme: Tenant, token: IssuedToken, clock: FakeClock) -> None:
    behind = FakeTenants(TenantState(acme, Rollout())), FakeSubjects(), FakeTokens(clock), FakeSessions()
    tenants = CachedTenants(behind[0], watch)
    subjects = CachedSubjects(behind[1], watch)
    tokens = CachedTokens(behind[2], watch, clock)
    sessions = CachedSessions(behind[3], watch, clock)
    subjects.note("acme", ALICE, 1)
    tokens.put(token)
    sessions.add(Session("hash", Identity(ALICE, "demo", "demo", 1), clock(), clock()))

    def request() -> list[object]:
        return [tenants.get("acme"), subjects.get("acme", "alice"), tokens.get(KEY), sessions.get("hash")]

    cold = request()
    for store in behind:
        store.broken = True
    assert request() == cold
    assert None not in cold
    with pytest.raises(UnknownTenant):
        tenants.get("nobody")


def test_a_changed_counter_empties_every_copy(watch: RevisionWatch, counter: Counter, clock: FakeClock) -> None:
    behind = FakeSubjects()
    subjects = CachedSubjects(behind, watch)
    subjects.note("acme", ALICE, 1)
    subjects.get("acme", "alice")
    behind.note("acme", replace(ALICE, groups=frozenset()), 2)
    counter.value += 1
    assert subjects.get("acme", "alice") is not None
    clock.advance(0.25)
    found = subjects.get("acme", "alice")
    assert found is not None
    assert found.subject.groups == frozenset()


def test_another_process_sees_a_change_within_the_interval(
    sqlite_database: Database, vault: Vault, clock: FakeClock, acme: Tenant, event: AuditEvent, token: IssuedToken
) -> None:
    here, there = (cached_stores(sqlite_database, vault, clock) for _ in range(2))
    session = Session("hash", Identity(ALICE, "demo", "demo", 1), 1, 1)
    here.tenants.save(acme, starting_at=Rollout(), event=event)
    here.tokens.put(token)
    here.sessions.add(session)
    assert there.tenants.get("acme").rollout.stage is Stage.LEGACY
    assert there.tokens.get(KEY) == token
    assert there.sessions.get("hash") == session
    here.tenants.move("acme", before=Rollout(), after=Rollout(Stage.SHADOW), event=event)
    here.tokens.doom()
    here.sessions.remove("hash")
    clock.advance(0.25)
    assert there.tenants.get("acme").rollout.stage is Stage.SHADOW
    assert there.tokens.get(KEY) is None
    assert there.sessions.get("hash") is None


def test_who_asks_for_a_fresh_tenant_gets_no_copy(
    sqlite_database: Database, vault: Vault, clock: FakeClock, acme: Tenant, event: AuditEvent
) -> None:
    here, there = (cached_stores(sqlite_database, vault, clock).tenants for _ in range(2))
    here.save(acme, starting_at=Rollout(), event=event)
    assert there.get("acme").rollout.stage is Stage.LEGACY
    here.move("acme", before=Rollout(), after=Rollout(Stage.SHADOW), event=event)

    assert there.get("acme").rollout.stage is Stage.LEGACY, "a copy, for a quarter of a second"
    assert there.get("acme", fresh=True).rollout.stage is Stage.SHADOW
    assert there.get("acme").rollout.stage is Stage.SHADOW, "nobody is shown less afterwards"
    with pytest.raises(UnknownTenant):
        there.get("nobody", fresh=True)


def test_copies_are_trusted_for_a_minute_without_the_database(
    watch: RevisionWatch, counter: Counter, clock: FakeClock, token: IssuedToken
) -> None:
    tokens = CachedTokens(FakeTokens(clock), watch, clock)
    tokens.put(token)
    assert tokens.get(KEY) == token
    counter.broken = True
    clock.advance(60)
    assert tokens.get(KEY) == token
    clock.advance(0.5)
    with pytest.raises(StoreError):
        tokens.get(KEY)
    counter.broken = False
    clock.advance(0.25)
    assert tokens.get(KEY) == token


def test_a_clock_that_went_back_does_not_make_copies_trusted_for_longer(
    watch: RevisionWatch, counter: Counter, clock: FakeClock, token: IssuedToken
) -> None:
    tokens = CachedTokens(FakeTokens(clock), watch, clock)
    tokens.put(token)
    assert tokens.get(KEY) == token
    counter.broken = True
    clock.advance(-3600)
    with pytest.raises(StoreError):
        tokens.get(KEY)


def test_a_failed_look_is_not_repeated_at_once(watch: RevisionWatch, counter: Counter, clock: FakeClock) -> None:
    counter.broken = True
    for _ in range(3):
        with pytest.raises(StoreError):
            watch.look()
    assert counter.reads == 1
    clock.advance(0.25)
    counter.broken = False
    watch.look()


def test_one_thread_looks_and_the_others_go_on(clock: FakeClock) -> None:
    looking, may_end = threading.Event(), threading.Event()
    reads: list[int] = []

    def read() -> int:
        reads.append(1)
        if len(reads) == 2:
            looking.set()
            assert may_end.wait(5)
        return 7

    watch = RevisionWatch(read, clock)
    watch.look()
    clock.advance(1)
    slow = threading.Thread(target=watch.look)
    slow.start()
    assert looking.wait(5)
    watch.look()
    assert len(reads) == 2, "the second caller went on with its copy"
    may_end.set()
    slow.join()


def test_a_value_read_before_a_change_is_not_kept_after_it(watch: RevisionWatch) -> None:
    class Slow(FakeSubjects):
        meanwhile: Callable[[], object] = staticmethod(lambda: None)

        def get(self, tenant: str, sub: str, *, fresh: bool = False) -> object:  # type: ignore[override]
            found = super().get(tenant, sub, fresh=fresh)
            self.meanwhile()
            return found

    behind = Slow()
    subjects = CachedSubjects(behind, watch)  # type: ignore[arg-type]
    subjects.note("acme", ALICE, 1)
    behind.meanwhile = lambda: subjects.note("acme", replace(ALICE, name="Alicia"), 2)
    subjects.get("acme", "alice")
    behind.meanwhile = lambda: None
    found = subjects.get("acme", "alice")
    assert found is not None
    assert found.subject.name == "Alicia"


def test_a_token_close_to_its_end_is_read_again(watch: RevisionWatch, clock: FakeClock, token: IssuedToken) -> None:
    behind = FakeTokens(clock)
    tokens = CachedTokens(behind, watch, clock)
    tokens.put(token)
    tokens.get(KEY)
    renewed = replace(token, token_id="id-2", expires_at=clock() + 40_000)
    behind.put(renewed)
    assert tokens.get(KEY) == token
    clock.advance(20_800)
    assert tokens.get(KEY) == renewed


def test_fresh_goes_past_the_copy(watch: RevisionWatch) -> None:
    behind = FakeSubjects()
    subjects = CachedSubjects(behind, watch)
    subjects.note("acme", ALICE, 1)
    subjects.get("acme", "alice")
    behind.note("acme", replace(ALICE, name="Alicia"), 2)
    for fresh in (True, False):
        found = subjects.get("acme", "alice", fresh=fresh)
        assert found is not None
        assert found.subject.name == "Alicia"


def test_a_session_that_was_used_is_not_read_again(watch: RevisionWatch, clock: FakeClock) -> None:
    behind = FakeSessions()
    sessions = CachedSessions(behind, watch, clock)
    sessions.add(Session("hash", Identity(ALICE, "demo", "demo", 1), clock(), clock()))
    sessions.get("hash")
    behind.rows.clear()  # whoever asks the store finds nobody
    for _ in range(10):
        clock.advance(300)
        sessions.touch({"hash": clock()})
        found = sessions.get("hash")
        assert found is not None
        assert found.seen_at == clock()


def test_a_session_that_was_used_at_another_worker_is_not_taken_for_idle(
    watch: RevisionWatch, clock: FakeClock
) -> None:
    behind = FakeSessions()
    here, there = (CachedSessions(behind, watch, clock) for _ in range(2))
    here.add(Session("hash", Identity(ALICE, "demo", "demo", 1), clock(), clock()))
    here.get("hash")
    clock.advance(3000)
    there.touch({"hash": clock()})
    clock.advance(700)
    found = here.get("hash")
    assert found is not None
    assert clock() - found.seen_at == 700


def test_a_worker_keeps_copies_of_so_many_people_and_of_those_who_came_last(
    watch: RevisionWatch, token: IssuedToken, clock: FakeClock
) -> None:
    behind = FakeSubjects(), FakeTokens(clock), FakeSessions()
    subjects = CachedSubjects(behind[0], watch, most=10)
    tokens = CachedTokens(behind[1], watch, clock, most=10)
    sessions = CachedSessions(behind[2], watch, clock, most=10)

    def come(number: int) -> None:
        sub, key = f"person-{number}", replace(KEY, sub=f"person-{number}")
        found = subjects.get("acme", sub), tokens.get(key), sessions.get(sub)
        assert None not in found

    for number in range(50):
        somebody = replace(ALICE, sub=f"person-{number}")
        behind[0].note("acme", somebody, 1)
        behind[1].put(replace(token, key=replace(KEY, sub=somebody.sub)))
        behind[2].add(Session(somebody.sub, Identity(somebody, "demo", "demo", 1), clock(), clock()))
    for number in range(50):
        come(number)
        come(0)  # comes all the time, and is never forgotten
        assert max(len(each._copies) for each in (subjects, tokens, sessions)) <= 10
    for store in behind:
        store.broken = True
    for number in (0, 49, 48, 42):
        come(number)
    with pytest.raises(StoreError):
        come(40)
