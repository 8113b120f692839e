"""Databases for tests: made quickly, or such that break on demand, where the real one refuses, whatever kind it is."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Engine, create_engine, event, text

from bridge.adapters.sql import open_database
from bridge.adapters.sql.tables import METADATA

NOWHERE = "file:/nonexistent/bridge.db?mode=rw"
TABLES = ", ".join(table.name for table in METADATA.sorted_tables)


@contextmanager
def heard(engine: Engine, name: str, listener: Callable[..., Any]) -> Iterator[None]:
    """Let connections that are made from now on hear of it, and none of them outlive it."""
    event.listen(engine, name, listener)
    engine.dispose()
    try:
        yield
    finally:
        event.remove(engine, name, listener)
        engine.dispose()


# --- SQLite ----------------------------------------------------------------------------------------------


@contextmanager
def _file_is_away(engine: Engine) -> Iterator[None]:
    real = engine.pool._creator
    engine.pool._creator = lambda: sqlite3.connect(NOWHERE, uri=True)  # type: ignore[assignment]  # SQLAlchemy's own
    engine.dispose()
    try:
        yield
    finally:
        engine.pool._creator = real
        engine.dispose()


@contextmanager
def _other_writer(engine: Engine) -> Iterator[None]:
    with closing(sqlite3.connect(str(engine.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def _read_only(engine: Engine) -> AbstractContextManager[None]:
    return heard(engine, "connect", lambda connection, _record: connection.execute("PRAGMA query_only = ON"))


# --- PostgreSQL ------------------------------------------------------------------------------------------


def as_owner(engine: Engine, *statements: str) -> None:
    """Say something to the server, beside the bridge."""
    owner = create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        for statement in statements:
            connection.execute(text(statement.format(name=engine.url.database)))
    owner.dispose()


KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


@contextmanager
def _server_refuses(engine: Engine) -> Iterator[None]:
    as_owner(engine, "ALTER DATABASE {name} ALLOW_CONNECTIONS false", KILL)
    try:
        yield
    finally:
        as_owner(engine, "ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextmanager
def _locked_tables(engine: Engine) -> Iterator[None]:
    other = create_engine(engine.url)
    with other.connect() as connection, connection.begin():
        connection.execute(text(f"LOCK TABLE {TABLES} IN EXCLUSIVE MODE"))
        yield
    other.dispose()


@contextmanager
def _read_only_database(engine: Engine) -> Iterator[None]:
    as_owner(engine, "ALTER DATABASE {name} SET default_transaction_read_only = on", KILL)
    try:
        yield
    finally:
        as_owner(engine, "ALTER DATABASE {name} RESET default_transaction_read_only", KILL)


@contextmanager
def _killed_connections(engine: Engine) -> Iterator[None]:
    as_owner(engine, KILL)
    yield


@contextmanager
def slow(engine: Engine, statement_s: float = 0.03) -> Iterator[None]:
    """Let each statement take so much longer, as over a long line."""

    def wait(*_: object) -> None:
        time.sleep(statement_s)

    event.listen(engine, "before_cursor_execute", wait)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", wait)


@cache
def _of_today() -> bytes:
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/bridge.db")
        database.upgrade()
        database.close()
        return Path(folder, "bridge.db").read_bytes()


def put_database(home: Path) -> Path:
    """Put an empty database of today there. Each bridge would migrate its own, which takes longer than most tests."""
    path = home / "bridge.db"
    path.touch(0o600)
    path.write_bytes(_of_today())
    return path


def own_database(server: str, name: str, like: str = "template1") -> str:
    """Make a database beside those of other tests, with all that another one holds."""
    _order(server, f"CREATE DATABASE {name} TEMPLATE {like}")
    return server.replace("/postgres", f"/{name}")


def drop_database(server: str, name: str) -> None:
    _order(server, f"DROP DATABASE {name} WITH (FORCE)")


def _order(server: str, statement: str) -> None:
    engine = create_engine(server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


Break = Callable[[Engine], AbstractContextManager[None]]
BREAKS: Mapping[str, Mapping[str, Break]] = {
    "is away": {"sqlite": _file_is_away, "postgresql": _server_refuses},
    "is locked by somebody else": {"sqlite": _other_writer, "postgresql": _locked_tables},
    "takes no writes: read-only, or the disk is full": {"sqlite": _read_only, "postgresql": _read_only_database},
    "has ended all connections": {"postgresql": _killed_connections},
    "is slow": {"sqlite": slow, "postgresql": slow},
}
"""By the words of the table, and the kind of the database."""


def postgresql_folder(engine: Engine) -> Path:
    with engine.connect() as connection:
        return Path(connection.execute(text("SHOW data_directory")).scalar_one())
