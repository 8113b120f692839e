"""Who may spend, what a person costs, who is sent away, and what all workers know of a 429."""

import heapq
import math
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fakes import FakeBudget, FakeClock, FakeKeys, FakeMeasures, FakeQlik, FakeSubjects, FakeTenants, Leased
from samples import identity, state, tenant

from bridge.budgeting import Lane, Limit
from bridge.errors import BridgeBusy, BudgetSpent, StoreError, TenantRefused, TenantThrottled, TenantUnavailable
from bridge.model import IssuedToken, Stage, SubjectRecord
from bridge.ports import Qlik
from bridge.services.broker import Broker
from bridge.services.budget import Budget, claiming
from bridge.services.bulkhead import Bulkhead
from bridge.services.gate import FAILURES_BEFORE_PAUSE, PAUSE_S, GatedQlik
from bridge.services.groups import GroupSync, TurnBack
from bridge.services.leases import LeaseHeld
from bridge.services.measures import Measures
from bridge.services.purse import for_one_person
from bridge.telemetry import Metrics

ACME, GLOBEX = tenant("acme"), tenant("globex")
TEN = Limit(calls_per_minute=2, margin_percent=0)
"""Ten calls in five minutes."""


@pytest.fixture
def store(leases: Leased) -> FakeBudget:
    return FakeBudget(leases)


@pytest.fixture
def make(store: FakeBudget, clock: FakeClock, metrics: Metrics) -> Callable[..., Budget]:
    """Return what makes the budget of one more worker."""
    return lambda limit=TEN: Budget(store, limit, clock, metrics, FakeMeasures().tallies)


@pytest.fixture
def budget(make: Callable[..., Budget]) -> Budget:
    return make()


@pytest.fixture
def upstream(gated: GatedQlik) -> Qlik:
    return gated


@pytest.fixture
def turn_back(budget: Budget) -> TurnBack:
    return budget.turn_back


@pytest.fixture
def tenants() -> FakeTenants:
    return FakeTenants(NOW)


NOW = state(Stage.OAUTH)


def spend(budget: Budget, calls: int, lane: Lane = Lane.PAGE_OPEN) -> None:
    with claiming(lane):
        for _ in range(calls):
            budget.spend(ACME)


def refused(budget: Budget, lane: Lane = Lane.PAGE_OPEN) -> BudgetSpent:
    with claiming(lane), pytest.raises(BudgetSpent) as refusal:
        budget.spend(ACME)
    return refusal.value


def spent(budget: Budget, lane: Lane) -> int:
    found = budget.state(ACME)
    return found.book.spent(found.now)[lane]


class TestSpending:
    def test_all_workers_share_one_budget(self, make: Callable[..., Budget]) -> None:
        one, other = make(), make()
        spend(one, 6)
        spend(other, 4)

        assert refused(one).retry_after_s == refused(other).retry_after_s == 304
        assert (refused(one).tier, refused(one).lane) == (2, "page_open")

    def test_tenants_have_their_own(self, budget: Budget) -> None:
        spend(budget, 10)
        budget.spend(GLOBEX)

        assert [each.left for each in budget.states([ACME, GLOBEX])] == [0, 9]

    def test_the_wait_that_is_told_is_true(self, budget: Budget, clock: FakeClock) -> None:
        spend(budget, 4)
        clock.advance(60)
        spend(budget, 6)
        clock.advance(40)
        wait_s = refused(budget).retry_after_s
        assert wait_s == 204

        clock.advance(wait_s - 0.1)
        refused(budget)
        clock.advance(0.1)
        spend(budget, 4)
        refused(budget)

    def test_a_crowd_that_waits_costs_the_store_one_question_a_slot(
        self, budget: Budget, store: FakeBudget, clock: FakeClock, metrics: Metrics
    ) -> None:
        spend(budget, 10)
        store.claims = 0
        for _ in range(50):
            refused(budget)
        assert store.claims == 1

        clock.advance(TEN.slot_s)
        refused(budget)
        assert store.claims == 2
        assert sum(row.refused for row in store.rows.values()) == 51
        labels = {"tenant": "acme", "lane": "page_open"}
        assert metrics.registry.get_sample_value("bridge_budget_refusals_total", labels) == 51
        assert metrics.registry.get_sample_value("bridge_budget_calls_total", labels) == 10

    def test_a_clock_gone_back_starves_nobody(self, budget: Budget, store: FakeBudget, clock: FakeClock) -> None:
        """Nor do its rows come back to life when the clock is there again."""
        spend(budget, 10)
        refused(budget)

        clock.advance(-3600)
        spend(budget, 10)
        refused(budget)
        clock.advance(304)
        spend(budget, 1)
        assert [row.slot for row in store.rows.values() if row.slot > clock()] == []
        clock.advance(3290)
        assert budget.state(ACME).left == 10

    def test_without_the_store_nothing_is_spent(self, budget: Budget, store: FakeBudget) -> None:
        store.broken = True
        with pytest.raises(StoreError):
            budget.spend(ACME)


