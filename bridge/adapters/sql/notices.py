"""Notices on their way to webhooks, in SQL: a restart loses none."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, func, select, update

from bridge.adapters.sql.database import Database, upsert
from bridge.adapters.sql.tables import NOTICES
from bridge.webhooks import Notice


class SqlOutbox:
    """Implements ports.watching.Outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, now: float, *, limit: int) -> Sequence[Notice]:
        query = select(NOTICES).where(NOTICES.c.due_at <= now).order_by(NOTICES.c.due_at).limit(limit)
        with self._database.reading() as connection:
            return [Notice(**row) for row in connection.execute(query).mappings()]

    def claim(self, notice: Notice, *, until: float) -> bool:
        mine = (NOTICES.c.id == notice.id) & (NOTICES.c.to == notice.to) & (NOTICES.c.attempts == notice.attempts)
        claimed = update(NOTICES).where(mine).values(attempts=notice.attempts + 1, due_at=until)
        with self._database.writing() as connection:
            return bool(connection.execute(claimed).rowcount)

    def postpone(self, notice: Notice, *, until: float, problem: str) -> None:
        same = (NOTICES.c.id == notice.id) & (NOTICES.c.to == notice.to)
        with self._database.writing() as connection:
            connection.execute(update(NOTICES).where(same).values(due_at=until, problem=problem))

    def remove(self, notice: Notice) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(NOTICES).where((NOTICES.c.id == notice.id) & (NOTICES.c.to == notice.to)))

    def waiting(self, tenant: str) -> Sequence[Notice]:
        query = select(NOTICES).where(NOTICES.c.tenant == tenant).order_by(NOTICES.c.created_at, NOTICES.c.to)
        with self._database.reading() as connection:
            return [Notice(**row) for row in connection.execute(query).mappings()]

    def depths(self) -> Mapping[str, int]:
        query = select(NOTICES.c.tenant, func.count().label("waiting")).group_by(NOTICES.c.tenant)
        with self._database.reading() as connection:
            return {row.tenant: row.waiting for row in connection.execute(query)}


def put_notices(connection: Connection, notices: Sequence[Notice]) -> None:
    """Write what tells of a change in that change's own transaction, once by id and `to`."""
    for each in notices:
        connection.execute(upsert(connection, NOTICES).values(asdict(each)).on_conflict_do_nothing())
