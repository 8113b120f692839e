"""The database, and all that is kept in it."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.adapters.cached import CachedSessions, CachedSubjects, CachedTenants, CachedTokens, RevisionWatch
from bridge.adapters.sql import (
    Database,
    SqlAssertionLedger,
    SqlAuditLog,
    SqlBudget,
    SqlDecisions,
    SqlHistory,
    SqlImpersonations,
    SqlJwtUses,
    SqlMeasures,
    SqlOperatorTokens,
    SqlOutbox,
    SqlParity,
    SqlRenewals,
    SqlSealedValues,
    SqlSessions,
    SqlSubjects,
    SqlTenants,
    SqlTokens,
    open_database,
)
from bridge.adapters.vault import Vault
from bridge.ports import (
    AssertionLedger,
    AuditLog,
    Clock,
    DecisionStore,
    Impersonations,
    JwtUses,
    OperatorTokens,
    ParityStore,
    SessionStore,
    SubjectStore,
    TenantStore,
    TokenStore,
)
from bridge.ports.budget import BudgetStore
from bridge.ports.renewals import RenewalStore
from bridge.ports.sealing import SealedValues
from bridge.ports.watching import HistoryStore, MeasureStore, Outbox
from bridge.settings import Settings
from bridge.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class Stores:
    """The database and all that is kept in it."""

    database: Database
    tenants: TenantStore
    subjects: SubjectStore
    tokens: TokenStore
    sessions: SessionStore
    operator_tokens: OperatorTokens
    audit: AuditLog
    decisions: DecisionStore
    jwt_uses: JwtUses
    impersonations: Impersonations
    ledger: AssertionLedger
    measures: MeasureStore
    history: HistoryStore
    outbox: Outbox
    parity: ParityStore
    budget: BudgetStore
    sealed: SealedValues
    state_age_s: Callable[[], float]
    renewals: RenewalStore


def open_stores(settings: Settings, clock: Clock, metrics: Metrics) -> Stores:
    """Open the database, upgrade it, and put the in-process copies in front."""
    database = open_database(settings.database_url, connections=settings.database_connections)
    most = settings.people_in_memory
    database.upgrade()
    vault = Vault([key.get_secret_value() for key in settings.encryption_keys])
    metrics.store_seen.set(clock())
    watch = RevisionWatch(database.revision, clock, database.whom, note_seen=metrics.store_seen.set)
    return Stores(
        database=database,
        tenants=CachedTenants(SqlTenants(database, vault), watch),
        subjects=CachedSubjects(SqlSubjects(database), watch, most=most),
        tokens=CachedTokens(SqlTokens(database, vault, clock), watch, clock, most=most),
        sessions=CachedSessions(SqlSessions(database), watch, clock, most=most),
        operator_tokens=SqlOperatorTokens(database),
        audit=SqlAuditLog(database),
        decisions=SqlDecisions(database),
        jwt_uses=SqlJwtUses(database),
        impersonations=SqlImpersonations(database),
        ledger=SqlAssertionLedger(database),
        measures=SqlMeasures(database),
        history=SqlHistory(database),
        outbox=SqlOutbox(database),
        parity=SqlParity(database),
        budget=SqlBudget(database),
        sealed=SqlSealedValues(database, vault),
        state_age_s=watch.age_s,
        renewals=SqlRenewals(database),
    )
