"""One worker at a time for one person. Two brokers over the same stores, as on two machines."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fakes import FakeBudget, FakeClock, FakeKeys, FakeMeasures, FakeQlik, FakeSubjects, FakeTenants, FakeTokens, Leased
from openfeature import api as openfeature
from samples import identity, state

from bridge.budgeting import Lane, Lease, Limit
from bridge.errors import (
    BridgeError,
    NotSignedIn,
    StillWaiting,
    StoreError,
    SubjectNotProvisioned,
    SyncRefused,
    TenantRefused,
    TenantThrottled,
    TenantTimeout,
)
from bridge.model import Stage
from bridge.services.broker import MIN_LIFE_S, Broker
from bridge.services.budget import Budget, claiming
from bridge.services.gate import GatedQlik
from bridge.services.groups import GroupSync
from bridge.services.leases import LEASE_S, PATIENCE_S
from bridge.services.measures import Measures
from bridge.services.rollout import Rollouts
from bridge.services.signer import Signer
from bridge.telemetry import Metrics, collect_steps

NOW = state(Stage.OAUTH)
ALICE = ("acme", "alice")
LONG_S = 10


@dataclass
class Worker:
    """One bridge process; `pause` is called for each pause of its waiting."""

    broker: Broker
    budget: Budget
    pause: Callable[[float], object]


@pytest.fixture
def store(leases: Leased) -> FakeBudget:
    return FakeBudget(leases)


@pytest.fixture
def make(
    qlik: FakeQlik,
    store: FakeBudget,
    subjects: FakeSubjects,
    tokens: FakeTokens,
    clock: FakeClock,
    metrics: Metrics,
    measures: Measures,
) -> Callable[[], Worker]:
    """Return what starts one more worker; its waiting takes no time but that of the clock."""
    tenants = FakeTenants(NOW)

    def start() -> Worker:
        def sleep(pause_s: float) -> None:
            worker.pause(pause_s)

        budget = Budget(store, Limit(), clock, metrics, FakeMeasures().tallies, sleep=sleep)
        gated = GatedQlik(qlik, clock, metrics, budget=budget)
        broker = Broker(
            qlik=gated,
            groups=GroupSync(gated, Signer(FakeKeys(), clock), subjects, clock, metrics),
            rollouts=Rollouts(openfeature.get_client("nobody-answers"), metrics, may_block=False),
            tokens=tokens,
            tenants=tenants,
            clock=clock,
            metrics=metrics,
            measures=measures,
        )
        worker = Worker(broker, budget, clock.advance)
        return worker

    return start


@pytest.fixture
def one(make: Callable[[], Worker]) -> Worker:
    return make()


@pytest.fixture
def other(make: Callable[[], Worker]) -> Worker:
    return make()


def somebody_holds(leases: Leased, clock: FakeClock) -> Lease:
    """Let a third worker have Alice's lease, which never answers by itself."""
    leases[ALICE] = Lease(*ALICE, "worker-3", clock(), clock() + LEASE_S)
    return leases[ALICE]


def waits(metrics: Metrics, outcome: str) -> float:
    labels = {"tenant": "acme", "outcome": outcome}
    return metrics.registry.get_sample_value("bridge_lease_waits_total", labels) or 0


def in_the_middle(qlik: FakeQlik, call: str, work: Callable[[], object]) -> None:
    """Do something once while the tenant thinks about a call."""

    def once() -> None:
        del qlik.before[call]
        work()

    qlik.before[call] = once


@pytest.mark.parametrize("call", ["log_in", "mint"])
def test_who_comes_second_waits_for_the_first_ones_token(
    one: Worker, other: Worker, qlik: FakeQlik, leases: Leased, metrics: Metrics, call: str
) -> None:
    second: list[Future[object]] = []
    steps: list[str] = []
    with ThreadPoolExecutor(1) as pool:

        def ask() -> object:
            collected = collect_steps()
            token = other.broker.issue(NOW, identity())
            steps.extend(each.step for each in collected)
            return token

        def come_second() -> None:
            waiting = threading.Event()
            other.pause = lambda _: waiting.set()
            second.append(pool.submit(ask))
            assert waiting.wait(LONG_S)

        in_the_middle(qlik, call, come_second)
        first = one.broker.issue(NOW, identity())
        assert second[0].result(LONG_S) == first

    assert qlik.names() == ["log_in", "mint"]
    assert leases == {}
    assert waits(metrics, "done") >= 1
    assert "shared" in steps
    assert one.budget.state(NOW.tenant).spent == 2