class TestLanes:
    def test_shadow_gets_nothing_while_page_opens_wait(self, budget: Budget, clock: FakeClock) -> None:
        spend(budget, 2, Lane.SHADOW)
        spend(budget, 8)
        refused(budget)
        clock.advance(304)  # all of them are free again, and those who were sent away come back
        assert refused(budget, Lane.SHADOW).lane == "shadow"

        spend(budget, 10)
        assert spent(budget, Lane.SHADOW) == 0

    def test_shadow_never_takes_all_that_is_left(self, budget: Budget) -> None:
        spend(budget, 5, Lane.SHADOW)

        refused(budget, Lane.SHADOW)
        spend(budget, 5)

    def test_a_claim_within_a_weaker_one_stays_weak(self, budget: Budget) -> None:
        with claiming(Lane.SHADOW), claiming(Lane.PAGE_OPEN):
            budget.spend(ACME)
        budget.spend(ACME)

        assert (spent(budget, Lane.SHADOW), spent(budget, Lane.PAGE_OPEN)) == (1, 1)


class TestPerson:
    def test_a_first_token_is_one_claim_of_two_calls(
        self, broker: Broker, store: FakeBudget, budget: Budget, qlik: FakeQlik
    ) -> None:
        broker.issue(NOW, identity())

        assert (store.claims, budget.state(ACME).spent) == (1, 2)
        assert qlik.names() == ["log_in", "mint"]

    def test_a_kept_token_costs_none(self, broker: Broker, store: FakeBudget) -> None:
        broker.issue(NOW, identity())
        store.claims, store.broken = 0, True

        broker.issue(NOW, identity())
        assert store.claims == 0

    def test_nobody_is_let_in_to_log_in_who_could_not_mint(
        self, broker: Broker, budget: Budget, qlik: FakeQlik
    ) -> None:
        spend(budget, 9)
        with pytest.raises(BudgetSpent):
            broker.issue(NOW, identity())

        assert qlik.calls == []
        assert budget.state(ACME).spent == 9

    def test_the_call_of_a_mint_that_was_not_needed_is_given_back(self, budget: Budget) -> None:
        with for_one_person("acme", "alice"):
            with pytest.raises(LeaseHeld):  # it has just been taken: time for another look
                budget.spend(ACME, then=1)
            budget.spend(ACME, then=1)
            assert budget.state(ACME).spent == 2

        assert budget.state(ACME).spent == 1

    def test_fifty_at_once_for_one_person_cost_two_calls(self, broker: Broker, budget: Budget) -> None:
        with ThreadPoolExecutor(16) as pool:
            tokens = set(pool.map(lambda _: broker.issue(NOW, identity()).token_id, range(50)))

        assert len(tokens) == 1
        assert budget.state(ACME).spent == 2

    def test_a_known_person_costs_one(self, broker: Broker, budget: Budget, clock: FakeClock) -> None:
        token = broker.issue(NOW, identity())
        clock.now = token.expires_at + 1
        broker.issue(NOW, identity())

        assert budget.state(ACME).spent == 1

    def test_a_first_login_is_signed_once(self, broker: Broker, keys: FakeKeys) -> None:
        broker.issue(NOW, identity())

        assert keys.loaded == 1

    def test_who_is_sent_away_signs_nothing(self, broker: Broker, budget: Budget, keys: FakeKeys) -> None:
        spend(budget, 9)
        for sub in ("alice", "alice", "bob"):
            with pytest.raises(BudgetSpent):
                broker.issue(NOW, identity(sub))

        assert keys.loaded == 0

    def test_a_login_that_cannot_be_signed_spends_nothing(
        self, broker: Broker, budget: Budget, keys: FakeKeys, qlik: FakeQlik
    ) -> None:
        keys.missing = {ACME.signing_key}
        with pytest.raises(TenantRefused, match="cannot sign"):
            broker.issue(NOW, identity())

        assert (budget.state(ACME).spent, qlik.calls) == (0, [])


