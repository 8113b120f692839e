"""Tokens know when their person was last seen, and who renews them ahead of their end."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for name in ("seen_at", "renewing_until"):
        op.add_column("tokens", sa.Column(name, sa.Float(53), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("tokens", "renewing_until")
    op.drop_column("tokens", "seen_at")
