"""The parts that most services need, in memory."""

import pytest
from fakes import FakeClock, FakeHistory, FakeKeys, FakeMeasures, FakeQlik, FakeSubjects, FakeTokens, Leased

from bridge.services.groups import GroupSync
from bridge.services.history import History
from bridge.services.measures import Measures
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
def groups(qlik: FakeQlik, subjects: FakeSubjects, clock: FakeClock, metrics: Metrics) -> GroupSync:
    return GroupSync(qlik, Signer(FakeKeys(), clock), subjects, clock, metrics)


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
