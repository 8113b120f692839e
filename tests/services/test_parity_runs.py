"""A run keeps its pace, waits when it is told to, and leaves out whom it cannot compare."""

from collections.abc import Callable

import pytest
from fakes import FakeBudget, FakeClock, FakeMeasures
from samples import tenant

from bridge.budgeting import Lane, Limit
from bridge.errors import BridgeError, BudgetSpent, NotAllowed, TenantThrottled, TenantUnavailable
from bridge.model import Identity, Subject
from bridge.services.budget import Budget, claiming
from bridge.services.parity_people import LeftOut
from bridge.services.parity_runs import PATIENCE_S, TRIES, Pace, PacedRun
from bridge.telemetry import Metrics


def people(*subs: str) -> list[Identity]:
    return [Identity(Subject(sub, sub, "", frozenset()), "test", "", 1.0) for sub in subs]


def walk(ask: Callable[[Identity], str], *subs: str) -> tuple[list[str | LeftOut], list[float]]:
    clock, naps = FakeClock(), list[float]()

    def sleep(seconds: float) -> None:
        naps.append(round(seconds, 3))
        clock.advance(seconds)

    return list(PacedRun(ask, Pace(30, clock, sleep)).over(people(*subs))), naps


def test_thirty_a_minute_means_two_seconds_each() -> None:
    found, naps = walk(lambda each: each.subject.sub, "ada", "bob", "carol")

    assert (found, naps) == (["ada", "bob", "carol"], [0, 2, 2])


def test_a_throttled_one_is_asked_again_when_it_is_time() -> None:
    failures: list[BridgeError] = [TenantThrottled(retry_after_s=13), TenantThrottled()]

    def ask(identity: Identity) -> str:
        if failures:
            raise failures.pop(0)
        return identity.subject.sub

    assert walk(ask, "ada") == (["ada"], [0, 13, 1])


def test_who_cannot_be_compared_is_left_out_with_the_reason() -> None:
    failures = {"ada": NotAllowed(), "bob": TenantUnavailable(), "carol": TenantThrottled(retry_after_s=1)}
    asked: list[str] = []

    def ask(identity: Identity) -> str:
        asked.append(identity.subject.sub)
        raise failures[identity.subject.sub]

    found, _ = walk(ask, "ada", "bob", "carol")

    left = [each for each in found if isinstance(each, LeftOut)]
    assert [(each.sub, each.why.partition(":")[0], each.is_upstream) for each in left] == [
        ("ada", "not_allowed", False),
        ("bob", "tenant_unavailable", True),
        ("carol", "tenant_throttled", True),
    ]
    assert asked.count("carol") == TRIES


class TestBudget:
    """Two hundred new people of an idle tenant, against the very budget that they spend."""

    def walk(self, pace: Pace, clock: FakeClock) -> tuple[list[float], list[float]]:
        """Return when each was compared, from the first on, and every wait that was told."""
        budget = Budget(FakeBudget(), pace.limit, clock, Metrics(), FakeMeasures().tallies)
        at, told = list[float](), list[float]()

        def ask(_: Identity) -> None:
            with claiming(Lane.SHADOW):
                budget.spend(tenant(), then=1)
                budget.spend(tenant())
            at.append(clock())

        list(PacedRun(ask, pace, lambda _, seconds: told.append(seconds)).over(people(*map(str, range(200)))))
        return [each - at[0] for each in at], told

    @pytest.mark.parametrize("per_minute", [10, 30, 600])
    def test_it_takes_as_long_as_was_said(self, clock: FakeClock, per_minute: float) -> None:
        pace = Pace(per_minute, clock, clock.advance)

        at, told = self.walk(pace, clock)

        slack_s = 2 * Limit().slot_s
        assert at == [pytest.approx(pace.due_s(number), abs=slack_s) for number in range(200)]
        assert at[-1] == pytest.approx(pace.left_s(0, 200), abs=slack_s)
        assert pace.left_s(200, 200) == 0
        assert bool(told) is (per_minute > pace.lasting)

    def test_about_twenty_a_minute_last(self) -> None:
        assert Pace(30).lasting == pytest.approx(19.74, abs=0.01)
        assert (Pace(30).at_once, Pace(30, calls=1).at_once) == (100, 200)
        assert Pace(30).left_s(0, 200) == pytest.approx(502, abs=1)

    def test_it_does_not_wait_without_end(self, clock: FakeClock) -> None:
        """Nor does it leave out, one an hour, everybody who follows."""
        begun = clock()

        def ask(_: Identity) -> None:
            raise BudgetSpent(retry_after_s=300, lane="shadow")

        with pytest.raises(BudgetSpent, match="For 60 minutes the budget had no call left"):
            list(PacedRun(ask, Pace(30, clock, clock.advance)).over(people("ada", "bob")))
        assert clock() - begun == PATIENCE_S


def test_a_short_outage_is_waited_out_and_a_long_one_is_not() -> None:
    short: list[BridgeError] = [TenantUnavailable(retry_after_s=10)] * 2
    paused: list[BridgeError] = [TenantUnavailable(retry_after_s=10)] * TRIES

    found, naps = walk(lambda each: each.subject.sub if not short else _raise(short.pop()), "ada")
    left, long_naps = walk(lambda _: _raise(paused.pop()), "bob")

    assert (found, naps) == (["ada"], [0, 10, 10])
    assert [each.is_upstream for each in left if isinstance(each, LeftOut)] == [True]
    assert long_naps == [0] + [10] * (TRIES - 1)


def test_each_wait_is_told_with_its_reason() -> None:
    clock, told = FakeClock(), list[tuple[str, float]]()
    failures: list[BridgeError] = [BudgetSpent(retry_after_s=2000), TenantThrottled()]

    def ask(identity: Identity) -> str:
        return _raise(failures.pop(0)) if failures else identity.subject.sub

    pace = Pace(float("inf"), clock, clock.advance)
    run = PacedRun(ask, pace, lambda failure, seconds: told.append((failure.code(), seconds)))

    assert list(run.over(people("ada"))) == ["ada"]
    assert told == [("budget_spent", 600), ("tenant_throttled", 1)]


def _raise(failure: BridgeError) -> str:
    raise failure
