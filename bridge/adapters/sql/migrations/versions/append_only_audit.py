"""The audit refuses changes by itself, and is found by tenant, actor, action and time."""

from alembic import op

revision = "0002"
down_revision = "0001"

# OR REPLACE would remove a row without firing the trigger on DELETE, hence the third one.
SQLITE = {
    "audit_refuses_update": "BEFORE UPDATE ON audit",
    "audit_refuses_delete": "BEFORE DELETE ON audit",
    "audit_refuses_replace": "BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)",
}
REFUSAL = "the audit is append-only"
INDEXES = {"ix_audit_tenant_id": ["tenant", "id"], "ix_audit_actor_id": ["actor", "id"]}
INDEXES |= {"ix_audit_action_id": ["action", "id"], "ix_audit_at": ["at"]}


def upgrade() -> None:
    op.drop_index("ix_audit_tenant", "audit")
    for name, columns in INDEXES.items():
        op.create_index(name, "audit", columns)
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        for name, moment in SQLITE.items():
            op.execute(f"CREATE TRIGGER {name} {moment} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_refuses_change ON audit")
        op.execute("DROP FUNCTION audit_refuses()")
    else:
        for name in SQLITE:
            op.execute(f"DROP TRIGGER {name}")
    for name in INDEXES:
        op.drop_index(name, "audit")
    op.create_index("ix_audit_tenant", "audit", ["tenant"])
