"""From the tables of an older version to those of today, in one transaction."""

from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from bridge.errors import StoreError

log = structlog.get_logger()

UPGRADE_LOCK = 0x716C696B
"""Any number will do, as long as nothing else in the same PostgreSQL database locks it."""


def upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        from bridge.adapters.sql.hanging import wait_without_end  # noqa: PLC0415 - its driver may not be installed

        wait_without_end(connection.connection.driver_connection)
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})
    config = migrations(connection)
    before = _revision(connection)
    _refuse_newer(before, config)
    command.upgrade(config, "head")
    if (after := _revision(connection)) != before:
        log.info("database_upgraded", before=before, after=after)


def migrations(connection: Connection) -> Config:
    """Return what Alembic needs to migrate over this connection, in its transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    """Return which migration was the last one; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(revision: str | None, config: Config) -> None:
    """Raise StoreError when a newer version has been here: what its tables mean is not known yet."""
    known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
    if revision not in {None, *known}:
        message = (
            "The database is of a newer version of the bridge. Start that version, or one that is newer still; or"
            " put the copy back that was made of the database before it."
        )
        raise StoreError(message, detail=f"revision {revision} is not known here")
