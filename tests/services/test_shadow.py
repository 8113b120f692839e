"""Who is tried, what a trial may cost, and that nobody waits for one."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from fakes import START, FakeClock, FakeMeasures, FakeTenants
from samples import identity, state

from bridge.errors import StoreError, TenantThrottled, TenantTimeout
from bridge.model import Identity, Rollout, Stage, TenantState
from bridge.services import shadow as module
from bridge.services.history import History
from bridge.services.measures import Measures
from bridge.services.shadow import Shadow
from bridge.services.shadow_report import shadow_report
from bridge.telemetry import Metrics

PATIENCE_S = 10
SHADOWED = state(Stage.SHADOW)


class Trials:
    """A trial that remembers whom it saw; `hold` keeps it from ending."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.fail: list[Exception] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.begun = threading.Semaphore(0)

    def __call__(self, state: TenantState, person: Identity) -> str:
        self.seen.append(f"{state.tenant.slug}:{person.subject.sub}")
        self.begun.release()
        assert self.may_end.wait(PATIENCE_S)
        if self.fail:
            raise self.fail.pop(0)
        return "proven"

    def wait_for(self, count: int) -> list[str]:
        for _ in range(count):
            assert self.begun.acquire(timeout=PATIENCE_S)
        return self.seen


@pytest.fixture
def trials() -> Iterator[Trials]:
    trials = Trials()
    yield trials
    trials.may_end.set()


@pytest.fixture
def tenants() -> FakeTenants:
    return FakeTenants(SHADOWED, state(Stage.SHADOW, slug="globex"))


@pytest.fixture
def make(
    trials: Trials,
    tenants: FakeTenants,
    clock: FakeClock,
    metrics: Metrics,
    measures: Measures,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Shadow]]:
    monkeypatch.setattr(module, "REST_S", 0.0)
    made = []

    def shadow(percent: float = 100, room: int = 10) -> Shadow:
        made.append(
            Shadow(
                tenants=tenants,
                trial=trials,
                sample=lambda _: percent,
                clock=clock,
                metrics=metrics,
                measures=measures,
                room=room,
            )
        )
        return made[-1]

    yield shadow
    trials.may_end.set()
    for each in made:
        each.close()


def count(metrics: Metrics, outcome: str) -> float:
    labels = {"tenant": "acme", "outcome": outcome}
    return metrics.registry.get_sample_value("bridge_shadow_trials_total", labels) or 0


def test_a_sign_in_is_tried_once_an_hour(make: Callable[..., Shadow], trials: Trials, clock: FakeClock) -> None:
    shadow = make()
    for _ in range(3):
        shadow.offer(SHADOWED, identity("alice"))
    shadow.offer(SHADOWED, identity("bob"))
    assert trials.wait_for(2) == ["acme:alice", "acme:bob"]

    clock.advance(3601)
    shadow.offer(SHADOWED, identity("alice"))
    assert trials.wait_for(1)[-1] == "acme:alice"


@pytest.mark.parametrize("stage", [each for each in Stage if each is not Stage.SHADOW])
def test_other_stages_have_no_shadow(make: Callable[..., Shadow], trials: Trials, stage: Stage) -> None:
    shadow = make()
    shadow.offer(state(stage), identity("alice"))
    shadow.offer(SHADOWED, identity("bob"))

    assert trials.wait_for(1) == ["acme:bob"]


def test_a_sample_of_zero_is_off(make: Callable[..., Shadow], trials: Trials) -> None:
    shadow = make(0)
    for number in range(50):
        shadow.offer(SHADOWED, identity(f"person-{number}"))

    assert (shadow.waiting(), trials.seen) == (0, [])


def test_a_sample_is_a_share_of_the_people(make: Callable[..., Shadow], trials: Trials) -> None:
    trials.may_end.clear()
    shadow = make(20, room=1000)
    for number in range(1000):
        shadow.offer(SHADOWED, identity(f"person-{number}"))
    trials.wait_for(1)

    assert 150 < shadow.waiting() + 1 < 250


def test_while_every_trial_hangs_nobody_waits_and_drops_are_counted(
    make: Callable[..., Shadow], trials: Trials, metrics: Metrics
) -> None:
    trials.may_end.clear()
    shadow = make(room=5)
    shadow.offer(SHADOWED, identity("first"))
    trials.wait_for(1)
    for number in range(50):
        shadow.offer(SHADOWED, identity(f"person-{number}"))

    assert shadow.waiting() == 5
    assert metrics.registry.get_sample_value("bridge_shadow_dropped_total", {"tenant": "acme"}) == 45


