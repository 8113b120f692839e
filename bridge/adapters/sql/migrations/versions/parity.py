"""JWT baselines and the newest comparison of each subject."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")
DOCUMENT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "parity_baselines",
        sa.Column("tenant", EXACT, primary_key=True),
        sa.Column("sub", EXACT, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("salt_id", sa.Text, nullable=False),
        sa.Column("taken_at", sa.Float(53), nullable=False),
        sa.Column("access", DOCUMENT, nullable=False),
    )
    op.create_table(
        "parity_results",
        sa.Column("tenant", EXACT, primary_key=True),
        sa.Column("sub", EXACT, primary_key=True),
        sa.Column("run", sa.Float(53), nullable=False),
        sa.Column("compared_at", sa.Float(53), nullable=False),
        sa.Column("baseline_at", sa.Float(53)),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("checks", DOCUMENT, nullable=False),
    )
    op.create_index(
        "ix_parity_results_tenant_outcome_compared_at", "parity_results", ["tenant", "outcome", "compared_at"]
    )


def downgrade() -> None:
    for table in ("parity_results", "parity_baselines"):
        op.drop_table(table)
