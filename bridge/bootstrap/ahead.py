"""Wires what is done before people ask for it: renewals in the background, and the night before by command."""

from typing import TypedDict

from bridge.bootstrap.stores import Stores
from bridge.bootstrap.watching import EVERY_SECOND, WhoKeepsWatch
from bridge.ports import Clock
from bridge.services.broker import Broker
from bridge.services.groups import GroupSync
from bridge.services.keeper import Keeper
from bridge.services.prewarm import Prewarm
from bridge.services.renewals import EVERY_S, Renewals
from bridge.services.rollout import Rollouts
from bridge.settings import Settings
from bridge.telemetry import Metrics

MINUTE_S = 60


class Ahead(TypedDict):
    """The parts of the bridge that are ahead of need."""

    renewals: Renewals
    prewarm: Prewarm


def ahead_of_need(  # noqa: PLR0913 - what it takes to issue, by name
    settings: Settings,
    stores: Stores,
    groups: GroupSync,
    broker: Broker,
    rollouts: Rollouts,
    watch: WhoKeepsWatch,
    *,
    clock: Clock,
    metrics: Metrics,
) -> Ahead:
    renewals = Renewals(
        store=stores.renewals,
        tenants=stores.tenants,
        subjects=stores.subjects,
        broker=broker,
        rollouts=rollouts,
        budget=watch["budget"],
        measures=watch["measures"],
        clock=clock,
        metrics=metrics,
        ahead_s=settings.renewal_ahead_minutes * MINUTE_S,
        seen_s=settings.renewal_seen_minutes * MINUTE_S,
    )
    patient = Keeper(metrics)  # on a thread of its own: a tenant that is slow holds up nobody else's chores
    patient.add("seen", EVERY_SECOND, renewals.flush)
    patient.add("renewals", EVERY_S, renewals.run)
    watch["keeper"].beside(patient)
    prewarm = Prewarm(tenants=stores.tenants, groups=groups, broker=broker, rollouts=rollouts, clock=clock)
    return {"renewals": renewals, "prewarm": prewarm}
