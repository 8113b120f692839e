"""Whose token asks the engine, and what happens when the engine calls it dead."""

import pytest
from fakes import FakeApp, FakeClock, FakeEngine, FakeQlik, FakeTenants, FakeTokens
from openfeature import api as openfeature
from samples import identity, state

from bridge.adapters.flags import RolloutProvider
from bridge.errors import BadContent, StillOnJwt, TenantRefused, TenantUnavailable
from bridge.model import Hypercube, Stage, TenantState
from bridge.services.app_content import AppContent
from bridge.services.broker import Broker
from bridge.services.groups import GroupSync
from bridge.services.measures import Measures
from bridge.services.rollout import Rollouts
from bridge.telemetry import Metrics

CONTENT = {"app_id": "sales", "hypercube_dimension": "Product", "hypercube_measure": "Sum(Sales)"}
ALICE, BOB = identity("alice"), identity("bob")
DEAD = TenantRefused(status=401)


@pytest.fixture
def engine(qlik: FakeQlik) -> FakeEngine:
    return FakeEngine(qlik, sales=FakeApp(rows={"alice": [("Tea", "1")], "bob": [("Milk", "2")]}))


@pytest.fixture
def acme() -> TenantState:
    return state(Stage.OAUTH, content=CONTENT)


@pytest.fixture
def content(
    qlik: FakeQlik,
    groups: GroupSync,
    tokens: FakeTokens,
    clock: FakeClock,
    measures: Measures,
    engine: FakeEngine,
    acme: TenantState,
) -> AppContent:
    tenants = FakeTenants(acme)
    provider = RolloutProvider(tenants.all)
    openfeature.set_provider_and_wait(provider, domain := f"content-{id(provider)}")
    rollouts = Rollouts(openfeature.get_client(domain), Metrics(), may_block=False)
    broker = Broker(
        qlik=qlik,
        groups=groups,
        rollouts=rollouts,
        tokens=tokens,
        tenants=tenants,
        clock=clock,
        metrics=Metrics(),
        measures=measures,
    )
    return AppContent(engine, broker)


def test_the_engine_is_asked_with_each_persons_own_token(
    content: AppContent, acme: TenantState, engine: FakeEngine
) -> None:
    assert content.hypercube(acme, ALICE) == Hypercube(("Tea",), ("1",))
    assert content.hypercube(acme, BOB) == Hypercube(("Milk",), ("2",))
    assert content.sheets(acme, ALICE) == []
    assert engine.calls == [
        ("hypercube", "sales", "fake-token-1"),
        ("hypercube", "sales", "fake-token-2"),
        ("sheets", "sales", "fake-token-1"),
    ]


def test_a_person_on_jwt_is_not_asked_for(content: AppContent, engine: FakeEngine) -> None:
    with pytest.raises(StillOnJwt):
        content.sheets(state(Stage.LEGACY, content=CONTENT), ALICE)
    assert engine.calls == []


def test_a_dead_token_is_replaced_once(
    content: AppContent, acme: TenantState, engine: FakeEngine, qlik: FakeQlik
) -> None:
    content.sheets(acme, ALICE)
    qlik.revoked.add("fake-token-1")
    engine.calls.clear()

    assert content.hypercube(acme, ALICE).dimension == ("Tea",)
    assert [call[2] for call in engine.calls] == ["fake-token-1", "fake-token-2"]


def test_a_second_refusal_stands(content: AppContent, acme: TenantState, engine: FakeEngine, qlik: FakeQlik) -> None:
    content.sheets(acme, ALICE)
    qlik.revoked.add("fake-token-1")
    engine.fail["sheets"] = [DEAD, DEAD]
    engine.calls.clear()

    with pytest.raises(TenantRefused):
        content.sheets(acme, ALICE)
    assert [call[2] for call in engine.calls] == ["fake-token-1", "fake-token-2"]


def test_a_token_that_the_tenant_still_honours_is_not_tried_again(
    content: AppContent, acme: TenantState, engine: FakeEngine, qlik: FakeQlik
) -> None:
    engine.fail["sheets"] = [DEAD]

    with pytest.raises(TenantRefused):
        content.sheets(acme, ALICE)
    assert len(engine.calls) == 1
    assert qlik.names() == ["log_in", "mint", "whoami"]


@pytest.mark.parametrize("error", [TenantRefused(status=400), TenantUnavailable(), BadContent()])
def test_other_failures_are_not_about_the_token(
    content: AppContent, acme: TenantState, engine: FakeEngine, qlik: FakeQlik, error: Exception
) -> None:
    engine.fail["hypercube"] = [error]

    with pytest.raises(type(error)):
        content.hypercube(acme, ALICE)
    assert qlik.names() == ["log_in", "mint"]


@pytest.mark.parametrize("missing", list(CONTENT))
def test_what_is_not_set_is_named(content: AppContent, engine: FakeEngine, missing: str) -> None:
    unset = state(Stage.OAUTH, content=CONTENT | {missing: ""})

    with pytest.raises(BadContent, match=f"content.{missing}`"):
        content.hypercube(unset, ALICE)
    assert engine.calls == []
