"""The durable store: SQLAlchemy over SQLite on one machine, PostgreSQL on several."""

from bridge.adapters.sql.audit import SqlAuditLog
from bridge.adapters.sql.budget import SqlBudget
from bridge.adapters.sql.database import Database
from bridge.adapters.sql.decisions import SqlDecisions
from bridge.adapters.sql.engine import open_database
from bridge.adapters.sql.history import SqlHistory
from bridge.adapters.sql.impersonations import SqlImpersonations
from bridge.adapters.sql.jwt_uses import SqlJwtUses
from bridge.adapters.sql.measures import SqlMeasures
from bridge.adapters.sql.notices import SqlOutbox
from bridge.adapters.sql.parity import SqlParity
from bridge.adapters.sql.records import SqlAssertionLedger, SqlOperatorTokens
from bridge.adapters.sql.renewals import SqlRenewals
from bridge.adapters.sql.sealing import SqlSealedValues
from bridge.adapters.sql.sessions import SqlSessions
from bridge.adapters.sql.subjects import SqlSubjects
from bridge.adapters.sql.tenants import SqlTenants
from bridge.adapters.sql.tokens import SqlTokens

__all__ = [
    "Database",
    "SqlAssertionLedger",
    "SqlAuditLog",
    "SqlBudget",
    "SqlDecisions",
    "SqlHistory",
    "SqlImpersonations",
    "SqlJwtUses",
    "SqlMeasures",
    "SqlOperatorTokens",
    "SqlOutbox",
    "SqlParity",
    "SqlRenewals",
    "SqlSealedValues",
    "SqlSessions",
    "SqlSubjects",
    "SqlTenants",
    "SqlTokens",
    "open_database",
]
