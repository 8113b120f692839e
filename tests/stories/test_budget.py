"""Many people at once, two workers, and a tenant that would not forgive one call too many."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest
from storykit import Tenant

from bridge.bootstrap import Bridge, build
from bridge.budgeting import Lane
from bridge.errors import BudgetSpent, TenantThrottled
from bridge.model import Identity, Stage, Subject
from bridge.services.stages import Move

WINDOW_S = 10
LIMIT = 60
BUDGET = 54
MOST_TRIES = 50
LOGIN, MINT = "/login/jwt-session", "/oauth/token"


def person(name: str) -> Identity:
    return Identity(Subject(name, name.title(), f"{name}@example.com", frozenset()), "demo", "", time.time())


@pytest.fixture
def acme(sandbox: tuple[Tenant, Tenant]) -> Iterator[Tenant]:
    """Acme with a short window that counts logins and tokens together."""
    acme = sandbox[0]
    yield acme
    acme.control("POST", "reset")


@pytest.fixture
def workers(make_product: Callable[..., Bridge], acme: Tenant) -> Iterator[list[Bridge]]:
    a_minute = LIMIT * 60 // WINDOW_S
    ours = {
        "BRIDGE_BUDGET_WINDOW_S": str(WINDOW_S),
        "BRIDGE_BUDGET_CALLS_PER_MINUTE": str(a_minute),
        "BRIDGE_BUDGET_MARGIN_PERCENT": "10",
    }
    first = make_product(**ours)
    bridges = [first, build(first.settings)]
    for stage in (Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH):
        bridges[0].stages.move("acme", Move(stage, "test", "story", force=True))
    switches = {"tier_window_s": WINDOW_S, "tier2_per_minute": a_minute, "rate_identity": "shared"}
    acme.control("POST", "switches", switches | {"tenant_rate_limit": "off"})
    acme.control("DELETE", "calls")
    yield bridges
    bridges[1].close()


def test_a_rush_uses_the_budget_and_never_meets_a_429(workers: list[Bridge], acme: Tenant) -> None:
    """Twice as many people as a window admits: half of them are served at once, half when the window has passed."""
    waits: list[float] = []

    def open_page(number: int) -> None:
        bridge = workers[number % 2]
        state, identity = bridge.tenants.get("acme"), person(f"p{number}")
        for _ in range(MOST_TRIES):
            try:
                bridge.broker.issue(state, identity)
            except BudgetSpent as spent:
                waits.append(spent.retry_after_s or 0)
                time.sleep(spent.retry_after_s or 0)
            else:
                break

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_page, range(BUDGET)))

    calls = [call for call in acme.control("GET", "calls").json() if call["path"] in {LOGIN, MINT}]
    times = sorted(call["time"] for call in calls)
    assert [call["status"] for call in calls].count(429) == 0
    assert len(calls) == 2 * BUDGET
    # A call leaves the window, and the next one comes: so long after, in the middle, as the budget is used.
    assert median(later - call for call, later in zip(times, times[BUDGET:], strict=False)) <= WINDOW_S / 0.9
    assert waits
    assert max(waits) <= WINDOW_S * 1.05
    assert workers[0].budget.state(workers[0].tenants.get("acme").tenant).throttled == 0


def test_a_retry_after_stops_the_other_worker_too(workers: list[Bridge], acme: Tenant) -> None:
    state = workers[0].tenants.get("acme")
    acme.control("POST", "faults", {"endpoint": MINT, "status": 429, "retry_after": 60, "times": 1})
    with pytest.raises(TenantThrottled):
        workers[0].broker.issue(state, person("alice"))
    asked = len(acme.calls(LOGIN, MINT))

    with pytest.raises(TenantThrottled) as refusal:
        workers[1].broker.issue(state, person("bob"))
    assert 50 < (refusal.value.retry_after_s or 0) <= 60
    assert len(acme.calls(LOGIN, MINT)) == asked
    assert 50 < workers[1].budget.state(state.tenant).frozen_s <= 60


def test_evidence_gets_nothing_while_pages_wait(workers: list[Bridge]) -> None:
    state = workers[0].tenants.get("acme")
    for _ in range(BUDGET):
        workers[0].budget.spend(state.tenant)
    with pytest.raises(BudgetSpent) as page:
        workers[0].broker.issue(state, person("alice"))

    with pytest.raises(BudgetSpent) as refusal:
        workers[1].parity.compare("acme", person("bob"))
    assert refusal.value.lane == Lane.SHADOW
    assert (refusal.value.retry_after_s or 0) > (page.value.retry_after_s or 0)
