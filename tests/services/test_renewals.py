"""Renewed ahead of its end: for whom, when, by one worker, in quiet minutes alone."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import (
    FakeBudget,
    FakeClock,
    FakeMeasures,
    FakeQlik,
    FakeRenewals,
    FakeSubjects,
    FakeTenants,
    FakeTokens,
    Leased,
)
from openfeature import api as openfeature
from samples import identity, state

from bridge.budgeting import Lane, Limit
from bridge.errors import StoreError, TenantRefused, TenantUnavailable
from bridge.model import IssuedToken, Stage
from bridge.ports import Qlik
from bridge.services.broker import Broker
from bridge.services.budget import Budget
from bridge.services.gate import GatedQlik
from bridge.services.measures import Measures
from bridge.services.renewals import A_RUN, CLAIM_S, SEEN_AGAIN_S, Renewals
from bridge.services.rollout import Rollouts
from bridge.telemetry import Metrics

NOW = state(Stage.OAUTH)
AHEAD_S, SEEN_S = 1800.0, 3600.0
FORTY = Limit(calls_per_minute=8, margin_percent=0)
Make = Callable[..., Renewals]


@pytest.fixture
def tenants() -> FakeTenants:
    return FakeTenants(NOW)


@pytest.fixture
def budget(leases: Leased, clock: FakeClock, metrics: Metrics) -> Budget:
    return Budget(FakeBudget(leases), FORTY, clock, metrics, FakeMeasures().tallies)


@pytest.fixture
def upstream(gated: GatedQlik) -> Qlik:
    return gated


@pytest.fixture
def store(tokens: FakeTokens) -> FakeRenewals:
    return FakeRenewals(tokens)


@pytest.fixture
def make(
    store: FakeRenewals,
    tenants: FakeTenants,
    subjects: FakeSubjects,
    *,
    broker: Broker,
    budget: Budget,
    measures: Measures,
    clock: FakeClock,
    metrics: Metrics,
) -> Make:
    """Return what makes the renewals of one more worker."""

    def renewals(ahead_s: float = AHEAD_S) -> Renewals:
        return Renewals(
            store=store,
            tenants=tenants,
            subjects=subjects,
            broker=broker,
            rollouts=Rollouts(openfeature.get_client("nobody-answers"), metrics, may_block=False),
            budget=budget,
            measures=measures,
            clock=clock,
            metrics=metrics,
            ahead_s=ahead_s,
            seen_s=SEEN_S,
        )

    return renewals


@pytest.fixture
def renewals(make: Make) -> Renewals:
    return make()


@pytest.fixture
def held(broker: Broker, qlik: FakeQlik) -> IssuedToken:
    """Alice's token, as her page got it."""
    token = broker.issue(NOW, identity())
    qlik.calls.clear()
    return token


def see(renewals: Renewals, *subs: str) -> None:
    for sub in subs:
        renewals.saw("acme", sub)
    renewals.flush()


def leave(token: IssuedToken, life_s: float, clock: FakeClock) -> None:
    clock.now = token.expires_at - life_s


def outcomes(metrics: Metrics) -> dict[str, float]:
    samples = next(metrics.renewals.collect().__iter__()).samples
    return {each.labels["outcome"]: each.value for each in samples if each.name.endswith("_total")}


