"""Ramps and kill switches."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")
DOCUMENT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("tenants", sa.Column("ramp", DOCUMENT))
    op.add_column("tenants", sa.Column("kill", DOCUMENT))
    op.create_table(
        "switches",
        sa.Column("name", EXACT, primary_key=True),
        sa.Column("document", DOCUMENT, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("switches")
    op.drop_column("tenants", "kill")
    op.drop_column("tenants", "ramp")