def test_who_was_dropped_is_taken_at_another_sign_in(make: Callable[..., Shadow], trials: Trials) -> None:
    trials.may_end.clear()
    shadow = make(room=1)
    for name in ("alice", "bob"):
        shadow.offer(SHADOWED, identity(name))
        if name == "alice":
            trials.wait_for(1)
    shadow.offer(SHADOWED, identity("carol"))
    trials.may_end.set()
    trials.wait_for(1)
    shadow.offer(SHADOWED, identity("carol"))

    assert trials.wait_for(1)[-1] == "acme:carol"


def test_a_tenant_that_throttles_is_left_alone(
    make: Callable[..., Shadow], trials: Trials, metrics: Metrics, clock: FakeClock
) -> None:
    trials.fail = [TenantThrottled(retry_after_s=30)]
    trials.may_end.clear()
    shadow = make()
    shadow.offer(SHADOWED, identity("alice"))
    trials.wait_for(1)
    shadow.offer(SHADOWED, identity("bob"))
    shadow.offer(state(Stage.SHADOW, slug="globex"), identity("carol"))
    trials.may_end.set()

    assert trials.wait_for(1) == ["acme:alice", "globex:carol"]
    assert (count(metrics, "tenant_throttled"), count(metrics, "left_out")) == (1, 1)
    shadow.offer(SHADOWED, identity("dave"))
    clock.advance(31)
    shadow.offer(SHADOWED, identity("erin"))
    assert trials.wait_for(1)[-1] == "acme:erin"


def test_a_tenant_that_moved_on_meanwhile_is_left_alone(
    make: Callable[..., Shadow], trials: Trials, tenants: FakeTenants, metrics: Metrics
) -> None:
    tenants.states["acme"] = TenantState(SHADOWED.tenant, Rollout(Stage.ROLLOUT))
    shadow = make()
    shadow.offer(SHADOWED, identity("alice"))
    shadow.offer(state(Stage.SHADOW, slug="globex"), identity("bob"))

    assert trials.wait_for(1) == ["globex:bob"]
    assert count(metrics, "left_out") == 1


def test_all_workers_count_together(
    make: Callable[..., Shadow],
    trials: Trials,
    measured: FakeMeasures,
    measures: Measures,
    history: History,
    clock: FakeClock,
) -> None:
    here, there, full = make(), make(), make(room=0)
    trials.fail = [TenantThrottled(retry_after_s=30)]
    trials.may_end.clear()
    here.offer(SHADOWED, identity("alice"))
    trials.wait_for(1)
    here.offer(SHADOWED, identity("bob"))
    trials.may_end.set()
    of_another_worker = Measures(measured, clock, Metrics(), secret=b"salt", history=history)

    def become(**expected: int) -> None:
        give_up = time.monotonic() + PATIENCE_S
        found: dict[str, int] = {}
        while found != expected:
            assert time.monotonic() < give_up, found
            measures.flush()
            seen = of_another_worker.shadowed("acme", clock() - 60)
            found = {each.value: count for each, count in seen.items() if count}

    become(taken=2, left_out=2)
    trials.fail = [TenantTimeout()]
    there.offer(SHADOWED, identity("carol"))
    there.offer(SHADOWED, identity("dave"))
    full.offer(SHADOWED, identity("erin"))
    become(taken=4, left_out=2, failed=1, proven=1, dropped=1)


@pytest.mark.parametrize(
    ("stage", "percent", "is_on", "told"),
    [
        (Stage.SHADOW, 20, True, "20 % of the people who sign in are tried"),
        (Stage.SHADOW, 0, False, "`sample_percent` under `[tenants.parity]` is 0"),
        (Stage.ROLLOUT, 20, False, "this is stage `rollout`"),
    ],
)
def test_the_report_says_whether_anybody_is_tried(
    make: Callable[..., Shadow], measures: Measures, stage: Stage, percent: float, told: str, *, is_on: bool
) -> None:
    now = state(stage, parity={"sample_percent": percent})
    report = shadow_report(make(), measures, now, START)

    assert report.is_on is is_on
    assert told in report.sentence()
    assert report.document()["queue"] == {"waiting": 0, "room": 200}


@pytest.mark.parametrize("problem", [TenantTimeout(), StoreError(), ValueError("a bug")])
def test_a_trial_that_fails_costs_itself_alone(
    make: Callable[..., Shadow], trials: Trials, metrics: Metrics, problem: Exception
) -> None:
    trials.fail = [problem]
    shadow = make()
    shadow.offer(SHADOWED, identity("alice"))
    shadow.offer(SHADOWED, identity("bob"))

    assert trials.wait_for(2) == ["acme:alice", "acme:bob"]
    if hasattr(problem, "code"):
        assert count(metrics, problem.code()) == 1
