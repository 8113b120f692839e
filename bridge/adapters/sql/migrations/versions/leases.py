"""Who works for whom: one worker at a time for one person."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("tenant", EXACT, nullable=False),
        sa.Column("sub", EXACT, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("begun", sa.Float(53), nullable=False),
        sa.Column("until", sa.Float(53), nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sub", name="pk_leases"),
    )


def downgrade() -> None:
    op.drop_table("leases")
