"""Every store four times (fake, SQLite, PostgreSQL, cached), and a scripted tenant."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from databasekit import put_database
from fakes import (
    FakeAudit,
    FakeBudget,
    FakeClock,
    FakeDecisions,
    FakeHistory,
    FakeJwtUses,
    FakeKeys,
    FakeLedger,
    FakeMeasures,
    FakeOperatorTokens,
    FakeParity,
    FakeRenewals,
    FakeSessions,
    FakeSubjects,
    FakeTenants,
    FakeTokens,
    Leased,
)
from pydantic import SecretStr
from scripted import ScriptedTenant
from sqlalchemy import text
from stores import Stores, cached_stores, sql_stores

from bridge.adapters.sql import Database, open_database
from bridge.adapters.sql.tables import METADATA
from bridge.adapters.vault import Vault
from bridge.model import AuditEvent, OAuthClient, Tenant


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def vault() -> Vault:
    return Vault([Fernet.generate_key().decode()])


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def event() -> AuditEvent:
    return AuditEvent(1.5, "cli:erin", "tenant_saved", "acme", "because", None, {"name": "Acme"}, "req-1")


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{put_database(tmp_path)}", patience_s=1)
    yield database
    database.close()


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_url: str) -> Iterator[Database]:
    database = open_database(postgresql_url, patience_s=2)
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def postgresql_database(migrated_postgresql: Database) -> Database:
    """Empty what holds rows: to truncate the other tables too would take longer than most tests."""
    tables = [table.name for table in METADATA.sorted_tables if table.name not in {"revision", "jwt_watch"}]
    looks = " UNION ALL ".join(f"(SELECT '{name}' FROM {name} LIMIT 1)" for name in tables)  # noqa: S608 - our own names
    with migrated_postgresql.writing() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # the audit refuses, by trigger
        if full := connection.execute(text(looks)).scalars().all():
            connection.execute(text(f"TRUNCATE {', '.join(full)} CASCADE"))
    return migrated_postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture(params=["fake", "sqlite", "postgresql", "cached"])
def stores(request: pytest.FixtureRequest, clock: FakeClock, vault: Vault) -> Stores:
    if request.param == "fake":
        audit, tenants, leases = FakeAudit(), FakeTenants(), Leased()
        tokens = FakeTokens(clock, leases)
        return Stores(
            tenants,
            FakeSubjects(),
            tokens,
            FakeSessions(),
            FakeLedger(),
            FakeOperatorTokens(),
            audit,
            FakeMeasures(),
            FakeHistory(),
            tenants.outbox,
            FakeDecisions(audit),
            FakeJwtUses(),
            FakeParity(),
            FakeBudget(leases),
            FakeRenewals(tokens),
        )
    if request.param == "cached":
        return cached_stores(request.getfixturevalue("sqlite_database"), vault, clock)
    return sql_stores(request.getfixturevalue(f"{request.param}_database"), vault, clock)


@pytest.fixture
def acme() -> Tenant:
    return Tenant(
        slug="acme",
        name="Acme",
        host="https://acme.example.com",
        admits=("demo",),
        issuer="portal",
        key_id="k1",
        signing_key="acme.pem",
        issuing_client=OAuthClient(id="issuing", secret=SecretStr("issuing-s3cret")),
        management_client=OAuthClient(id="management", secret=SecretStr("management-s3cret")),
    )


@pytest.fixture
def scripted(clock: FakeClock) -> Iterator[ScriptedTenant]:
    with ScriptedTenant(clock) as tenant:
        yield tenant