class TestWhen:
    def test_somebody_seen_lately_finds_a_new_token(
        self, renewals: Renewals, held: IssuedToken, clock: FakeClock, qlik: FakeQlik, broker: Broker, metrics: Metrics
    ) -> None:
        leave(held, AHEAD_S / 2, clock)
        see(renewals, "alice")
        renewals.run()
        renewals.run()

        assert qlik.names() == ["mint"], "the login before counts for the whole of its time"
        assert outcomes(metrics) == {"ok": 1}
        leave(held, 60, clock)
        assert broker.issue(NOW, identity()).expires_at > held.expires_at
        assert len(qlik.calls) == 1, "the page asked for nothing"

    def test_nobody_is_renewed_who_was_not_seen_or_long_ago(
        self, renewals: Renewals, held: IssuedToken, clock: FakeClock, qlik: FakeQlik
    ) -> None:
        leave(held, AHEAD_S / 2 + SEEN_S + 1, clock)
        see(renewals, "alice", "somebody else")
        clock.advance(SEEN_S + 1)
        renewals.run()

        assert qlik.calls == []

    def test_each_token_has_its_own_moment_the_same_in_every_worker(
        self, make: Make, broker: Broker, clock: FakeClock, tokens: FakeTokens
    ) -> None:
        issued = [broker.issue(NOW, identity(f"user-{number}")) for number in range(15)]
        one, other = make(), make()
        see(one, *(each.key.sub for each in issued))
        moments = [one._ahead_of(each) for each in _expiring(one, clock, issued[0])]

        assert len(set(moments)) == len(issued)
        assert all(AHEAD_S / 2 <= each <= AHEAD_S for each in moments)
        assert moments == [other._ahead_of(each) for each in _expiring(one, clock, issued[0])]
        assert tokens.rows

    def test_a_short_life_is_not_renewed_all_the_time(
        self, renewals: Renewals, held: IssuedToken, clock: FakeClock, tokens: FakeTokens, qlik: FakeQlik
    ) -> None:
        short = IssuedToken(held.key, "id", "value", held.scope, clock(), clock() + 1200)
        tokens.put(short)
        see(renewals, "alice")
        clock.advance(600)
        renewals.run()
        assert qlik.calls == []

        leave(short, 150, clock)
        renewals.run()
        assert qlik.names() == ["mint"]

    def test_it_can_be_switched_off(self, make: Make, held: IssuedToken, clock: FakeClock, qlik: FakeQlik) -> None:
        off = make(ahead_s=0)
        leave(held, 900, clock)
        see(off, "alice")
        off.run()

        assert qlik.calls == []


def _expiring(renewals: Renewals, clock: FakeClock, token: IssuedToken) -> list:  # type: ignore[type-arg]
    store = renewals._store
    return list(store.due("acme", now=clock(), before=token.expires_at + 1, seen_since=0, limit=99))


class TestQuietMinutes:
    def test_a_busy_budget_is_left_to_pages(
        self, renewals: Renewals, held: IssuedToken, clock: FakeClock, qlik: FakeQlik, budget: Budget
    ) -> None:
        leave(held, AHEAD_S / 2, clock)
        see(renewals, "alice")
        for _ in range(21):
            budget.spend(NOW.tenant)
        renewals.run()
        assert qlik.calls == []

        clock.advance(FORTY.held_s)
        renewals.run()
        assert len(qlik.calls) == 1
        now = budget.state(NOW.tenant)
        assert now.book.spent(now.now)[Lane.RENEWAL] == 1

    def test_a_frozen_tier_is_left_alone(
        self, renewals: Renewals, held: IssuedToken, clock: FakeClock, qlik: FakeQlik, budget: Budget
    ) -> None:
        leave(held, AHEAD_S / 2, clock)
        see(renewals, "alice")
        budget.tiers.close("acme", 2, clock() + 60)
        renewals.run()

        assert qlik.calls == []

    def test_one_look_renews_so_many_at_most(
        self, renewals: Renewals, broker: Broker, clock: FakeClock, qlik: FakeQlik, tenants: FakeTenants
    ) -> None:
        tenants.states["acme"] = state(Stage.OAUTH, sync_max_age_s=30 * 86400)
        issued = []
        for number in range(A_RUN + 2):
            issued.append(broker.issue(NOW, identity(f"user-{number}")))
            clock.advance(60)
        qlik.calls.clear()
        leave(issued[0], AHEAD_S / 2 - 800, clock)
        see(renewals, *(each.key.sub for each in issued))
        renewals.run()
        assert len(qlik.calls) == A_RUN

        renewals.run()
        assert len(qlik.calls) == A_RUN + 2


