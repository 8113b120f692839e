"""What happened at each tenant, hour by hour and day by day."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "history",
        sa.Column("tenant", EXACT, primary_key=True),
        sa.Column("slot_s", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", EXACT, primary_key=True),
        sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Float(53), nullable=False),
    )
    op.create_index("ix_history_slot_s_slot", "history", ["slot_s", "slot"])
    op.create_table(
        "history_people",
        sa.Column("slot_s", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tenant", EXACT, primary_key=True),
        sa.Column("name", EXACT, primary_key=True),
        sa.Column("person", EXACT, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "history_turn",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("history", "history_people", "history_turn"):
        op.drop_table(table)
