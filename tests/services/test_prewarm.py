"""Groups and tokens ahead of time: who gets what, what is not done again, and in which lane."""

from collections.abc import Callable

import pytest
from fakes import (
    TOKEN_LIFE_S,
    FakeBudget,
    FakeClock,
    FakeMeasures,
    FakeQlik,
    FakeSubjects,
    FakeTenants,
    Leased,
)
from samples import identity, state

from bridge.budgeting import Lane, Limit
from bridge.errors import BudgetSpent, NotAllowed, SubjectNotProvisioned, TenantRefused, TenantTimeout
from bridge.model import Stage
from bridge.ports import Qlik
from bridge.services.broker import Broker
from bridge.services.budget import Budget
from bridge.services.gate import GatedQlik
from bridge.services.groups import GroupSync
from bridge.services.prewarm import Got, Prepared, Prewarm, Tokens, minutes_at_most, per_minute, summary
from bridge.services.rollout import Rollouts
from bridge.telemetry import Metrics

TEN = Limit(calls_per_minute=2, margin_percent=0)
"""Ten calls in five minutes, of which seven are the lane's."""


@pytest.fixture
def tenants() -> FakeTenants:
    return FakeTenants(state(Stage.OAUTH), state(Stage.SHADOW, slug="globex", required_group="Finance"))


@pytest.fixture
def budget(leases: Leased, clock: FakeClock, metrics: Metrics) -> Budget:
    return Budget(FakeBudget(leases), TEN, clock, metrics, FakeMeasures().tallies)


@pytest.fixture
def upstream(gated: GatedQlik) -> Qlik:
    return gated


@pytest.fixture
def prewarm(groups: GroupSync, broker: Broker, rollouts: Rollouts, tenants: FakeTenants, clock: FakeClock) -> Prewarm:
    return Prewarm(tenants=tenants, groups=groups, broker=broker, rollouts=rollouts, clock=clock)


Do = Callable[..., Prepared]


@pytest.fixture
def do(prewarm: Prewarm, clock: FakeClock) -> Do:
    def prepare(sub: str = "alice", tokens: Tokens = Tokens.MOVED, slug: str = "acme") -> Prepared:
        clock.advance(1)
        return prewarm.prepare(slug, identity(sub, "Finance"), tokens)

    return prepare


class TestWhoGetsWhat:
    def test_a_login_and_a_token_for_those_on_oauth(self, do: Do, qlik: FakeQlik) -> None:
        assert do() == Prepared("alice", synced=True, token=Got.MINTED)
        assert qlik.names() == ["log_in", "mint"]

    def test_a_login_alone_without_tokens_and_for_those_on_jwt(self, do: Do, qlik: FakeQlik) -> None:
        assert do(tokens=Tokens.NOBODY) == Prepared("alice", synced=True, token=Got.NONE)
        assert do(slug="globex") == Prepared("alice", synced=True, token=Got.NONE)
        assert qlik.names() == ["log_in", "log_in"]

    def test_everybody_the_night_before_a_step(self, do: Do) -> None:
        assert do(slug="globex", tokens=Tokens.EVERYBODY).token is Got.MINTED

    def test_nobody_is_created_who_may_not_use_the_tenant(self, prewarm: Prewarm, qlik: FakeQlik) -> None:
        with pytest.raises(NotAllowed):
            prewarm.prepare("globex", identity("bob", "Sales"), Tokens.EVERYBODY)
        assert qlik.calls == []

    def test_older_facts_are_not_written_over_newer_ones(
        self, prewarm: Prewarm, subjects: FakeSubjects, clock: FakeClock
    ) -> None:
        newer = identity("alice", at=clock())
        subjects.note("acme", newer.subject, newer.asserted_at)
        prewarm.prepare("acme", identity("alice", "Finance", at=clock() - 60), Tokens.NOBODY)

        assert subjects.rows["acme", "alice"].subject == newer.subject
        assert subjects.rows["acme", "alice"].synced_groups == frozenset()


class TestAgain:
    def test_what_still_counts_is_not_done_again(self, do: Do, qlik: FakeQlik) -> None:
        do()
        assert do() == Prepared("alice", synced=False, token=Got.KEPT)
        assert do().is_free
        assert len(qlik.calls) == 2

    def test_what_would_not_last_is_done_again(self, do: Do, qlik: FakeQlik, clock: FakeClock) -> None:
        """The page would keep this sync and token: but the morning is still to come."""
        do()
        clock.advance(TOKEN_LIFE_S / 2)
        done = do()
        assert (done, done.is_free) == (Prepared("alice", synced=False, token=Got.MINTED), False)
        clock.advance(4 * 3600 - TOKEN_LIFE_S / 2)
        assert do() == Prepared("alice", synced=True, token=Got.KEPT)
        assert qlik.names() == ["log_in", "mint", "mint", "log_in"]


class TestFailures:
    def test_a_spent_lane_leaves_calls_for_pages(self, do: Do, budget: Budget) -> None:
        for number in range(3):
            do(f"user-{number}")

        with pytest.raises(BudgetSpent) as refusal:
            do("one-more")
        assert (refusal.value.lane, refusal.value.retry_after_s) == (Lane.PRE_WARM, 304 - 4)
        now = budget.state(state().tenant)
        assert (now.spent, now.left) == (6, 4)

    def test_a_sync_that_may_not_be_made_is_not_bridged(self, do: Do, clock: FakeClock, qlik: FakeQlik) -> None:
        """A page would be served on the last good sync, and this person would count as done."""
        do()
        clock.advance(5 * 3600)
        qlik.fail["log_in"] = [TenantTimeout()]
        with pytest.raises(TenantTimeout):
            do()

    def test_a_renewal_that_may_not_be_made_is_not_bridged(self, do: Do, clock: FakeClock, qlik: FakeQlik) -> None:
        do()
        clock.advance(TOKEN_LIFE_S / 2)
        qlik.fail["mint"] = [TenantTimeout()]
        with pytest.raises(TenantTimeout):
            do()

    def test_who_is_disabled_is_told(self, do: Do, qlik: FakeQlik, budget: Budget) -> None:
        qlik.fail["log_in"] = [TenantRefused(status=403)]
        with pytest.raises(SubjectNotProvisioned):
            do("dave")
        assert budget.state(state().tenant).spent == 1, "the call of the mint is given back"


def test_the_sum_of_a_night() -> None:
    done = [
        Prepared("a", synced=True, token=Got.MINTED),
        Prepared("b", synced=False, token=Got.KEPT),
        Prepared("c", synced=True, token=Got.NONE),
    ]
    assert summary(done, 2) == {
        "synced": 2,
        "still_synced": 1,
        "minted": 1,
        "kept": 1,
        "without_token": 1,
        "left_out": 2,
    }


def test_the_longest_a_night_can_take() -> None:
    limit = Limit()
    assert round(per_minute(limit)) == 59
    assert round(minutes_at_most(10_000, Tokens.NOBODY, limit)) == 164
    assert round(minutes_at_most(10_000, Tokens.MOVED, limit)) == 333
    assert minutes_at_most(100, Tokens.MOVED, limit) == 0
