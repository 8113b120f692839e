"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

EXACT = sa.Text(collation="BINARY").with_variant(sa.Text(collation="C"), "postgresql")
DOCUMENT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("slug", EXACT, primary_key=True),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.Column("secrets", sa.LargeBinary, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("percentage", sa.Float, nullable=False),
        sa.Column("cohorts", DOCUMENT, nullable=False),
        sa.Column("rollout_revision", sa.Integer, nullable=False),
    )
    op.create_table(
        "subjects",
        sa.Column("tenant", EXACT, primary_key=True),
        sa.Column("sub", EXACT, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("groups", DOCUMENT, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("asserted_at", sa.Float(53), nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("synced_fingerprint", sa.Text),
        sa.Column("synced_groups", DOCUMENT, nullable=False),
        sa.Column("synced_at", sa.Float(53)),
        sa.Column("browser_login_until", sa.Float(53), nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("slot", EXACT, primary_key=True),
        sa.Column("doomed", sa.Boolean, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("tenant", EXACT, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("sub", EXACT, nullable=False),
        sa.Column("key_scope", sa.Text, nullable=False),
        sa.Column("credential_revision", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("issued_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("id_hash", EXACT, primary_key=True),
        sa.Column("sub", EXACT, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("groups", DOCUMENT, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("asserted_at", sa.Float(53), nullable=False),
        sa.Column("tenant", sa.Text),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("seen_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "assertions",
        sa.Column("digest", EXACT, primary_key=True),
        sa.Column("until", sa.Float(53), nullable=False),
    )
    op.create_table(
        "operator_tokens",
        sa.Column("token_hash", EXACT, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("tenant", EXACT),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("before", DOCUMENT),
        sa.Column("after", DOCUMENT),
        sa.Column("request_id", sa.Text, nullable=False),
    )
    op.create_table(
        "revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("counter", sa.Integer, nullable=False),
    )
    op.create_index("ix_tokens_tenant_sub", "tokens", ["tenant", "sub"])
    op.create_index("ix_tokens_expires_at", "tokens", ["expires_at"])
    op.create_index("ix_assertions_until", "assertions", ["until"])
    op.create_index("ix_audit_tenant", "audit", ["tenant"])
    op.execute("INSERT INTO revision (id, counter) VALUES (1, 0)")


def downgrade() -> None:
    for table in ("tenants", "subjects", "tokens", "sessions", "assertions", "operator_tokens", "audit", "revision"):
        op.drop_table(table)
