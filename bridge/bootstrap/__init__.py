"""The only place that names concrete adapters: Settings -> Bridge."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from bridge.adapters.access import HttpAccess
from bridge.adapters.engine import WebSocketEngine
from bridge.adapters.flags import builtin_flags, foreign_flags
from bridge.adapters.jwks import Jwks
from bridge.adapters.keyfiles import KeyFiles
from bridge.adapters.oidc import OidcProvider
from bridge.adapters.qlik import HttpQlik
from bridge.adapters.qlik_events import HttpTenantEvents
from bridge.adapters.qlik_setup import HttpTenantSetUp
from bridge.adapters.reach import Reach
from bridge.adapters.sandbox_people import SandboxPeople
from bridge.bootstrap.ahead import ahead_of_need
from bridge.bootstrap.guard import reach_of, tenant_guard
from bridge.bootstrap.stores import Stores, open_stores
from bridge.bootstrap.watching import EVERY_SECOND, note_keeper, notebooks, shadows, who_keeps_watch
from bridge.ports import (
    AssertionLedger,
    AuditLog,
    Clock,
    KeySet,
    People,
    Probe,
    SignInProvider,
    TenantStore,
)
from bridge.services.app_content import AppContent
from bridge.services.broker import Broker
from bridge.services.budget import Budget
from bridge.services.bulkhead import Bulkhead
from bridge.services.decisions import Decisions
from bridge.services.doctor import Doctor
from bridge.services.doctor_case import Tools
from bridge.services.forecast import MOST_READ
from bridge.services.gate import GatedAccess, GatedEngine, GatedEvents, GatedQlik, GatedSetUp
from bridge.services.groups import GroupSync
from bridge.services.guardrails import Guardrails
from bridge.services.history import History
from bridge.services.impersonations import ImpersonationJoin
from bridge.services.jwt_sessions import JwtSessions
from bridge.services.keeper import Keeper
from bridge.services.kills import Kills
from bridge.services.legacy import LegacyJwts
from bridge.services.lookup import Lookup
from bridge.services.measures import Measures
from bridge.services.notices import Notices
from bridge.services.operators import Operators
from bridge.services.parity import Parity
from bridge.services.parity_baselines import Baselines
from bridge.services.parity_conditions import parity_conditions
from bridge.services.parity_look import Looks
from bridge.services.parity_people import Roster
from bridge.services.prewarm import Prewarm
from bridge.services.ramps import Ramps
from bridge.services.renewals import Renewals
from bridge.services.retirement import Retirements
from bridge.services.rollout import Rollouts
from bridge.services.sealing import Resealing
from bridge.services.sessions import Sessions
from bridge.services.shadow import Shadow
from bridge.services.shadow_plan import ShadowPlans
from bridge.services.signer import Signer
from bridge.services.stages import Condition, Stages
from bridge.services.stragglers import Stragglers
from bridge.services.tenant_changes import TenantChanges
from bridge.services.tenants import Tenants
from bridge.settings import Settings
from bridge.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class Bridge:
    """Everything that lives as long as the process; web and command line share it."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    tenants: TenantStore
    rollouts: Rollouts
    broker: Broker
    app_content: AppContent
    legacy: LegacyJwts
    stragglers: Stragglers
    retirements: Retirements
    impersonations: ImpersonationJoin
    parity: Parity
    roster: Roster
    stages: Stages
    ramps: Ramps
    kills: Kills
    doctor: Doctor
    declared: Tenants
    tenant_changes: TenantChanges
    lookup: Lookup
    sessions: Sessions
    operators: Operators
    audit: AuditLog
    ledger: AssertionLedger
    keys: KeyFiles
    assertion_keys: KeySet | None
    oidc: SignInProvider | None
    people: People | None
    probes: Sequence[Probe]
    measures: Measures
    history: History
    budget: Budget
    bulkhead: Bulkhead
    guardrails: Guardrails
    notices: Notices
    shadow: Shadow
    shadow_plans: ShadowPlans
    keeper: Keeper
    resealing: Resealing
    state_age_s: Callable[[], float]
    renewals: Renewals
    prewarm: Prewarm
    close_database: Callable[[], None]

    def close(self) -> None:
        """End the background threads and let go of the database's connections; the next use begins anew."""
        self.keeper.close()
        self.shadow.close()
        self.notices.close()
        self.measures.close()
        self.history.close()
        self.renewals.close()
        self.stragglers.close()
        self.rollouts.close()
        self.sessions.close()
        self.close_database()


