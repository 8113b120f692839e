"""The newest change of a tenant's rollout is found at once, however much else the audit holds."""

from alembic import op
from sqlalchemy import text

revision = "0012"
down_revision = "0011"

BEGINS_ANEW = text("(action LIKE 'stage.%' OR action LIKE 'ramp.%') AND actor <> 'ramp'")


def upgrade() -> None:
    op.create_index(
        "ix_audit_changes", "audit", ["tenant", "id"], sqlite_where=BEGINS_ANEW, postgresql_where=BEGINS_ANEW
    )


def downgrade() -> None:
    op.drop_index("ix_audit_changes", "audit")
