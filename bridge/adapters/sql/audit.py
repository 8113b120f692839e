"""The audit in SQL. Nothing here changes or removes a row; the database itself would refuse it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, select, true

from bridge.adapters.sql.database import Database
from bridge.adapters.sql.tables import AUDIT, BEGINS_ANEW
from bridge.model import AuditEvent
from bridge.telemetry import credentials_masked
from bridge.trail import AuditEntry, AuditFilter

STRIDE = 1000
"""So many entries are read at a time: few queries, and little memory."""


def append_event(connection: Connection, event: AuditEvent) -> None:
    """Write the record of a change in that change's own transaction."""
    # A secret that somebody typed as a reason could never be removed again; `before` and `after` repeat some reasons.
    connection.execute(AUDIT.insert().values(credentials_masked(asdict(event))))


class SqlAuditLog:
    """Implements ports.AuditLog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, event: AuditEvent) -> None:
        with self._database.writing() as connection:
            append_event(connection, event)

    def latest(self, *, tenant: str | None = None, limit: int = 100) -> Sequence[AuditEvent]:
        return [entry.event for entry in self.page(AuditFilter(tenant=tenant), limit=limit)]

    def last_change(self, tenant: str | None) -> AuditEvent | None:
        query = select(AUDIT).where(BEGINS_ANEW, AUDIT.c.tenant == tenant).order_by(AUDIT.c.id.desc()).limit(1)
        return next((entry.event for entry in self._read(query)), None)

    def page(self, asked: AuditFilter, *, before: int | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        query = select(AUDIT).where(_matches(asked)).order_by(AUDIT.c.id.desc()).limit(limit)
        return self._read(query if before is None else query.where(AUDIT.c.id < before))

    def walk(self, asked: AuditFilter) -> Iterator[AuditEntry]:
        """Read on where the last stride ended: a slow reader then holds nothing open in between."""
        query, last = select(AUDIT).where(_matches(asked)).order_by(AUDIT.c.id).limit(STRIDE), 0
        while stride := self._read(query.where(AUDIT.c.id > last)):
            yield from stride
            last = stride[-1].id

    def _read(self, query: Select[Any]) -> Sequence[AuditEntry]:
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]


def _matches(asked: AuditFilter) -> ColumnElement[bool]:
    wanted = [AUDIT.c[name] == value for name, value in _named(asked).items() if value is not None]
    if asked.since is not None:
        wanted.append(AUDIT.c.at >= asked.since)
    if asked.until is not None:
        wanted.append(AUDIT.c.at < asked.until)
    return and_(true(), *wanted)


def _named(asked: AuditFilter) -> dict[str, str | None]:
    return {"tenant": asked.tenant, "actor": asked.actor, "action": asked.action}


def _entry(row: RowMapping) -> AuditEntry:
    fields = dict(row)
    return AuditEntry(fields.pop("id"), AuditEvent(**fields))