def build(settings: Settings, *, clock: Clock = time.time) -> Bridge:
    """Wire the product. Raises ConfigError for what cannot work, StoreError when the database is away."""
    stores, keys = open_stores(settings, clock, metrics := Metrics()), KeyFiles(settings.keys_dir)
    history, measures, budget = notebooks(settings, stores, _secret(settings), clock=clock, metrics=metrics)
    qlik, engine, access = _upstream(keys, clock, metrics, measures, budget, reach_of(settings))
    signer = Signer(keys, clock)
    groups = GroupSync(qlik, signer, stores.subjects, clock, metrics, turn_back=budget.turn_back)
    rollouts = _rollouts(settings, stores, metrics, clock)
    broker = _broker(stores, qlik, groups, rollouts, measures, budget, clock=clock, metrics=metrics)
    trail = _trail(stores, keys, clock, metrics, reach_of(settings))
    looks = Looks(access, _secret(settings))
    proof = _proof(stores, looks, groups, rollouts, broker, measures, clock=clock, metrics=metrics)
    doctor = _doctor(settings, stores, qlik, keys, budget, metrics=metrics, clock=clock)
    watch = who_keeps_watch(settings, stores, measures, history, budget, clock=clock, metrics=metrics)
    who = _who_is_asking(settings, stores, clock)
    watch["keeper"].beside(note_keeper(trail["stragglers"], rollouts, who["sessions"], metrics))
    watched = [trail["retirements"].conditions, watch["guardrails"].conditions]
    conditions = [doctor.conditions, *parity_conditions(proof["parity"]), *watched]
    return Bridge(
        settings=settings,
        clock=clock,
        metrics=metrics,
        tenants=stores.tenants,
        rollouts=rollouts,
        broker=broker,
        app_content=AppContent(engine, broker),
        legacy=LegacyJwts(signer, groups, metrics),
        **_plan(settings, stores, keys, conditions, watch["keeper"], clock=clock, metrics=metrics),
        doctor=doctor,
        **proof,
        **_for_operators(settings, stores, keys, rollouts, clock),
        **shadows(settings, stores, proof["parity"], qlik, keys, measures, clock=clock, metrics=metrics),
        keys=keys,
        **who,
        **trail,
        probes=[stores.database, keys, *filter(None, [who["assertion_keys"]])],
        **watch,
        **ahead_of_need(settings, stores, groups, broker, rollouts, watch, clock=clock, metrics=metrics),
        close_database=stores.database.close,
    )


class _Proof(TypedDict):
    """The parts of the bridge that prove what people get."""

    parity: Parity
    roster: Roster


def _proof(  # noqa: PLR0913 - what it takes to compare, by name
    stores: Stores,
    looks: Looks,
    groups: GroupSync,
    rollouts: Rollouts,
    broker: Broker,
    measures: Measures,
    *,
    clock: Clock,
    metrics: Metrics,
) -> _Proof:
    parity = Parity(
        looks=looks,
        baselines=Baselines(looks, groups, rollouts, stores.parity, clock),
        broker=broker,
        tenants=stores.tenants,
        store=stores.parity,
        clock=clock,
        metrics=metrics,
        measures=measures,
    )
    return {"parity": parity, "roster": Roster(stores.subjects, clock)}


class _Trail(TypedDict):
    """The parts of the bridge that know what happened."""

    audit: AuditLog
    stragglers: Stragglers
    retirements: Retirements
    impersonations: ImpersonationJoin


def _trail(stores: Stores, keys: KeyFiles, clock: Clock, metrics: Metrics, reach: Reach) -> _Trail:
    events = GatedEvents(HttpTenantEvents(keys, clock, reach=reach), clock, metrics)
    return {
        "audit": stores.audit,
        "stragglers": Stragglers(stores.jwt_uses, clock, metrics),
        "retirements": Retirements(stores.jwt_uses, JwtSessions(events, clock), clock),
        "impersonations": ImpersonationJoin(stores.impersonations, events, clock),
    }


class _WhoIsAsking(TypedDict):
    """The parts of the bridge that know people and operators."""

    sessions: Sessions
    operators: Operators
    ledger: AssertionLedger
    assertion_keys: Jwks | None
    oidc: OidcProvider | None
    people: People | None


def _who_is_asking(settings: Settings, stores: Stores, clock: Clock) -> _WhoIsAsking:
    return {
        "sessions": Sessions(stores.sessions, clock),
        "operators": Operators(settings.grants(), stores.operator_tokens, stores.audit, clock),
        "ledger": stores.ledger,
        "assertion_keys": Jwks(settings.assertion_jwks, clock) if settings.assertion_jwks else None,
        "oidc": OidcProvider(settings.oidc_issuer, clock) if settings.oidc_issuer else None,
        "people": SandboxPeople(settings.demo_people, clock) if settings.demo_people else None,
    }


