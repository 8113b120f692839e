"""The parts that most services need, in memory."""

import pytest
from fakes import FakeClock, FakeKeys, FakeMeasures, FakeQlik, FakeSubjects, FakeTokens

from bridge.services.groups import GroupSync
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
def tokens(clock: FakeClock) -> FakeTokens:
    return FakeTokens(clock)


@pytest.fixture
def groups(qlik: FakeQlik, subjects: FakeSubjects, clock: FakeClock, metrics: Metrics) -> GroupSync:
    return GroupSync(qlik, Signer(FakeKeys(), clock), subjects, clock, metrics)


@pytest.fixture
def measured() -> FakeMeasures:
    return FakeMeasures()


@pytest.fixture
def measures(measured: FakeMeasures, clock: FakeClock, metrics: Metrics) -> Measures:
    return Measures(measured, clock, metrics, secret=b"salt")
