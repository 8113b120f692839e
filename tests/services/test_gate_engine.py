"""Manners towards a tenant's engine; those that it shares with the others are in test_gate."""

from collections.abc import Callable

import pytest
from fakes import FakeApp, FakeClock, FakeEngine, FakeQlik
from samples import tenant

from bridge.errors import AppRefused, BadContent, BridgeError, TenantThrottled, TenantTimeout, TenantUnavailable
from bridge.model import Hypercube
from bridge.services.gate import FAILURES_BEFORE_PAUSE, GatedEngine, GatedQlik
from bridge.telemetry import Metrics

ACME = tenant("acme")
TOKEN = "fake-token-1"
CALLS: dict[str, Callable[[GatedEngine], object]] = {
    "sheets": lambda gate: gate.sheets(ACME, TOKEN, "sales"),
    "hypercube": lambda gate: gate.hypercube(ACME, TOKEN, "sales", dimension="Product", measure="Sum(Sales)"),
    "reader": lambda gate: gate.reader(ACME, TOKEN, "sales"),
}


@pytest.fixture
def engine(qlik: FakeQlik) -> FakeEngine:
    qlik.mint(ACME, "id-alice")
    qlik.calls.clear()
    return FakeEngine(qlik, sales=FakeApp(rows={"": [("Tea", "1")]}))


@pytest.fixture
def gate(engine: FakeEngine, clock: FakeClock, metrics: Metrics) -> GatedEngine:
    return GatedEngine(engine, clock, metrics)


def test_answers_pass_through_and_are_counted(gate: GatedEngine, metrics: Metrics) -> None:
    assert CALLS["sheets"](gate) == []
    assert CALLS["hypercube"](gate) == Hypercube(("Tea",), ("1",))
    assert CALLS["reader"](gate) == "id-alice"
    for call in CALLS:
        labels = {"tenant": "acme", "call": call, "outcome": "ok"}
        assert metrics.registry.get_sample_value("bridge_upstream_calls_total", labels) == 1


@pytest.mark.parametrize("name", list(CALLS))
def test_a_lost_connection_is_tried_once_more(gate: GatedEngine, engine: FakeEngine, name: str) -> None:
    engine.fail[name] = [TenantUnavailable()]

    CALLS[name](gate)

    assert len(engine.calls) == 2


@pytest.mark.parametrize("error", [AppRefused(), BadContent(), TenantTimeout(), TenantUnavailable(retry_after_s=3)])
def test_what_would_not_change_is_not_tried_again(gate: GatedEngine, engine: FakeEngine, error: BridgeError) -> None:
    engine.fail["sheets"] = [error]

    with pytest.raises(type(error)):
        CALLS["sheets"](gate)
    assert len(engine.calls) == 1


def test_a_throttled_engine_is_left_alone_and_the_rest_of_the_tenant_is_not(
    gate: GatedEngine, engine: FakeEngine, qlik: FakeQlik, clock: FakeClock, metrics: Metrics
) -> None:
    engine.fail["sheets"] = [TenantThrottled(retry_after_s=9)]
    with pytest.raises(TenantThrottled):
        CALLS["sheets"](gate)
    with pytest.raises(TenantThrottled) as refusal:
        CALLS["hypercube"](gate)

    assert refusal.value.retry_after_s == 9
    assert len(engine.calls) == 1
    assert GatedQlik(qlik, clock, metrics).mint(ACME, "id-alice").value == "fake-token-2"
    clock.advance(9)
    CALLS["hypercube"](gate)


def test_an_engine_that_fails_pauses_alone(
    gate: GatedEngine, engine: FakeEngine, qlik: FakeQlik, clock: FakeClock, metrics: Metrics
) -> None:
    engine.fail["sheets"] = [TenantTimeout()] * FAILURES_BEFORE_PAUSE
    for _ in range(FAILURES_BEFORE_PAUSE):
        with pytest.raises(TenantTimeout):
            CALLS["sheets"](gate)

    with pytest.raises(TenantUnavailable) as paused:
        CALLS["hypercube"](gate)

    assert paused.value.retry_after_s == 10
    assert len(engine.calls) == FAILURES_BEFORE_PAUSE
    assert GatedQlik(qlik, clock, metrics).whoami(ACME, TOKEN).id == "id-alice"


@pytest.mark.parametrize("error", [AppRefused(), BadContent()])
def test_refusals_about_one_person_break_the_row(gate: GatedEngine, engine: FakeEngine, error: BridgeError) -> None:
    failures: list[Exception] = [TenantTimeout()] * (FAILURES_BEFORE_PAUSE - 1)
    engine.fail["sheets"] = [*failures, error, *failures]
    for _ in range(len(engine.fail["sheets"])):
        with pytest.raises((TenantTimeout, type(error))):
            CALLS["sheets"](gate)

    assert CALLS["sheets"](gate) == []
