"""The database as a whole: transactions, errors in our own words, upgrades, the revision counter."""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, Executable, Table, delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bridge import deadline
from bridge.adapters.sql.migrations import HEAD
from bridge.adapters.sql.tables import CHANGES, REVISION
from bridge.errors import StoreError

PORTION = 1_000

CHANGES_KEPT = 1_000
"""A worker that missed more than so many changes forgets everybody."""

PATIENCE_S = 2.0
"""How long a statement waits for another one's lock before it gives up."""

T = TypeVar("T")


class Database:
    """An engine with manners. Every method but `close` raises StoreError, without parameters in its text."""

    name = "database"

    def __init__(self, engine: Engine, path: Path | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self._engine = engine
        self._path = path
        self._patience_s = patience_s
        self._turn = _Turns(patience_s) if path else nullcontext()
        outside = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else {}
        self._looking = engine.execution_options(**outside)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection; nothing is written. Refused when nobody waits for the answer any more."""
        if deadline.left_s() < -deadline.SPARE_S:
            raise StoreError(detail="no time left to read; the database is slow")
        with _in_our_words(), self._engine.connect() as connection:
            _on_sqlite(connection, "BEGIN")
            yield connection

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """Lend a connection for one question: without a transaction, which costs as much as the question."""
        with _in_our_words(), self._looking.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a connection in one transaction, committed at the end."""
        with self._turn as left_s, _in_our_words(), self._engine.begin() as connection:
            if left_s is None:
                _on_sqlite(connection, "BEGIN IMMEDIATE")
            else:
                self._begin_soon(connection, left_s)
            yield connection

    def _begin_soon(self, connection: Connection, left_s: float) -> None:
        """Wait no longer for another process's lock than patience is left after waiting for our own threads."""
        _on_sqlite(connection, f"PRAGMA busy_timeout = {left_s * 1000:.0f}")
        try:
            _on_sqlite(connection, "BEGIN IMMEDIATE")
        finally:
            _on_sqlite(connection, f"PRAGMA busy_timeout = {self._patience_s * 1000:.0f}")

    def upgrade(self) -> None:
        """Bring the tables to this version's shape; a second process that starts at once waits for the first."""
        if self._is_of_today():
            return
        from bridge.adapters.sql.upgrade import upgrade  # noqa: PLC0415 - 11 MB that a worker seldom needs

        with self._one_at_a_time(), self.writing() as connection:
            upgrade(connection)
        self.close()  # that connection has no time limits

    def _is_of_today(self) -> bool:
        with suppress(StoreError), self.looking() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
        return False

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Hold a lock file beside an SQLite file; PostgreSQL has a lock of its own."""
        if self._path is None:
            yield
            return
        with _lock_file(self._path.with_name(f"{self._path.name}.lock")):
            yield

    def check(self) -> None:
        """Prove that something could be written; nothing is. Raises StoreError when that fails."""
        if self._path is not None and not self._path.exists():
            raise StoreError(detail=f"the database file {self._path} is gone")
        with self.writing() as connection, connection.begin_nested() as attempt:
            connection.execute(update(REVISION).values(counter=REVISION.c.counter))
            attempt.rollback()

    def revision(self) -> int:
        """Return the counter that grows with each change other processes must see at once."""
        with self.looking() as connection:
            counter: int = connection.execute(select(REVISION.c.counter)).scalar_one()
        return counter

    def whom(self, since: int, until: int) -> Collection[str] | None:
        """Return whom the changes after one revision, up to another, were about; None where nobody can say."""
        if not 0 < until - since <= CHANGES_KEPT:
            return None
        these = CHANGES.c.revision.between(since + 1, until)
        with self.looking() as connection:
            people = connection.execute(select(CHANGES.c.sub).where(these)).scalars().all()
        return set(people) if len(people) == until - since else None

    def close(self) -> None:
        """Close every idle connection; the next use opens a new one. For a process that forks."""
        self._engine.dispose()


class _Turns:
    """Lets one thread of this process after the other write to an SQLite file.

    SQLite would let all of them try again and again, each more seldom the longer it waits, so that in a crowd those
    who came first give up.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._mine = threading.Lock()

    def __enter__(self) -> float | None:
        """Return how much patience is left, in seconds; None where there was nobody to wait for."""
        if self._mine.acquire(blocking=False):
            return None
        began = time.monotonic()
        if not self._mine.acquire(timeout=self._patience_s):
            raise StoreError(detail=f"others have been writing to the database for {self._patience_s:g} s")
        return max(0.0, self._patience_s - (time.monotonic() - began))

    def __exit__(self, *_: object) -> None:
        self._mine.release()


def _on_sqlite(connection: Connection, words: str) -> None:
    """Say so to SQLite alone: a transaction that asks for its write lock later fails instead of waiting.

    No listener of SQLAlchemy's does this: with a single one on an engine, each of its statements takes a fifth longer.
    """
    if connection.dialect.name == "sqlite":
        try:
            connection.connection.cursor().execute(words)
        except sqlite3.Error as error:
            raise OperationalError(words, None, error) from error


@contextmanager
def _lock_file(path: Path) -> Iterator[None]:
    try:
        file = path.open("wb")
    except OSError as error:
        raise StoreError(detail=f"cannot write {path}: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file gives it back
        yield


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Translate; the original is cut off, because a database's own text may quote what it was given."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(detail=_explained(error)) from None
    except UnicodeEncodeError:
        raise StoreError(detail="a text that has no UTF-8 form cannot be stored") from None


def _explained(error: SQLAlchemyError) -> str:
    if isinstance(error, PoolTimeout):
        return "every connection to the database is in use; see BRIDGE_DATABASE_CONNECTIONS"
    name = type(error).__name__
    if not isinstance(error, DBAPIError) or error.orig is None:
        return name
    if isinstance(error, OperationalError):  # about the server, a lock or a file; never about our values
        return f"{name}: {str(error.orig).splitlines()[0]}"
    return f"{name} ({type(error.orig).__name__})"


def bump(connection: Connection, sub: str | None = None) -> None:
    """Tell every process that its copies are old: those of one person, or all.

    The last thing in a transaction, because others wait.
    """
    grown = update(REVISION).values(counter=REVISION.c.counter + 1).returning(REVISION.c.counter)
    counter = connection.execute(grown).scalar_one()
    if sub is not None:
        connection.execute(CHANGES.insert(), {"revision": counter, "sub": sub})
        connection.execute(delete(CHANGES).where(CHANGES.c.revision <= counter - CHANGES_KEPT))


Upsert = postgresql.Insert | sqlite.Insert


def upsert(connection: Connection, table: Table) -> Upsert:
    """Return an INSERT that knows ON CONFLICT, which SQLAlchemy spells once a dialect."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def in_portions(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield as many at a time as one transaction writes: more would keep other writers of an SQLite file waiting."""
    return (rows[start : start + PORTION] for start in range(0, len(rows), PORTION))


class Kept:
    """An INSERT that is built once a dialect and kept: to build it takes several times as long as to run it."""

    def __init__(self, table: Table, finish: Callable[[Upsert], Executable]) -> None:
        self._made = {
            name: finish(insert(table))
            for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
        }

    def on(self, connection: Connection) -> Executable:
        return self._made[connection.dialect.name]
