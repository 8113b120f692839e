"""The parts that most services need, in memory."""

import pytest
from fakes import FakeClock, FakeKeys, FakeQlik, FakeSubjects, FakeTokens

from bridge.services.groups import GroupSync
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