class TestTurnedBack:
    """What one person was told is remembered for a slot, so that the next are sent away before they take a place."""

    def spent(self, broker: Broker, budget: Budget) -> None:
        spend(budget, 9)
        with pytest.raises(BudgetSpent):
            broker.issue(NOW, identity("zoe"))

    def test_a_stranger_hears_when_calls_are_free_also_when_there_is_no_place(
        self, broker: Broker, budget: Budget, store: FakeBudget, subjects: FakeSubjects, metrics: Metrics
    ) -> None:
        self.spent(broker, budget)
        store.claims, bulkhead = 0, Bulkhead(1, metrics)
        bulkhead.enter("acme")
        with bulkhead.seat(), pytest.raises(BudgetSpent) as refusal:
            broker.issue(NOW, identity())

        assert (refusal.value.retry_after_s or 0) >= 304
        assert store.claims == 0
        assert ("acme", "alice") not in subjects.rows, "nothing was written"

    def test_who_must_log_in_again_hears_it_too(
        self, broker: Broker, budget: Budget, clock: FakeClock, metrics: Metrics
    ) -> None:
        clock.now = broker.issue(NOW, identity()).expires_at + NOW.tenant.sync_max_age_s
        self.spent(broker, budget)
        (bulkhead := Bulkhead(1, metrics)).enter("acme")
        with bulkhead.seat(), pytest.raises(BridgeBusy):  # the last good sync bridges: one call is left for the mint
            broker.issue(NOW, identity())
        spend(budget, 1)
        refused(budget)
        with bulkhead.seat(), pytest.raises(BudgetSpent):
            broker.issue(NOW, identity())

    def test_nobody_is_turned_back_whom_another_worker_has_logged_in(
        self, broker: Broker, groups: GroupSync, budget: Budget, subjects: FakeSubjects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token, newest = broker.issue(NOW, identity()), subjects.get

        def copy(tenant: str, sub: str, *, fresh: bool = False) -> SubjectRecord | None:
            known = newest(tenant, sub, fresh=fresh)
            return known if fresh or known is None else replace(known, synced_at=None)

        monkeypatch.setattr(subjects, "get", copy)
        self.spent_but(broker, budget)

        assert groups.ensure(ACME, identity()).synced_at is not None
        assert broker.issue(NOW, identity()).token_id == token.token_id

    def spent_but(self, broker: Broker, budget: Budget) -> None:
        spend(budget, 7)
        with pytest.raises(BudgetSpent):
            broker.issue(NOW, identity("zoe"))


class TestRenewal:
    @pytest.fixture
    def ageing(self, broker: Broker, clock: FakeClock) -> IssuedToken:
        token = broker.issue(NOW, identity())
        clock.now = token.expires_at - 300
        return token

    def test_it_is_a_claim_of_its_own(self, broker: Broker, budget: Budget, ageing: IssuedToken) -> None:
        assert broker.issue(NOW, identity()).token_id != ageing.token_id
        assert (spent(budget, Lane.RENEWAL), spent(budget, Lane.PAGE_OPEN)) == (1, 0)

    def test_one_that_must_wait_serves_the_old_token_and_has_not_failed(
        self, broker: Broker, budget: Budget, ageing: IssuedToken, measures: Measures, measured: FakeMeasures
    ) -> None:
        spend(budget, 10)

        assert broker.issue(NOW, identity()).token_id == ageing.token_id
        measures.flush()
        assert "not_renewed" not in measured.tallies({"acme"}, 0)["acme"]

    def test_a_dying_token_is_a_page_that_waits(
        self, broker: Broker, budget: Budget, ageing: IssuedToken, clock: FakeClock
    ) -> None:
        clock.now = ageing.expires_at - 10
        broker.issue(NOW, identity())

        assert spent(budget, Lane.PAGE_OPEN) == 1


def test_a_page_does_not_share_the_refusal_of_a_trial(
    broker: Broker, budget: Budget, qlik: FakeQlik, clock: FakeClock
) -> None:
    """A trial mints for a person as they open their page: the trial's lane is spent, the page's is not."""
    broker.issue(NOW, identity())
    clock.advance(21_600 + 1)
    spend(budget, 4)
    entered, may_go_on = threading.Event(), threading.Event()
    real = budget.spend

    def slowly(*arguments: object, **named: object) -> None:
        budget.spend = real  # type: ignore[method-assign]
        entered.set()
        assert may_go_on.wait(10)
        real(*arguments, **named)  # type: ignore[arg-type]

    def trial() -> None:
        with claiming(Lane.SHADOW), pytest.raises(BudgetSpent):
            broker.obtain(ACME, identity())

    budget.spend = slowly  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as pool:
        tried = pool.submit(trial)
        assert entered.wait(10)
        page = pool.submit(broker.issue, NOW, identity())
        may_go_on.set()
        tried.result(10)
        assert page.result(10).key.sub == "alice"
    assert qlik.names().count("mint") == 2


class TestFreeze:
    def test_a_429_stops_those_who_spend_at_once(
        self, gated: GatedQlik, qlik: FakeQlik, make: Callable[..., Budget]
    ) -> None:
        qlik.fail["log_in"] = [TenantThrottled(retry_after_s=42)]
        with pytest.raises(TenantThrottled):
            gated.log_in(ACME, lambda: "alice")

        with pytest.raises(TenantThrottled) as refusal:
            make().spend(ACME)
        assert (refusal.value.retry_after_s, refusal.value.tier) == (42, 2)
        assert not isinstance(refusal.value, BudgetSpent)

    @pytest.mark.parametrize("tier", [1, 2])
    def test_another_worker_hears_of_it_within_two_seconds(
        self,
        gated: GatedQlik,
        qlik: FakeQlik,
        make: Callable[..., Budget],
        clock: FakeClock,
        tier: int,
    ) -> None:
        other = GatedQlik(qlik, clock, Metrics(), budget=make())
        call = "log_in" if tier == 2 else "whoami"
        other.whoami(ACME, qlik.mint(ACME, "id-alice").value)
        qlik.fail[call] = [TenantThrottled(retry_after_s=42)]
        with pytest.raises(TenantThrottled):
            gated.log_in(ACME, lambda: "alice") if tier == 2 else gated.whoami(ACME, "token")
        qlik.calls.clear()

        clock.advance(1.5)
        with pytest.raises(TenantThrottled):
            other.mint(ACME, "id-alice") if tier == 2 else other.whoami(ACME, "token")
        assert qlik.calls == []

    def test_it_survives_a_restart(
        self, gated: GatedQlik, qlik: FakeQlik, make: Callable[..., Budget], clock: FakeClock
    ) -> None:
        qlik.fail["mint"] = [TenantThrottled(retry_after_s=300)]
        with pytest.raises(TenantThrottled):
            gated.mint(ACME, "id-alice")
        clock.advance(100)

        with pytest.raises(TenantThrottled) as refusal:
            make().tiers.check("acme", (2,))
        assert refusal.value.retry_after_s == 200
        assert make().state(ACME).frozen_s == 200

    def test_with_the_store_away_a_worker_still_obeys(
        self, gated: GatedQlik, qlik: FakeQlik, store: FakeBudget
    ) -> None:
        store.broken = True
        qlik.fail["whoami"] = [TenantThrottled(retry_after_s=42)]
        for _ in range(2):
            with pytest.raises(TenantThrottled):
                gated.whoami(ACME, "token")

        assert qlik.names() == ["whoami"]


class TestPause:
    def fail(self, gated: GatedQlik, qlik: FakeQlik) -> None:
        qlik.fail["log_in"] = [TenantUnavailable()] * FAILURES_BEFORE_PAUSE
        for _ in range(FAILURES_BEFORE_PAUSE):
            with pytest.raises(TenantUnavailable):
                gated.log_in(ACME, lambda: "alice")

    def test_a_paused_tenant_costs_nothing(self, gated: GatedQlik, qlik: FakeQlik, budget: Budget) -> None:
        self.fail(gated, qlik)
        before = budget.state(ACME).spent
        with pytest.raises(TenantUnavailable):
            gated.mint(ACME, "id-alice")

        assert budget.state(ACME).spent == before == FAILURES_BEFORE_PAUSE

    def test_who_cannot_pay_does_not_use_up_the_trial(
        self, gated: GatedQlik, qlik: FakeQlik, budget: Budget, clock: FakeClock
    ) -> None:
        self.fail(gated, qlik)
        clock.advance(PAUSE_S)
        spend(budget, 5)
        with pytest.raises(BudgetSpent):
            gated.mint(ACME, "id-alice")

        token = qlik.mint(ACME, "id-alice").value
        assert gated.whoami(ACME, token).id == "id-alice"


def test_a_login_that_must_wait_is_bridged_by_the_last_good_one(
    broker: Broker, budget: Budget, qlik: FakeQlik, clock: FakeClock
) -> None:
    """It changed nothing at the tenant: one call is left, and it is the mint's."""
    broker.issue(NOW, identity())
    clock.advance(NOW.tenant.sync_max_age_s + 1)
    qlik.calls.clear()
    spend(budget, 9)

    assert broker.issue(NOW, identity()).key.sub == "alice"
    assert qlik.names() == ["mint"]


class TestACrowd:
    """People who come faster than the budget, to any worker, and come back as they are told."""

    @pytest.mark.parametrize("workers", [1, 2, 8])
    def test_the_budget_is_used_while_anybody_waits_and_nobody_asks_often(
        self, make: Callable[..., Budget], clock: FakeClock, workers: int
    ) -> None:
        limit = Limit()
        served, asked = crowd(1_500, [make(limit) for _ in range(workers)], clock)

        # the first budget is spent as they come, each later one as the calls of the one before it are free again
        windows, place = divmod(len(served) - 1, limit.budget)
        assert served[-1] <= served[place] + windows * limit.held_s + 20
        assert all(late - early >= limit.window_s for early, late in zip(served, served[limit.budget :], strict=False))
        assert sum(asked) / len(asked) <= 10
        assert max(asked) <= 30


def crowd(people: int, workers: Sequence[Budget], clock: FakeClock) -> tuple[Sequence[float], Sequence[int]]:
    """Let people come within five minutes; return when each was served, in order, and how often each asked."""
    chance = random.Random(people)  # noqa: S311 - the same crowd each time
    coming = [(clock() + 300 * chance.random(), who) for who in range(people)]
    heapq.heapify(coming)
    served, asked = list[float](), [0] * people
    while coming:
        clock.now, who = heapq.heappop(coming)
        asked[who] += 1
        try:
            chance.choice(workers).spend(ACME)
        except BudgetSpent as refusal:
            jitter_s = chance.random() / 2 * 2 ** min(asked[who], 5)  # as embed.js has it
            heapq.heappush(coming, (clock() + math.ceil(refusal.retry_after_s or 0) + jitter_s, who))
        else:
            served.append(clock())
    return served, asked
