"""What another flag provider decided for each subject, the newest one."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("tenant", EXACT, nullable=False),
        sa.Column("sub", EXACT, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text()),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sub", name="pk_decisions"),
    )


def downgrade() -> None:
    op.drop_table("decisions")
