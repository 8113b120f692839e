"""One attempt for everyone who asks at the same time."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from bridge.errors import StillWaiting, TenantUnavailable
from bridge.services.flight import SingleFlight
from bridge.telemetry import collect_steps

LONG_S = 5
CALLERS = 8


class Held:
    """Work that waits to be let go, and counts how often it ran."""

    def __init__(self, outcome: Callable[[], str] = lambda: "landed") -> None:
        self.runs = 0
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self._outcome = outcome

    def __call__(self) -> str:
        self.runs += 1
        self.begun.set()
        assert self.may_end.wait(LONG_S)
        return self._outcome()


class Watched(SingleFlight[str]):
    """Tells when so many callers have joined a flight that somebody else leads."""

    def __init__(self, patience_s: float = LONG_S) -> None:
        super().__init__(patience_s)
        self.joined = threading.Semaphore(0)
        self._flights = _Joins(self.joined)

    def wait_for(self, joins: int) -> None:
        for _ in range(joins):
            assert self.joined.acquire(timeout=LONG_S)


class _Joins(dict[object, Future[str]]):
    def __init__(self, joined: threading.Semaphore) -> None:
        super().__init__()
        self._joined = joined

    def get(self, key: object, default: object = None) -> Future[str] | None:  # type: ignore[override]
        del default
        found = self[key] if key in self else None  # noqa: SIM401 - `get` is what this stands for
        if found is not None:
            self._joined.release()
        return found


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CALLERS) as pool:
        yield pool


def fail() -> str:
    raise TenantUnavailable(detail="down")


def test_callers_at_the_same_time_share_one_run(pool: ThreadPoolExecutor) -> None:
    flights, work = Watched(), Held()
    callers = [pool.submit(flights.run, "key", work) for _ in range(CALLERS)]
    flights.wait_for(CALLERS - 1)
    work.may_end.set()

    assert [caller.result(LONG_S) for caller in callers] == ["landed"] * CALLERS
    assert work.runs == 1


def test_who_waits_for_another_says_so(pool: ThreadPoolExecutor) -> None:
    flight, work = Watched(), Held()

    def run() -> list[str]:
        steps = collect_steps()
        flight.run("key", work)
        return [each.step for each in steps]

    leader = pool.submit(run)
    assert work.begun.wait(LONG_S)
    waiter = pool.submit(run)
    flight.wait_for(1)
    work.may_end.set()

    assert (leader.result(LONG_S), waiter.result(LONG_S)) == ([], ["shared"])


def test_a_failure_is_shared_too(pool: ThreadPoolExecutor) -> None:
    flights, work = Watched(), Held(fail)
    callers = [pool.submit(flights.run, "key", work) for _ in range(CALLERS)]
    flights.wait_for(CALLERS - 1)
    work.may_end.set()

    assert [type(caller.exception(LONG_S)) for caller in callers] == [TenantUnavailable] * CALLERS
    assert work.runs == 1


def test_the_next_call_after_landing_runs_anew() -> None:
    flights, outcomes = SingleFlight[int](), iter([1, 2])

    assert [flights.run("key", lambda: next(outcomes)), flights.run("key", lambda: next(outcomes))] == [1, 2]


def test_the_next_call_after_a_failure_runs_anew() -> None:
    flights = SingleFlight[str]()
    with pytest.raises(TenantUnavailable):
        flights.run("key", fail)

    assert flights.run("key", lambda: "landed") == "landed"


def test_other_keys_do_not_wait(pool: ThreadPoolExecutor) -> None:
    flights, work = SingleFlight[str](), Held()
    slow = pool.submit(flights.run, "slow", work)
    assert work.begun.wait(LONG_S)

    assert flights.run("other", lambda: "at once") == "at once"
    assert not slow.done()
    work.may_end.set()
    assert slow.result(LONG_S) == "landed"


def test_a_waiter_gives_up_and_the_leader_goes_on(pool: ThreadPoolExecutor) -> None:
    flights, work = Watched(patience_s=0.01), Held()
    leader = pool.submit(flights.run, "key", work)
    assert work.begun.wait(LONG_S)

    with pytest.raises(StillWaiting):
        flights.run("key", lambda: pytest.fail("a second run"))

    work.may_end.set()
    assert leader.result(LONG_S) == "landed"


def test_it_tells_whether_somebody_is_at_it(pool: ThreadPoolExecutor) -> None:
    flights, work = SingleFlight[str](), Held()
    leader = pool.submit(flights.run, "key", work)
    assert work.begun.wait(LONG_S)
    assert (flights.is_flying("key"), flights.is_flying("another")) == (True, False)

    work.may_end.set()
    leader.result(LONG_S)
    assert not flights.is_flying("key")


def test_the_leader_outlasts_the_patience_of_waiters() -> None:
    """Whoever runs the work has its outcome at the end, however long it took."""
    assert SingleFlight[str](patience_s=0).run("key", lambda: "landed") == "landed"


def test_a_time_out_inside_the_work_keeps_its_own_name() -> None:
    """Python's own TimeoutError must not pass for a waiter's lost patience."""

    def slow_disk() -> str:
        raise TimeoutError("the disk")

    with pytest.raises(TimeoutError, match="the disk"):
        SingleFlight[str]().run("key", slow_disk)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_leader_leaves_nobody_waiting(pool: ThreadPoolExecutor, stop: type[BaseException]) -> None:
    def interrupted() -> str:
        raise stop

    flights, work = Watched(), Held(interrupted)
    callers = [pool.submit(flights.run, "key", work) for _ in range(2)]
    flights.wait_for(1)
    work.may_end.set()

    done, late = wait(callers, LONG_S)
    assert (len(done), len(late)) == (2, 0)
    assert [type(caller.exception()) for caller in callers] == [stop, stop]
    assert flights.run("key", lambda: "anew") == "anew"
