"""What sign-ins, renewals, measures and forecasts ask is found at once, however many people there are."""

from alembic import op

revision = "0017"
down_revision = "0016"

INDEXES = {
    "ix_subjects_tenant_fingerprint": ("subjects", ["tenant", "fingerprint"]),
    "ix_sessions_sub": ("sessions", ["sub"]),
    "ix_sessions_created_at": ("sessions", ["created_at"]),
    "ix_sessions_seen_at": ("sessions", ["seen_at"]),
    "ix_tokens_tenant_expires_at_seen_at": ("tokens", ["tenant", "expires_at", "seen_at"]),
    "ix_measured_people_tenant_seen_at_measure": ("measured_people", ["tenant", "seen_at", "measure"]),
}


def upgrade() -> None:
    for name, (table, columns) in INDEXES.items():
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, (table, _) in INDEXES.items():
        op.drop_index(name, table)
