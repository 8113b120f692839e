"""The parts that most services need, in memory."""

import pytest
from fakes import (
    FakeClock,
    FakeHistory,
    FakeKeys,
    FakeMeasures,
    FakeQlik,
    FakeSubjects,
    FakeTenants,
    FakeTokens,
    Leased,
)
from openfeature import api as openfeature

from bridge.ports import Qlik
from bridge.services.broker import Broker
from bridge.services.budget import Budget
from bridge.services.gate import GatedQlik
from bridge.services.groups import GroupSync, TurnBack
from bridge.services.history import History
from bridge.services.measures import Measures
from bridge.services.rollout import Rollouts
from bridge.services.signer import Signer
from bridge.telemetry import Metrics


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def qlik(clock: FakeClock) -> FakeQlik:
    return FakeQlik(clock)


@pytest.fixture
def subjects() -> FakeSubjects:
    return FakeSubjects()


@pytest.fixture
def leases() -> Leased:
    return {}


@pytest.fixture
def tokens(clock: FakeClock, leases: Leased) -> FakeTokens:
    return FakeTokens(clock, leases)


@pytest.fixture
def gated(qlik: FakeQlik, clock: FakeClock, metrics: Metrics, budget: Budget) -> GatedQlik:
    """The tenant behind its budget, for the files that have one."""
    return GatedQlik(qlik, clock, metrics, budget=budget)


@pytest.fixture
def upstream(qlik: FakeQlik) -> Qlik:
    """The way to the tenant; files about the budget put `gated` in its place."""
    return qlik


@pytest.fixture
def rollouts(metrics: Metrics) -> Rollouts:
    return Rollouts(openfeature.get_client("nobody-answers"), metrics, may_block=False)


@pytest.fixture
def turn_back() -> TurnBack:
    """What sends away by memory alone; the file about the budget puts its own in its place."""
    return lambda *_: None


@pytest.fixture
def broker(
    upstream: Qlik,
    groups: GroupSync,
    *,
    rollouts: Rollouts,
    tokens: FakeTokens,
    tenants: FakeTenants,
    clock: FakeClock,
    metrics: Metrics,
    measures: Measures,
    turn_back: TurnBack,
) -> Broker:
    """A broker of the tenants that the file names."""
    return Broker(
        qlik=upstream,
        groups=groups,
        rollouts=rollouts,
        tokens=tokens,
        tenants=tenants,
        clock=clock,
        metrics=metrics,
        measures=measures,
        turn_back=turn_back,
    )


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def groups(
    upstream: Qlik, keys: FakeKeys, subjects: FakeSubjects, clock: FakeClock, metrics: Metrics, turn_back: TurnBack
) -> GroupSync:
    return GroupSync(upstream, Signer(keys, clock), subjects, clock, metrics, turn_back=turn_back)


@pytest.fixture
def measured() -> FakeMeasures:
    return FakeMeasures()


@pytest.fixture
def kept() -> FakeHistory:
    return FakeHistory()


@pytest.fixture
def history(kept: FakeHistory, clock: FakeClock, metrics: Metrics) -> History:
    return History(kept, clock, metrics, secret=b"salt")


@pytest.fixture
def measures(measured: FakeMeasures, history: History, clock: FakeClock, metrics: Metrics) -> Measures:
    return Measures(measured, clock, metrics, secret=b"salt", history=history)
