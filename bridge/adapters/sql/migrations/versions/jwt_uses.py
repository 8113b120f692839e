"""Who used the JWT path, and since when that is noted."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "jwt_uses",
        sa.Column("digest", EXACT, primary_key=True),
        sa.Column("tenant", EXACT, nullable=False),
        sa.Column("sub", EXACT, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("first_seen", sa.Float(53), nullable=False),
        sa.Column("last_seen", sa.Float(53), nullable=False),
        sa.Column("hours", sa.Integer, nullable=False),
    )
    op.create_index("ix_jwt_uses_tenant_last_seen", "jwt_uses", ["tenant", "last_seen"])
    op.create_index("ix_jwt_uses_last_seen", "jwt_uses", ["last_seen"])
    watch = op.create_table(
        "jwt_watch",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("since", sa.Float(53), nullable=False),
    )
    op.bulk_insert(watch, [{"id": 1, "since": time.time()}])


def downgrade() -> None:
    op.drop_table("jwt_watch")
    op.drop_table("jwt_uses")