@pytest.mark.parametrize("known", [False, True], ids=["newcomer", "known"])
def test_who_takes_the_lease_right_after_another_worker_finds_its_token(
    one: Worker,
    other: Worker,
    qlik: FakeQlik,
    tokens: FakeTokens,
    store: FakeBudget,
    monkeypatch: pytest.MonkeyPatch,
    *,
    known: bool,
) -> None:
    """Between the look at the store and the claim, the other one does it all."""
    if known:
        tokens.drop(one.broker.issue(NOW, identity()))
        qlik.calls.clear()
    claim, theirs = store.claim, []

    def be_overtaken(*args: Any, **options: Any) -> bool:  # noqa: ANN401 - as `claim` has it
        monkeypatch.undo()
        theirs.append(other.broker.issue(NOW, identity()))
        return claim(*args, **options)

    monkeypatch.setattr(store, "claim", be_overtaken)

    assert [one.broker.issue(NOW, identity())] == theirs
    assert qlik.names() == (["mint"] if known else ["log_in", "mint"])
    assert one.budget.state(NOW.tenant).spent == (3 if known else 2)


def test_one_whose_holder_died_is_taken_over_when_it_ends(
    one: Worker, qlik: FakeQlik, leases: Leased, clock: FakeClock, metrics: Metrics
) -> None:
    dead = somebody_holds(leases, clock)
    token = one.broker.issue(NOW, identity())

    assert qlik.names() == ["log_in", "mint"]
    assert dead.until <= token.issued_at < dead.until + 1
    assert waits(metrics, "taken_over") == 1


def test_who_is_late_hands_out_the_newer_token_and_ends_their_own(
    one: Worker, other: Worker, qlik: FakeQlik, tokens: FakeTokens, clock: FakeClock
) -> None:
    def be_overtaken() -> None:
        clock.advance(LEASE_S)
        assert other.broker.issue(NOW, identity()).value == "fake-token-1"

    in_the_middle(qlik, "mint", be_overtaken)
    token = one.broker.issue(NOW, identity())

    assert token.value == "fake-token-1"
    assert qlik.names() == ["log_in", "mint", "mint", "revoke"]
    assert qlik.revoked == {"fake-token-2"}
    assert [each.value for each in tokens.rows.values()] == ["fake-token-1"]
    assert tokens.doomed == {}


def test_who_is_late_but_alone_is_right(one: Worker, qlik: FakeQlik, clock: FakeClock, leases: Leased) -> None:
    in_the_middle(qlik, "mint", lambda: clock.advance(10 * LEASE_S))

    assert one.broker.issue(NOW, identity()).value == "fake-token-1"
    assert (qlik.names(), leases) == (["log_in", "mint"], {})


@pytest.mark.parametrize(
    "failure",
    [TenantTimeout(), TenantRefused(status=400, upstream_code="OAUTH-14"), SubjectNotProvisioned(), SyncRefused()],
    ids=lambda each: each.code(),
)
def test_a_failure_is_that_of_everybody_who_waited(
    one: Worker,
    qlik: FakeQlik,
    leases: Leased,
    store: FakeBudget,
    clock: FakeClock,
    metrics: Metrics,
    failure: BridgeError,
) -> None:
    held = somebody_holds(leases, clock)
    one.pause = lambda _: store.end_lease(held, failure.code())

    with pytest.raises(type(failure)):
        one.broker.issue(NOW, identity())

    assert qlik.calls == []
    assert waits(metrics, "failed") == 1
    assert one.broker.issue(NOW, identity()).value == "fake-token-1", "who comes after that tries anew"


def test_what_a_worker_failed_with_is_left_for_the_others(one: Worker, qlik: FakeQlik, leases: Leased) -> None:
    qlik.fail["mint"] = [TenantTimeout()]
    with pytest.raises(TenantTimeout):
        one.broker.issue(NOW, identity())

    assert leases[ALICE].problem == "tenant_timeout"


def test_a_429_is_told_otherwise_and_leaves_nothing_to_wait_for(one: Worker, qlik: FakeQlik, leases: Leased) -> None:
    qlik.fail["mint"] = [TenantThrottled(retry_after_s=9)]
    with pytest.raises(TenantThrottled):
        one.broker.issue(NOW, identity())

    assert leases == {}


def test_nobody_waits_for_ever(one: Worker, qlik: FakeQlik, leases: Leased, clock: FakeClock, metrics: Metrics) -> None:
    """The holder gets more time again and again."""
    held = somebody_holds(leases, clock)
    started = clock()

    def go_on(pause_s: float) -> None:
        clock.advance(pause_s)
        leases[ALICE] = replace(held, until=clock() + LEASE_S)

    one.pause = go_on
    with pytest.raises(StillWaiting) as refusal:
        one.broker.issue(NOW, identity())

    assert PATIENCE_S - 1 < clock() - started <= PATIENCE_S
    assert refusal.value.retry_after_s
    assert qlik.calls == []
    assert waits(metrics, "gave_up") == 1