class TestOneWorker:
    def test_a_token_is_renewed_once_by_many(
        self, make: Make, held: IssuedToken, clock: FakeClock, qlik: FakeQlik, metrics: Metrics
    ) -> None:
        workers, together = [make() for _ in range(4)], threading.Barrier(4)
        leave(held, AHEAD_S / 2, clock)
        see(workers[0], "alice")

        def run(worker: Renewals) -> None:
            together.wait()
            worker.run()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run, workers))

        assert qlik.names() == ["mint"]
        assert outcomes(metrics) == {"ok": 1}

    def test_what_a_dead_worker_took_on_is_done_by_another(
        self, renewals: Renewals, held: IssuedToken, store: FakeRenewals, clock: FakeClock, qlik: FakeQlik
    ) -> None:
        leave(held, AHEAD_S / 2, clock)
        see(renewals, "alice")
        store.claims[held.token_id] = clock() + CLAIM_S
        renewals.run()
        assert qlik.calls == []

        clock.advance(CLAIM_S)
        renewals.run()
        assert len(qlik.calls) == 1


class TestFailures:
    def test_a_tenant_that_is_away_is_tried_again(
        self,
        renewals: Renewals,
        held: IssuedToken,
        clock: FakeClock,
        qlik: FakeQlik,
        tokens: FakeTokens,
        metrics: Metrics,
    ) -> None:
        leave(held, AHEAD_S / 2, clock)
        see(renewals, "alice")
        qlik.fail["mint"] = [TenantUnavailable(), TenantUnavailable()]
        renewals.run()
        renewals.run()
        assert tokens.get(held.key) == held, "it lives, and is served"
        assert qlik.names() == ["mint"] * 2

        clock.advance(CLAIM_S)
        renewals.run()
        assert outcomes(metrics) == {"tenant_unavailable": 1, "ok": 1}

    def test_somebody_who_is_refused_is_not_asked_for_again(
        self, renewals: Renewals, held: IssuedToken, clock: FakeClock, qlik: FakeQlik, metrics: Metrics
    ) -> None:
        leave(held, AHEAD_S / 2, clock)
        see(renewals, "alice")
        qlik.fail["mint"] = [TenantRefused(status=403)] * 2
        renewals.run()
        clock.advance(CLAIM_S)
        renewals.run()

        assert qlik.names() == ["mint", "log_in", "mint"]
        assert outcomes(metrics) == {"subject_not_provisioned": 1}

    @pytest.mark.parametrize(
        "now",
        [
            state(Stage.SHADOW),
            state(Stage.OAUTH, required_group="Finance"),
            state(Stage.OAUTH, issuing_client={"id": "another", "secret": "hush"}),
        ],
        ids=["on jwt again", "admitted no more", "another client"],
    )
    def test_a_token_that_nobody_would_get_is_let_go(
        self, renewals: Renewals, held: IssuedToken, tenants: FakeTenants, clock: FakeClock, qlik: FakeQlik, now: object
    ) -> None:
        leave(held, AHEAD_S / 2, clock)
        see(renewals, "alice")
        tenants.states["acme"] = now  # type: ignore[assignment]
        renewals.run()

        assert qlik.calls == []

    def test_nobody_seen_is_lost_with_the_store_away_uncounted(
        self, renewals: Renewals, store: FakeRenewals, metrics: Metrics
    ) -> None:
        store.broken = True
        renewals.saw("acme", "alice")
        with pytest.raises(StoreError):
            renewals.flush()
        assert metrics.registry.get_sample_value("bridge_measures_lost_total") == 1


def test_being_seen_all_the_time_costs_a_write_in_ten_minutes(
    renewals: Renewals, held: IssuedToken, store: FakeRenewals, clock: FakeClock
) -> None:
    assert held.key.sub == "alice"
    see(renewals, "alice")
    first = clock()
    for _ in range(9):
        clock.advance(60)
        see(renewals, "alice")
    assert store.seen == {("acme", "alice"): first}

    clock.advance(SEEN_AGAIN_S - 540)
    see(renewals, "alice")
    assert store.seen == {("acme", "alice"): first + SEEN_AGAIN_S}