def _doctor(
    settings: Settings,
    stores: Stores,
    qlik: GatedQlik,
    keys: KeyFiles,
    budget: Budget,
    *,
    metrics: Metrics,
    clock: Clock,
) -> Doctor:
    tools = Tools(
        set_up=GatedSetUp(HttpTenantSetUp(keys, clock, reach=reach_of(settings)), clock, metrics),
        qlik=qlik,
        signer=Signer(keys, clock),
        keys=keys,
        subjects=stores.subjects,
        clock=clock,
        public_url=settings.public_url,
        budget=budget,
    )
    return Doctor(stores.tenants, tools)


def _for_operators(
    settings: Settings, stores: Stores, keys: KeyFiles, rollouts: Rollouts, clock: Clock
) -> dict[str, Any]:
    """Return the two ways of changing tenants (by a file, by the console or the API), look-up and change of key."""
    declared = Tenants(stores.tenants, keys, clock, tenant_guard(settings))
    return {
        "declared": declared,
        "tenant_changes": TenantChanges(stores.tenants, declared),
        "lookup": Lookup(stores.subjects, stores.tokens, stores.decisions, rollouts),
        "resealing": Resealing(stores.sealed, stores.audit, clock),
    }


def _secret(settings: Settings) -> bytes:
    return settings.secret_key.get_secret_value().encode()


def _upstream(
    keys: KeyFiles, clock: Clock, metrics: Metrics, measures: Measures, budget: Budget, reach: Reach
) -> tuple[GatedQlik, GatedEngine, GatedAccess]:
    """Return the ways to a tenant; they share connections, and what is known of its limits."""
    wire, sockets = HttpQlik(keys, clock, reach=reach), WebSocketEngine(clock, reach=reach)
    qlik = GatedQlik(wire, clock, metrics, measures.note_call, budget)
    engine = GatedEngine(sockets, clock, metrics)
    return qlik, engine, GatedAccess(HttpAccess(wire, sockets), qlik, engine)


def _broker(  # noqa: PLR0913 - what a broker takes
    stores: Stores,
    qlik: GatedQlik,
    groups: GroupSync,
    rollouts: Rollouts,
    measures: Measures,
    budget: Budget,
    *,
    clock: Clock,
    metrics: Metrics,
) -> Broker:
    return Broker(
        qlik=qlik,
        groups=groups,
        rollouts=rollouts,
        tokens=stores.tokens,
        tenants=stores.tenants,
        clock=clock,
        metrics=metrics,
        measures=measures,
        turn_back=budget.turn_back,
    )


class _Plan(TypedDict):
    """The parts of the bridge that say who is on which path."""

    stages: Stages
    ramps: Ramps
    kills: Kills


def _plan(
    settings: Settings,
    stores: Stores,
    keys: KeyFiles,
    conditions: Sequence[Condition],
    keeper: Keeper,
    *,
    clock: Clock,
    metrics: Metrics,
) -> _Plan:
    """Return the stages with their conditions; nobody can say here whom another flag provider would move."""
    ours = settings.flags == "builtin"
    known = partial(stores.subjects.known, most=MOST_READ)
    stages = Stages(stores.tenants, keys, clock, metrics, conditions, known, ours=ours, limit=settings.limit)
    ramps = Ramps(stores.tenants, stages, clock, metrics, ours=ours)
    patient = Keeper(metrics)  # on a thread of its own: before a step a ramp examines its tenant, which may hang
    patient.add("ramps", EVERY_SECOND, ramps.run_due)
    keeper.beside(patient)
    return {"stages": stages, "ramps": ramps, "kills": Kills(stores.tenants, stages, clock)}


def _rollouts(settings: Settings, stores: Stores, metrics: Metrics, clock: Clock) -> Rollouts:
    """Return what asks the flag. What another provider decides is noted, because it leaves no trace here."""
    own = builtin_flags(stores.tenants.all)
    if settings.flags == "builtin":
        return Rollouts(own, metrics, may_block=False)
    decisions = Decisions(stores.decisions, clock, metrics)
    return Rollouts(foreign_flags(settings.flags), metrics, may_block=True, decisions=decisions, own=own)


def key_files(folder: Path) -> KeyFiles:
    """Return the keys alone, for the commands that come before any other setting."""
    return KeyFiles(folder)
