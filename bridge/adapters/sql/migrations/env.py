"""Alembic's entry: it migrates the connection that `Database.upgrade` hands over, in its transaction."""

from alembic import context

from bridge.adapters.sql.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
