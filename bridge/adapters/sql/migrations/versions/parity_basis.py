"""Each comparison says under what it was made; those of before that do not count as fresh."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("parity_results", sa.Column("basis", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("parity_results", "basis")
