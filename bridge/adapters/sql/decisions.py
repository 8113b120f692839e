"""The newest decision of another flag provider for each subject, in SQL."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, update

from bridge.adapters.sql.audit import append_event
from bridge.adapters.sql.database import Database, upsert
from bridge.adapters.sql.tables import DECISIONS
from bridge.decisions import Decision, NotedDecision
from bridge.model import AuditEvent, Path


class SqlDecisions:
    """Implements ports.DecisionStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: str, sub: str) -> NotedDecision | None:
        with self._database.reading() as connection:
            row = connection.execute(select(DECISIONS).where(_is(tenant, sub))).one_or_none()
        if row is None:
            return None
        decision = Decision(Path(row.path), row.reason, row.variant, row.provider)
        return NotedDecision(row.tenant, row.sub, decision, row.since)

    def note(self, noted: NotedDecision, *, instead_of: NotedDecision | None, event: AuditEvent | None) -> bool:
        with self._database.writing() as connection:
            if not _replace(connection, noted, instead_of):
                return False
            if event is not None:
                append_event(connection, event)
        return True


def _replace(connection: Connection, noted: NotedDecision, before: NotedDecision | None) -> bool:
    """Tell whether the row was as read before, and is the new one now."""
    facts: dict[str, Any] = {**noted.decision.document(), "since": noted.since}
    if before is None:
        row = {"tenant": noted.tenant, "sub": noted.sub, **facts}
        statement = upsert(connection, DECISIONS).values(row).on_conflict_do_nothing()
        return connection.execute(statement.returning(DECISIONS.c.sub)).first() is not None
    same = and_(_is(noted.tenant, noted.sub), _holds(before.decision))
    return connection.execute(update(DECISIONS).where(same).values(facts)).rowcount == 1


def _is(tenant: str, sub: str) -> ColumnElement[bool]:
    return and_(DECISIONS.c.tenant == tenant, DECISIONS.c.sub == sub)


def _holds(decision: Decision) -> ColumnElement[bool]:
    return and_(
        DECISIONS.c.path == decision.path.value,
        DECISIONS.c.variant.is_not_distinct_from(decision.variant),
        DECISIONS.c.provider == decision.provider,
    )
