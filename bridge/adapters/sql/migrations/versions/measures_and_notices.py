"""What the workers measured, and notices on their way to webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "measured_people",
        sa.Column("tenant", EXACT, primary_key=True),
        sa.Column("measure", EXACT, primary_key=True),
        sa.Column("person", EXACT, primary_key=True),
        sa.Column("seen_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "measured_counts",
        sa.Column("tenant", EXACT, primary_key=True),
        sa.Column("measure", EXACT, primary_key=True),
        sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_table(
        "notices",
        sa.Column("id", EXACT, primary_key=True),
        sa.Column("to", sa.Text, primary_key=True),
        sa.Column("tenant", EXACT, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("due_at", sa.Float(53), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    op.create_index("ix_measured_people_seen_at", "measured_people", ["seen_at"])
    op.create_index("ix_measured_counts_slot", "measured_counts", ["slot"])
    op.create_index("ix_notices_due_at", "notices", ["due_at"])


def downgrade() -> None:
    for table in ("measured_people", "measured_counts", "notices"):
        op.drop_table(table)
