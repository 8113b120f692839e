"""From a database URL to an engine whose connections behave the same way on SQLite and PostgreSQL."""

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from bridge.adapters.sql.database import PATIENCE_S, Database
from bridge.errors import ConfigError

EXAMPLES = "for example sqlite:///instance/bridge.db or postgresql://user:password@host/name"
PRIVATE = 0o600
CONNECTIONS = 10
"""So many a process opens at most. Requests hold one for milliseconds, and none while they wait for a tenant."""


def open_database(url: str, *, patience_s: float = PATIENCE_S, connections: int = CONNECTIONS) -> Database:
    """Return the database behind *url*, not yet upgraded.

    *patience_s*: how long to wait for another's lock, or for one of so many *connections*, in seconds. Raises
    ConfigError when the URL is none of ours, or its file cannot be written; the URL itself, which may hold a
    password, is never repeated.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError([f"BRIDGE_DATABASE_URL is not a database URL; {EXAMPLES}"]) from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed, patience_s, connections)
        case "postgresql" | "postgres":
            return _postgresql(parsed, patience_s, connections)
        case other:
            raise ConfigError([f"BRIDGE_DATABASE_URL: {other} is not supported; {EXAMPLES}"])


def _sqlite(url: URL, patience_s: float, connections: int) -> Database:
    if not url.database or url.database == ":memory:":
        raise ConfigError([f"BRIDGE_DATABASE_URL must name a file, so that a restart loses nothing; {EXAMPLES}"])
    path = Path(url.database).absolute()
    _make_writable(path)
    # mode=rw: a file that vanishes under us is an error, not a new and empty database.
    address = f"file:{quote(str(path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, timeout=patience_s, isolation_level=None, check_same_thread=False)

    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=patience_s,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _set_pragmas)
    return Database(engine, path, patience_s=patience_s)


def _make_writable(path: Path) -> None:
    """Create the file for our eyes alone, and its folder, or say why that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE))
    except OSError as error:
        sentence = f"BRIDGE_DATABASE_URL: cannot write {path} ({error.strerror}); name a file that this user may write"
        raise ConfigError([sentence]) from error


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _postgresql(url: URL, patience_s: float, connections: int) -> Database:
    try:
        from bridge.adapters.sql.hanging import connect  # noqa: PLC0415 - the driver is needed for PostgreSQL alone

        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=_postgresql_arguments(url, patience_s),
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            pool_timeout=patience_s,
            hide_parameters=True,
        )
    except ImportError as error:
        sentence = "BRIDGE_DATABASE_URL: PostgreSQL needs its driver; run .venv/bin/pip install -e '.[postgres]'"
        raise ConfigError([sentence]) from error
    event.listen(engine, "do_connect", connect)
    return Database(engine)


def _postgresql_arguments(url: URL, patience_s: float) -> dict[str, Any]:
    """Return time limits, for what the URL does not set itself: those of the server, and those of the network."""
    limits = f"-c lock_timeout={patience_s * 1000:.0f} -c statement_timeout=10000"
    network = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
    wanted: dict[str, Any] = {"connect_timeout": 3, "options": limits, **network}
    return {name: value for name, value in wanted.items() if name not in url.query}
