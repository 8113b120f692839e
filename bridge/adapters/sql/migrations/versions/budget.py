"""Calls spent by slots of time, and tiers that a tenant closed."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "budget_calls",
        sa.Column("tenant", EXACT, nullable=False),
        sa.Column("client", EXACT, nullable=False),
        sa.Column("lane", EXACT, nullable=False),
        sa.Column("slot", sa.Float(53), nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "client", "lane", "slot", name="pk_budget_calls"),
    )
    op.create_index("ix_budget_calls_slot", "budget_calls", ["slot"])
    op.create_table(
        "closed_tiers",
        sa.Column("tenant", EXACT, nullable=False),
        sa.Column("tier", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("until", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "tier", name="pk_closed_tiers"),
    )


def downgrade() -> None:
    op.drop_table("closed_tiers")
    op.drop_table("budget_calls")
