"""Rows that ended are removed in passing: no second process to run, and never in a caller's way."""

import threading

import structlog
from sqlalchemy import Column, Table, delete, select

from bridge.adapters.sql.database import Database
from bridge.errors import StoreError

log = structlog.get_logger()

EVERY_S = 60.0


class Sweep:
    """Removes the rows of a table whose *column* (unix seconds) has passed, at most once a minute."""

    def __init__(self, database: Database, table: Table, column: Column[float]) -> None:
        self._database = database
        self._table = table
        self._column = column
        self._due_at = 0.0
        self._guard = threading.Lock()

    def run(self, now: float) -> None:
        """Remove what ended before *now*; a failure is logged and left to the next time."""
        with self._guard:
            if now < self._due_at:
                return
            self._due_at = now + EVERY_S
        key = self._table.primary_key.columns[0]
        # Skipping locked rows, so that this never waits for a caller's transaction, nor that one for this.
        ended = select(key).where(self._column < now).with_for_update(skip_locked=True)
        try:
            with self._database.writing() as connection:
                connection.execute(delete(self._table).where(key.in_(ended)))
        except StoreError as failure:
            log.info("sweep_failed", table=self._table.name, detail=failure.detail)
