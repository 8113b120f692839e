"""Operator tokens get a role and a tenant, tenants a revision."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("tenants", sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
    op.add_column("operator_tokens", sa.Column("role", sa.Text, nullable=False, server_default="admin"))
    op.add_column("operator_tokens", sa.Column("tenant", EXACT))


def downgrade() -> None:
    # Without these columns every token is that of an admin of all tenants: whoever was less must not become one.
    op.execute("DELETE FROM operator_tokens WHERE role <> 'admin' OR tenant IS NOT NULL")
    op.drop_column("operator_tokens", "tenant")
    op.drop_column("operator_tokens", "role")
    op.drop_column("tenants", "revision")