def test_holders_one_after_the_other_do_not_begin_the_bound_anew(one: Worker, leases: Leased, clock: FakeClock) -> None:
    somebody_holds(leases, clock)
    started = clock()

    def die_and_be_replaced(pause_s: float) -> None:
        clock.advance(pause_s)
        if clock() >= leases[ALICE].until - 1:
            somebody_holds(leases, clock)

    one.pause = die_and_be_replaced
    with pytest.raises(StillWaiting):
        one.broker.issue(NOW, identity())

    assert clock() - started <= PATIENCE_S


def test_a_token_with_life_left_serves_who_waited_too_long(one: Worker, leases: Leased, clock: FakeClock) -> None:
    token = one.broker.issue(NOW, identity())
    clock.now = token.expires_at - MIN_LIFE_S / 2
    held = somebody_holds(leases, clock)

    def go_on(pause_s: float) -> None:
        clock.advance(pause_s)
        leases[ALICE] = replace(held, until=clock() + LEASE_S)

    one.pause = go_on
    assert one.broker.issue(NOW, identity()) == token


def test_the_last_good_login_serves_who_waited_too_long(one: Worker, leases: Leased, clock: FakeClock) -> None:
    hourly = state(Stage.OAUTH, sync_max_age_s=3_600)
    token = one.broker.issue(NOW, identity("alice", "A"))
    clock.advance(3_601)
    held = somebody_holds(leases, clock)

    def go_on(pause_s: float) -> None:
        clock.advance(pause_s)
        leases[ALICE] = replace(held, until=clock() + LEASE_S)

    one.pause = go_on
    assert one.broker.issue(hourly, identity("alice", "A")) == token
    with pytest.raises(StillWaiting):
        one.broker.issue(hourly, identity("alice", at=clock()))  # a group was taken away


def test_the_store_away_ends_the_wait(one: Worker, leases: Leased, store: FakeBudget, clock: FakeClock) -> None:
    somebody_holds(leases, clock)
    one.pause = lambda _: setattr(store, "broken", True)

    with pytest.raises(StoreError):
        one.broker.issue(NOW, identity())


def test_a_person_whose_memberships_are_new_and_whose_token_lives_holds_it_for_the_login(
    one: Worker, qlik: FakeQlik, leases: Leased, clock: FakeClock
) -> None:
    token = one.broker.issue(NOW, identity("alice", "A"))
    seen: list[Leased] = []
    in_the_middle(qlik, "log_in", lambda: seen.append(dict(leases)))
    assert one.broker.issue(NOW, identity("alice", "B", at=clock() + 1)) == token

    assert [*seen[0]] == [ALICE]
    assert leases == {}
    assert one.budget.state(NOW.tenant).spent == 3, "the call of the mint was given back"


@pytest.mark.parametrize("moment", ["log_in", "mint"])
@pytest.mark.parametrize("chosen", [{"tenant": "acme", "sub": "alice"}, {"tenant": "acme"}, {}], ids=str)
def test_a_sign_out_at_another_worker_leaves_no_token_alive(
    one: Worker, other: Worker, qlik: FakeQlik, tokens: FakeTokens, moment: str, chosen: dict[str, str]
) -> None:
    in_the_middle(qlik, moment, lambda: other.broker.revoke(**chosen))

    with pytest.raises(NotSignedIn):
        one.broker.issue(NOW, identity())

    assert qlik.revoked == {"fake-token-1"}
    assert (tokens.rows, tokens.doomed) == ({}, {})
    assert one.broker.issue(NOW, identity()).value == "fake-token-2", "who signs in again is served"


def test_who_waits_for_somebody_that_signs_out_gets_no_token_either(
    one: Worker, other: Worker, qlik: FakeQlik, leases: Leased, clock: FakeClock
) -> None:
    somebody_holds(leases, clock)
    one.pause = lambda _: other.broker.revoke(tenant="acme", sub="alice")

    with pytest.raises(NotSignedIn):
        one.broker.issue(NOW, identity())
    assert qlik.calls == []


def test_a_crowd_that_is_sent_away_writes_no_leases(
    one: Worker, qlik: FakeQlik, leases: Leased, store: FakeBudget
) -> None:
    with claiming(Lane.PAGE_OPEN):
        for _ in range(one.budget.limit.budget):
            one.budget.spend(NOW.tenant)
    store.claims = 0
    for number in range(20):
        with pytest.raises(BridgeError, match="used up"):
            one.broker.issue(NOW, identity(f"p{number}"))

    assert (qlik.calls, leases, store.claims) == ([], {}, 1)


def test_threads_of_one_worker_never_wait_for_each_others_lease(one: Worker, qlik: FakeQlik) -> None:
    """The thread that logged in and the one that mints may be two."""
    one.pause = lambda _: pytest.fail("waited for itself")
    with ThreadPoolExecutor(16) as pool:
        tokens = set(pool.map(lambda _: one.broker.issue(NOW, identity()).token_id, range(50)))

    assert len(tokens) == 1
    assert qlik.names() == ["log_in", "mint"]
