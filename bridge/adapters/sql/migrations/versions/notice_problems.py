"""A notice that did not arrive says why."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("notices", sa.Column("problem", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("notices", "problem")
