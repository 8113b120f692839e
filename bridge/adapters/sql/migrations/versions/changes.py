"""Whom the newest changes were about, so that workers forget nobody else."""

import sqlalchemy as sa
from alembic import op

from bridge.adapters.sql.tables import EXACT

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("revision", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sub", EXACT, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("changes")
