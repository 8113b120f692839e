"""What all workers share, read anew for a scrape. What cannot be read is left out: an old number would mislead."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from bridge.bootstrap import Bridge
from bridge.errors import StoreError
from bridge.gauges import Labels, SharedGauge
from bridge.model import TenantState
from bridge.services.guardrails import ACTOR as GUARDRAIL
from bridge.trail import RAMP

Values = Mapping[Labels, float]


def look(bridge: Bridge) -> None:
    """Bring every shared gauge up to date."""
    metrics = bridge.metrics
    _tell(metrics.killed, lambda: _killed(bridge))
    _tell(metrics.ramp_paused, lambda: _paused(bridge))
    _tell(metrics.certificate_ends, lambda: _certificates(bridge))
    _tell(metrics.outbox, lambda: _outbox(bridge))
    _budgets(bridge)


def _tell(gauge: SharedGauge, read: Callable[[], Values]) -> None:
    try:
        values = read()
    except (StoreError, OSError):
        values = {}
    gauge.tell(values)


def _states(bridge: Bridge) -> list[tuple[str, TenantState]]:
    return list(bridge.tenants.all().items())


def _killed(bridge: Bridge) -> Values:
    return {(slug,): state.is_killed for slug, state in _states(bridge)}


def _paused(bridge: Bridge) -> Values:
    """Tell which ramps stand still; who a person is stays out of metrics."""
    pauses = {slug: state.rollout.ramp.pause for slug, state in _states(bridge) if state.rollout.ramp}
    by = {
        slug: pause.actor if pause.actor in {GUARDRAIL, RAMP} else "person" for slug, pause in pauses.items() if pause
    }
    return dict.fromkeys(by.items(), 1)


def _certificates(bridge: Bridge) -> Values:
    ends = {each.name: each.expires for each in bridge.keys.list() if each.expires}
    used = ((slug, name) for slug, state in _states(bridge) for name in state.tenant.key_files() if name in ends)
    return {(slug, name): datetime.fromisoformat(ends[name]).replace(tzinfo=UTC).timestamp() for slug, name in used}


def _outbox(bridge: Bridge) -> Values:
    waiting = bridge.notices.depths()
    return {(slug,): waiting.get(slug, 0) for slug, _ in _states(bridge)}


def _budgets(bridge: Bridge) -> None:
    metrics = bridge.metrics
    found: dict[SharedGauge, dict[Labels, float]] = {
        gauge: {} for gauge in (metrics.budget_left, metrics.budget_size, metrics.budget_frozen)
    }
    with suppress(StoreError):
        for each in bridge.budget.states([state.tenant for _, state in _states(bridge)]):
            slug = (each.account.tenant,)
            found[metrics.budget_left][slug] = each.left
            found[metrics.budget_size][slug] = each.book.limit.budget
            found[metrics.budget_frozen][slug] = each.frozen_s
    for gauge, values in found.items():
        gauge.tell(values)
