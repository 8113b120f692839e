"""A connection to PostgreSQL that gives up on a server that hangs: its machine still acknowledges what we send."""

import time
from typing import Any

from psycopg import Connection, OperationalError

ANSWER_S = 11.0
"""Longer than the server's own limit of a statement, which a server that hangs does not keep."""
NO_END_S = 1e7


class Impatient(Connection[Any]):
    """Waits so long for each answer; then it is closed, because nobody knows how far the server got."""

    answer_s = 0.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ANN401 - psycopg's own
        limit_s = timeout or self.answer_s or ANSWER_S
        ends = time.monotonic() + limit_s
        try:
            return super().wait(gen, interval, limit_s)
        except OperationalError:
            if time.monotonic() >= ends:
                self.close()
            raise


def connect(_dialect: object, _record: object, arguments: Any, named: Any) -> Impatient:  # noqa: ANN401 - SQLAlchemy's own
    """Take the place of SQLAlchemy's own connect."""
    return Impatient.connect(*arguments, **named)


def wait_without_end(connection: object) -> None:
    """Let this connection wait for as long as it takes: an upgrade may, for another one or for many rows."""
    if isinstance(connection, Impatient):
        connection.answer_s = NO_END_S
