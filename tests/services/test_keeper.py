"""The background thread: what it runs when, what a failure costs, how it starts and ends."""

import os
import threading
from collections.abc import Iterator

import pytest
from fakes import FakeClock

from bridge.errors import StoreError
from bridge.services.keeper import Keeper
from bridge.telemetry import Metrics

PATIENCE_S = 10


@pytest.fixture
def keeper(clock: FakeClock, metrics: Metrics) -> Iterator[Keeper]:
    keeper = Keeper(metrics, clock)
    yield keeper
    keeper.close()


def runs(metrics: Metrics, chore: str, outcome: str) -> float:
    return metrics.registry.get_sample_value("bridge_chores_total", {"chore": chore, "outcome": outcome}) or 0


class TestDue:
    def test_each_chore_runs_at_its_own_pace(self, keeper: Keeper, clock: FakeClock) -> None:
        done: list[str] = []
        keeper.add("often", 2, lambda: done.append("often"))
        keeper.add("seldom", 5, lambda: done.append("seldom"))

        for _ in range(10):
            clock.advance(1)
            keeper.run_due()

        assert done == ["often", "often", "seldom", "often", "often", "often", "seldom"]

    def test_it_says_how_long_until_the_next_one(self, keeper: Keeper, clock: FakeClock) -> None:
        keeper.add("often", 2, lambda: None)
        keeper.add("seldom", 5, lambda: None)

        assert keeper.run_due() == 2
        clock.advance(1.5)
        assert keeper.run_due() == 0.5
        clock.advance(0.5)
        assert keeper.run_due() == 2

    def test_a_long_pause_is_not_made_up_for(self, keeper: Keeper, clock: FakeClock) -> None:
        """A laptop that slept an hour does not run a chore 1,800 times."""
        done: list[float] = []
        keeper.add("often", 2, lambda: done.append(clock()))

        clock.advance(3600)
        keeper.run_due()
        keeper.run_due()

        assert len(done) == 1


class TestFailure:
    @pytest.mark.parametrize(
        ("error", "outcome"), [(StoreError(detail="away"), "store_error"), (ValueError("a bug"), "internal_error")]
    )
    def test_it_is_counted_and_tried_again_and_stops_no_other(
        self, keeper: Keeper, clock: FakeClock, metrics: Metrics, error: Exception, outcome: str
    ) -> None:
        done: list[str] = []

        def fail_once() -> None:
            done.append("tried")
            if len(done) == 1:
                raise error

        keeper.add("shaky", 1, fail_once)
        keeper.add("steady", 1, lambda: None)
        for _ in range(2):
            clock.advance(1)
            keeper.run_due()

        assert done == ["tried", "tried"]
        assert runs(metrics, "shaky", outcome) == 1
        assert runs(metrics, "shaky", "ok") == 1
        assert runs(metrics, "steady", "ok") == 2


class TestThread:
    def test_it_runs_in_the_background_once_a_process_until_closed(self, metrics: Metrics) -> None:
        ran, names = threading.Event(), []

        def work() -> None:
            names.append(threading.current_thread())
            ran.set()

        keeper = Keeper(metrics)
        keeper.add("quick", 0.01, work)
        for _ in range(3):
            keeper.start()
        assert ran.wait(PATIENCE_S)
        keeper.close()
        seen = len(names)

        assert {thread.name for thread in names} == {"keeper"}
        assert len({thread.ident for thread in names}) == 1
        assert not names[0].is_alive()
        ran.clear()
        keeper.start()
        assert ran.wait(PATIENCE_S)
        keeper.close()
        assert len(names) > seen

    def test_closing_ends_a_pause(self, metrics: Metrics) -> None:
        keeper = Keeper(metrics)
        keeper.add("seldom", 3600, lambda: None)
        keeper.start()

        keeper.close()

        assert [thread for thread in threading.enumerate() if thread.name == "keeper"] == []

    def test_without_chores_there_is_no_thread(self, keeper: Keeper) -> None:
        keeper.start()

        assert [thread for thread in threading.enumerate() if thread.name == "keeper"] == []

    def test_a_forked_process_starts_its_own(self, metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
        """A thread stays behind in the parent: the child, which has another process id, begins anew."""
        ran = threading.Event()
        keeper = Keeper(metrics)
        keeper.add("quick", 0.01, ran.set)
        keeper.start()
        assert ran.wait(PATIENCE_S)
        keeper._end.set()  # what a fork does to it, seen from the child
        assert keeper._thread
        keeper._thread.join(PATIENCE_S)
        ran.clear()

        child = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: child)
        keeper.start()

        assert ran.wait(PATIENCE_S)
        keeper.close()


def test_what_takes_long_beside_holds_up_nothing(metrics: Metrics) -> None:
    """A ramp whose tenant hangs must not keep a guardrail from acting."""
    began, may_end, done = threading.Event(), threading.Event(), threading.Event()
    keeper, patient = Keeper(metrics), Keeper(metrics)

    def be_quick() -> None:
        if began.is_set():
            done.set()

    def hang() -> None:
        began.set()
        may_end.wait(PATIENCE_S)

    keeper.add("quick", 0, be_quick)
    patient.add("hangs", 0, hang)
    keeper.beside(patient)
    keeper.start()
    try:
        assert done.wait(PATIENCE_S)
        assert not may_end.is_set()
    finally:
        may_end.set()
        keeper.close()
