"""Wires what looks after the others: measures, guardrails, notices, shadow, and the chores of a process."""

from collections.abc import Callable
from typing import TypedDict

from bridge.adapters.keyfiles import KeyFiles
from bridge.adapters.qlik_directory import HttpDirectory
from bridge.adapters.webhook import HttpWebhooks
from bridge.bootstrap.guard import reach_of
from bridge.bootstrap.stores import Stores
from bridge.model import Identity, Tenant, TenantState
from bridge.ports import Clock
from bridge.services.budget import Budget
from bridge.services.bulkhead import Bulkhead
from bridge.services.gate import GatedDirectory, GatedQlik
from bridge.services.guardrails import Guardrails
from bridge.services.history import History
from bridge.services.keeper import Keeper
from bridge.services.measures import Measures
from bridge.services.notices import Notices
from bridge.services.parity import Parity
from bridge.services.rollout import Rollouts
from bridge.services.sessions import Sessions
from bridge.services.shadow import Shadow
from bridge.services.shadow_plan import ShadowPlans
from bridge.services.standings import Standings
from bridge.services.stragglers import Stragglers
from bridge.settings import Settings
from bridge.telemetry import Metrics

EVERY_SECOND = 1.0


class Shadows(TypedDict):
    """The parts of the bridge that try the new path before it is taken."""

    shadow: Shadow
    shadow_plans: ShadowPlans


def shadows(  # noqa: PLR0913 - what a trial takes, by name
    settings: Settings,
    stores: Stores,
    parity: Parity,
    qlik: GatedQlik,
    keys: KeyFiles,
    measures: Measures,
    *,
    clock: Clock,
    metrics: Metrics,
) -> Shadows:
    """Wire the trial: a comparison does the sync and the impersonation, and keeps its result."""

    def trial(state: TenantState, identity: Identity) -> str:
        return parity.compare(state.tenant.slug, identity).outcome.value

    def sample(tenant: Tenant) -> float:
        return tenant.parity.sample_percent

    shadow = Shadow(tenants=stores.tenants, trial=trial, sample=sample, clock=clock, metrics=metrics, measures=measures)
    return {
        "shadow": shadow,
        "shadow_plans": ShadowPlans(GatedDirectory(HttpDirectory(keys, clock, reach=reach_of(settings)), qlik), qlik),
    }


def notebooks(
    settings: Settings, stores: Stores, secret: bytes, *, clock: Clock, metrics: Metrics
) -> tuple[History, Measures, Budget]:
    """Return what notes that which happens: for long, for the windows of guardrails, and what it costs."""
    history = History(stores.history, clock, metrics, secret=secret)
    measures = Measures(stores.measures, clock, metrics, secret=secret, history=history)
    return history, measures, Budget(stores.budget, settings.limit, clock, metrics, stores.measures.tallies)


class WhoKeepsWatch(TypedDict):
    """The parts of the bridge that look after the others."""

    measures: Measures
    history: History
    budget: Budget
    bulkhead: Bulkhead
    guardrails: Guardrails
    notices: Notices
    keeper: Keeper
    state_age_s: Callable[[], float]


def who_keeps_watch(
    settings: Settings,
    stores: Stores,
    measures: Measures,
    history: History,
    budget: Budget,
    *,
    clock: Clock,
    metrics: Metrics,
) -> WhoKeepsWatch:
    notices = _notices(settings, stores, clock, metrics)
    guardrails = _guardrails(stores, notices, clock, metrics)
    keeper = _keeper(metrics, measures, history, guardrails, notices)
    keeper.beside(_slow_keeper(stores, clock, metrics))
    return {
        "measures": measures,
        "history": history,
        "budget": budget,
        "bulkhead": Bulkhead(settings.threads, metrics, is_alone=lambda: len(stores.tenants.all()) == 1),
        "guardrails": guardrails,
        "notices": notices,
        "keeper": keeper,
        "state_age_s": stores.state_age_s,
    }


def _guardrails(stores: Stores, notices: Notices, clock: Clock, metrics: Metrics) -> Guardrails:
    return Guardrails(
        tenants=stores.tenants,
        measures=stores.measures,
        audit=stores.audit,
        notices=notices,
        clock=clock,
        metrics=metrics,
    )


def _notices(settings: Settings, stores: Stores, clock: Clock, metrics: Metrics) -> Notices:
    return Notices(
        outbox=stores.outbox,
        sender=HttpWebhooks(reach=reach_of(settings)),
        tenants=stores.tenants,
        for_all=settings.notify,
        clock=clock,
        metrics=metrics,
    )


def _keeper(metrics: Metrics, measures: Measures, history: History, guardrails: Guardrails, notices: Notices) -> Keeper:
    """Return the chores of each process: a fault shows in the measures a second later, and is acted on within two."""
    keeper = Keeper(metrics)
    keeper.add("measures", EVERY_SECOND, measures.flush)
    keeper.add("guardrails", EVERY_SECOND, guardrails.watch)
    keeper.add("notices", EVERY_SECOND, notices.deliver_soon)
    keeper.add("history", EVERY_SECOND, history.flush)
    return keeper


def note_keeper(stragglers: Stragglers, rollouts: Rollouts, sessions: Sessions, metrics: Metrics) -> Keeper:
    """Return what writes notes one by one: on a thread of its own, because after an outage there may be many."""
    keeper = Keeper(metrics)
    keeper.add("jwt_uses", EVERY_SECOND, stragglers.flush)
    keeper.add("decisions", EVERY_SECOND, rollouts.flush)
    keeper.add("sessions", EVERY_SECOND, sessions.flush)
    return keeper


def _slow_keeper(stores: Stores, clock: Clock, metrics: Metrics) -> Keeper:
    """Return what looks at every tenant and sweeps: on a thread of its own, as it may take seconds."""
    standings = Standings(
        tenants=stores.tenants, parity=stores.parity, uses=stores.jwt_uses, history=stores.history, clock=clock
    )
    keeper = Keeper(metrics)
    keeper.add("standings", EVERY_SECOND, standings.look)
    return keeper
