"""Tokens of many people are ended: here at once, at the tenant at the pace of the budget."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest
from storykit import Tenant, wait_for

from bridge.bootstrap import Bridge
from bridge.cli.revoking import revoke_tokens
from bridge.model import Identity, IssuedToken, Stage, Subject
from bridge.services.stages import Move

REVOKE = "/oauth/revoke"
TWENTY = [f"user-{number}" for number in range(20)]


@pytest.fixture
def product(make_product: Callable[..., Bridge], sandbox: tuple[Tenant, Tenant]) -> Bridge:
    """A bridge whose budget is 20 calls in two seconds; 15 of them are the pre-warm lane's."""
    window = {"WINDOW_S": "2", "CALLS_PER_MINUTE": "600", "MARGIN_PERCENT": "0"}
    bridge = make_product(**{f"BRIDGE_BUDGET_{name}": value for name, value in window.items()})
    for stage in (Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH):
        bridge.stages.move("acme", Move(stage, "test", "story", force=True))
    sandbox[0].control("POST", "switches", {"tier_window_s": 2, "tier2_per_minute": 6000, "rate_identity": "shared"})
    return bridge


def issue(bridge: Bridge, *names: str) -> list[IssuedToken]:
    """Return the token of each, waiting for the budget where it is spent."""
    state, found = bridge.tenants.get("acme"), []
    for name in names:
        identity = Identity(Subject(name, name, f"{name}@example.com", frozenset()), "demo", "", time.time())
        wait_for(lambda: bridge.budget.state(state.tenant).left >= 2)
        found.append(bridge.broker.issue(state, identity))
    return found


def live(acme: Tenant) -> set[str]:
    return {each["token"] for each in acme.state()["tokens"] if not each["revoked"] and each["kind"] == "access"}


def test_a_bulk_revocation_waits_for_its_lane_and_meets_no_429(
    product: Bridge, sandbox: tuple[Tenant, Tenant], capsys: pytest.CaptureFixture[str]
) -> None:
    acme, held = sandbox[0], issue(product, *TWENTY)
    wait_for(lambda: product.budget.state(product.tenants.get("acme").tenant).left == 20)
    acme.control("POST", "switches", {"tier2_per_minute": 600})
    acme.forget_calls()

    ended = revoke_tokens(product, tenant="acme", subject=None, reason="story")

    assert ended.counts() == {"revoked": 20, "failed": 0, "left": 0}
    assert len(acme.calls(REVOKE)) == 20
    assert [call["status"] for call in acme.control("GET", "calls").json()].count(429) == 0
    assert not live(acme) & {each.value for each in held}
    assert "the pre-warm lane is spent" in capsys.readouterr().err
    labels = {"tenant": "acme", "lane": "pre_warm"}
    assert product.metrics.registry.get_sample_value("bridge_budget_calls_total", labels) == 20


def test_after_ctrl_c_the_rest_is_ended_and_nothing_newer(product: Bridge, sandbox: tuple[Tenant, Tenant]) -> None:
    acme, held = sandbox[0], issue(product, *TWENTY)
    acme.forget_calls()
    acme.control("POST", "faults", {"endpoint": REVOKE, "latency_ms": 30, "times": 1000})

    def interrupt() -> None:
        wait_for(lambda: len(acme.calls(REVOKE)) >= 3)
        os.kill(os.getpid(), signal.SIGINT)

    typing = threading.Thread(target=interrupt)
    typing.start()
    with pytest.raises(KeyboardInterrupt):
        revoke_tokens(product, tenant="acme", subject=None, reason="story")
    typing.join()

    event = product.audit.latest(tenant="acme", limit=1)[0]
    assert event.action == "tokens.revoke"
    assert event.after is not None
    done, left = event.after["revoked"], event.after["left"]
    assert (done + left, len(acme.calls(REVOKE))) == (20, done), "the call at hand was finished"
    assert left > 0
    (newer,) = issue(product, TWENTY[-1])
    assert newer.value not in {each.value for each in held}, "they were out of use at once"

    ended = revoke_tokens(product, tenant="acme", subject=None, reason="the rest", rest=True)

    assert ended.counts() == {"revoked": left, "failed": 0, "left": 0}
    assert live(acme) & {newer.value, *(each.value for each in held)} == {newer.value}
