"""Which tokens were minted, for whom and during which request."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "impersonations",
        sa.Column("token_id", EXACT, primary_key=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("tenant", EXACT, nullable=False),
        sa.Column("sub", EXACT, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
    )
    op.create_index("ix_impersonations_tenant_at", "impersonations", ["tenant", "at"])
    op.create_index("ix_impersonations_at", "impersonations", ["at"])


def downgrade() -> None:
    op.drop_table("impersonations")
