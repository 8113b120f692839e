"""Rows that ended are removed in passing: no second process to run, and never in a caller's way."""

import threading

import structlog
from sqlalchemy import Column, Table, bindparam, delete, select

from bridge.adapters.sql.database import Database
from bridge.errors import StoreError

log = structlog.get_logger()

EVERY_S = 60.0
AT_ONCE = 500
"""Rows that one transaction removes: more would keep other writers of an SQLite file waiting."""


class Sweep:
    """Removes the rows of a table whose *column* (unix seconds) has passed, some at a time, once a minute.

    While there are more, each run removes some: rows that ended together do not end up in one long transaction.
    """

    def __init__(self, database: Database, table: Table, column: Column[float]) -> None:
        self._database = database
        self._table = table
        key = table.primary_key.columns[0]
        # Skipping locked rows, so that this never waits for a caller's transaction, nor that one for this.
        ended = select(key).where(column < bindparam("now")).order_by(column).limit(AT_ONCE)
        self._remove = delete(table).where(key.in_(ended.with_for_update(skip_locked=True)))
        self._due_at = 0.0
        self._guard = threading.Lock()

    def run(self, now: float) -> None:
        """Remove what ended before *now*; a failure is logged and left to the next time."""
        with self._guard:
            if now < self._due_at:
                return
            self._due_at = now + EVERY_S
        try:
            with self._database.writing() as connection:
                removed = connection.execute(self._remove, {"now": now}).rowcount
        except StoreError as failure:
            log.info("sweep_failed", table=self._table.name, detail=failure.detail)
            return
        if removed == AT_ONCE:
            self._due_at = 0.0
