"""One object with every store of one implementation, and how to build the real ones."""

from dataclasses import dataclass

from fakes import FakeClock

from bridge.adapters.cached import CachedSessions, CachedSubjects, CachedTenants, CachedTokens, RevisionWatch
from bridge.adapters.sql import (
    Database,
    SqlAssertionLedger,
    SqlAuditLog,
    SqlBudget,
    SqlDecisions,
    SqlHistory,
    SqlJwtUses,
    SqlMeasures,
    SqlOperatorTokens,
    SqlOutbox,
    SqlParity,
    SqlRenewals,
    SqlSessions,
    SqlSubjects,
    SqlTenants,
    SqlTokens,
)
from bridge.adapters.vault import Vault
from bridge.ports import (
    AssertionLedger,
    AuditLog,
    DecisionStore,
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
from bridge.ports.watching import HistoryStore, MeasureStore, Outbox


@dataclass(frozen=True, slots=True)
class Stores:
    """One implementation of every store port."""

    tenants: TenantStore
    subjects: SubjectStore
    tokens: TokenStore
    sessions: SessionStore
    ledger: AssertionLedger
    operators: OperatorTokens
    audit: AuditLog
    measures: MeasureStore
    history: HistoryStore
    outbox: Outbox
    decisions: DecisionStore
    jwt_uses: JwtUses
    parity: ParityStore
    budget: BudgetStore
    renewals: RenewalStore


def sql_stores(database: Database, vault: Vault, clock: FakeClock) -> Stores:
    return Stores(
        SqlTenants(database, vault),
        SqlSubjects(database),
        SqlTokens(database, vault, clock),
        SqlSessions(database),
        SqlAssertionLedger(database),
        SqlOperatorTokens(database),
        SqlAuditLog(database),
        SqlMeasures(database),
        SqlHistory(database),
        SqlOutbox(database),
        SqlDecisions(database),
        SqlJwtUses(database),
        SqlParity(database),
        SqlBudget(database),
        SqlRenewals(database),
    )


def cached_stores(database: Database, vault: Vault, clock: FakeClock) -> Stores:
    """Return what one process of the product uses."""
    sql = sql_stores(database, vault, clock)
    watch = RevisionWatch(database.revision, clock, database.whom)
    return Stores(
        CachedTenants(sql.tenants, watch),
        CachedSubjects(sql.subjects, watch),
        CachedTokens(sql.tokens, watch, clock),
        CachedSessions(sql.sessions, watch, clock),
        sql.ledger,
        sql.operators,
        sql.audit,
        sql.measures,
        sql.history,
        sql.outbox,
        sql.decisions,
        sql.jwt_uses,
        sql.parity,
        sql.budget,
        sql.renewals,
    )
