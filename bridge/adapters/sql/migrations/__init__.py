"""The history of the tables, run by `Database.upgrade`."""

HEAD = "0018"
"""The newest of them: a database of this revision is opened without Alembic."""
