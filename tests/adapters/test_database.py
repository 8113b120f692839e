"""Upgrades, the revision counter, and a database that is locked, read-only, or gone."""

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.fernet import Fernet
from fakes import FakeClock
from pydantic import SecretStr
from sqlalchemy import event as hooks
from sqlalchemy import func, select, text
from stores import sql_stores
from structlog.testing import capture_logs

from bridge.adapters.sql import Database, SqlAuditLog, SqlOperatorTokens, SqlTenants, SqlTokens, open_database
from bridge.adapters.sql.database import bump
from bridge.adapters.sql.tables import ASSERTIONS, METADATA, TOKENS
from bridge.adapters.sql.upgrade import migrations
from bridge.adapters.vault import Vault
from bridge.errors import ConfigError, Conflict, StoreError
from bridge.model import AuditEvent, Identity, IssuedToken, Rollout, Session, Stage, Subject, Tenant, TokenKey
from bridge.roles import Grant, OperatorToken, Role
from bridge.webhooks import Webhook

Change = Callable[[], object]

BOB = Subject("bob", "Bob", "", frozenset({"Sales"}))
KEY = TokenKey("acme", "client", "bob", "user_default", "r1")


def test_the_migrations_make_the_tables(database: Database) -> None:
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_upgrading_again_changes_nothing(database: Database) -> None:
    before = database.revision()
    database.upgrade()
    assert database.revision() == before
    database.check()


def test_two_may_upgrade_a_new_file_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/er/bridge.db"
    databases = [open_database(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.upgrade, databases))
    assert [each.revision() for each in databases] == [0] * 4
    for each in databases:
        each.close()


def test_two_may_upgrade_a_new_postgresql_at_once(postgresql_url: str, migrated_postgresql: Database) -> None:
    with migrated_postgresql._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE fresh"))
    databases = [open_database(postgresql_url.replace("/postgres", "/fresh")) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.upgrade, databases))
    assert [each.revision() for each in databases] == [0] * 4
    for each in databases:
        each.close()


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/bridge.db").close()
    assert (tmp_path / "bridge.db").stat().st_mode & 0o777 == 0o600


def test_sqlite_runs_as_promised(sqlite_database: Database) -> None:
    with sqlite_database.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 1000}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://root:hunter2@db/bridge",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:hunter2@db:x/y",
    ],
)
def test_an_unusable_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="BRIDGE_DATABASE_URL") as refused:
        open_database(url)
    assert "hunter2" not in str(refused.value)


def test_a_path_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigError, match=r"cannot write .*name a file that this user may write"):
        open_database(f"sqlite:///{tmp_path}/file/bridge.db")
    with pytest.raises(ConfigError, match="cannot write"):
        open_database(f"sqlite:///{tmp_path}")


def test_a_locked_file_is_a_store_error(sqlite_database: Database, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "bridge.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as failed:
        sql_stores(sqlite_database, Vault([Fernet.generate_key().decode()]), FakeClock()).subjects.note("acme", BOB, 1)
    assert "database is locked" in failed.value.detail
    with pytest.raises(StoreError):
        sqlite_database.check()
    other.close()
    before = sqlite_database.revision()
    sqlite_database.check()
    assert sqlite_database.revision() == before


def test_writers_wait_in_line_and_keep_no_connection_from_readers(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'bridge.db'}", connections=2, patience_s=10)
    database.upgrade()
    before, in_line = database.revision(), threading.Barrier(5)

    def write() -> None:
        in_line.wait()
        with database.writing() as connection:
            bump(connection)

    with ThreadPoolExecutor(4) as pool:
        with database.writing() as connection:
            writes = [pool.submit(write) for _ in range(4)]
            in_line.wait()
            assert [database.revision() for _ in range(500)] == [before] * 500
            bump(connection)
        for each in writes:
            each.result()

    assert database.revision() == before + 5
    database.close()


def test_a_writer_gives_up_when_others_write_for_too_long(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'bridge.db'}", patience_s=0.05)
    database.upgrade()
    with database.writing(), ThreadPoolExecutor(1) as pool, pytest.raises(StoreError) as failed:
        pool.submit(database.check).result()
    assert "others have been writing" in failed.value.detail
    database.close()


def test_writers_in_line_behind_another_process_wait_no_longer_than_one(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'bridge.db'}", patience_s=1)
    database.upgrade()
    other = sqlite3.connect(tmp_path / "bridge.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def waited_s(_: int) -> float:
        began = time.monotonic()
        with pytest.raises(StoreError):
            database.check()
        return time.monotonic() - began

    with ThreadPoolExecutor(6) as pool:
        assert max(pool.map(waited_s, range(6))) < 1.8
    other.close()
    database.check()
    with database.looking() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 1000
    database.close()


def test_a_read_only_file_is_a_store_error(sqlite_database: Database, event: AuditEvent) -> None:
    @hooks.listens_for(sqlite_database._engine, "connect")
    def read_only(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    with pytest.raises(StoreError) as failed:
        SqlAuditLog(sqlite_database).append(event)
    assert "readonly" in failed.value.detail
    assert "because" not in failed.value.detail


def test_a_vanished_file_is_not_made_anew(sqlite_database: Database, tmp_path: Path) -> None:
    sqlite_database.close()
    (tmp_path / "bridge.db").unlink()
    with pytest.raises(StoreError, match=r"cannot reach its database") as failed:
        sqlite_database.check()
    assert "is gone" in failed.value.detail
    with pytest.raises(StoreError):
        sqlite_database.revision()
    assert not (tmp_path / "bridge.db").exists()


def test_a_database_without_tables_is_a_store_error(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/bridge.db")
    with pytest.raises(StoreError) as failed:
        database.check()
    assert "no such table" in failed.value.detail
    database.close()


def test_a_server_that_is_away_is_a_store_error() -> None:
    database = open_database("postgresql://bridge:hunter2@127.0.0.1:9/bridge")
    with pytest.raises(StoreError) as failed:
        database.check()
    assert failed.value.detail.startswith("OperationalError: ")
    assert "hunter2" not in failed.value.detail + repr(failed.value)


def test_a_postgresql_lock_is_not_waited_for_without_end(postgresql_database: Database) -> None:
    stores = sql_stores(postgresql_database, Vault([Fernet.generate_key().decode()]), FakeClock())
    stores.subjects.note("acme", BOB, 1)
    with postgresql_database.writing() as connection:
        connection.execute(text("SELECT * FROM subjects FOR UPDATE"))
        with pytest.raises(StoreError) as failed:
            stores.subjects.note("acme", BOB, 2)
    assert "lock timeout" in failed.value.detail


def test_no_error_quotes_what_it_was_given(database: Database, vault: Vault) -> None:
    operators = sql_stores(database, vault, FakeClock()).operators
    operators.add(OperatorToken("ci", Grant(Role.ADMIN), 1), "hash-of-hunter2")
    with pytest.raises(StoreError) as failed:
        operators.add(OperatorToken("another name", Grant(Role.ADMIN), 1), "hash-of-hunter2")
    assert "hunter2" not in f"{failed.value} {failed.value!r} {failed.value.detail}"
    assert "IntegrityError" in failed.value.detail


def test_a_text_that_no_database_can_hold_is_a_store_error(database: Database, vault: Vault) -> None:
    subjects = sql_stores(database, vault, FakeClock()).subjects
    with pytest.raises(StoreError, match="database"):
        subjects.note("acme", Subject("\ud800", "", "", frozenset()), 1)


def test_a_change_and_its_audit_event_stand_or_fall_together(
    database: Database, vault: Vault, acme: Tenant, event: AuditEvent
) -> None:
    tenants, audit = SqlTenants(database, vault), SqlAuditLog(database)
    tenants.save(acme, starting_at=Rollout(), event=event)
    tenants.move("acme", before=Rollout(), after=Rollout(Stage.SHADOW), event=replace(event, action="stage_moved"))
    with pytest.raises(Conflict):
        tenants.move("acme", before=Rollout(), after=Rollout(Stage.SHADOW), event=replace(event, action="never"))
    assert [each.action for each in audit.latest()] == ["stage_moved", "tenant_saved"]


def test_the_counter_grows_with_what_others_must_see(
    database: Database, vault: Vault, acme: Tenant, event: AuditEvent, clock: FakeClock
) -> None:
    stores = sql_stores(database, vault, clock)
    token = IssuedToken(KEY, "id-1", "value", "user_default", clock(), clock() + 100)
    session = Session("hash", Identity(BOB, "demo", "demo", 1), 1, 1)
    record = stores.subjects.note("acme", BOB, 1)
    synced = replace(record, user_id="u", synced_fingerprint=BOB.fingerprint(), synced_at=5)
    stores.tokens.put(token)
    stores.sessions.add(session)
    changes: list[tuple[bool, Change]] = [
        (False, lambda: stores.subjects.note("acme", replace(BOB, sub="new"), 1)),
        (False, lambda: stores.subjects.note("acme", BOB, 2)),
        (True, lambda: stores.subjects.note("acme", replace(BOB, name="Robert"), 3)),
        (True, lambda: stores.subjects.note("acme", BOB, 4)),
        (False, lambda: stores.subjects.record_sync(synced)),
        (True, lambda: stores.subjects.forget_sync("acme", "bob")),
        (True, lambda: stores.tenants.save(acme, starting_at=Rollout(), event=event)),
        (True, lambda: stores.tenants.move("acme", before=Rollout(), after=Rollout(Stage.SHADOW), event=event)),
        (True, stores.tokens.doom),
        (True, lambda: stores.tokens.drop(token)),
        (False, lambda: stores.sessions.touch({"hash": 70})),
        (True, lambda: stores.sessions.remove("hash")),
    ]
    for grows, change in changes:
        before = database.revision()
        change()
        assert (database.revision() > before) is grows


def test_ended_rows_are_swept_in_passing(database: Database, vault: Vault, clock: FakeClock) -> None:
    stores = sql_stores(database, vault, clock)
    token = IssuedToken(KEY, "id-1", "value", "user_default", clock(), clock() + 10)
    stores.tokens.put(token)
    stores.ledger.claim("portal", "jti", clock() + 10, now=clock())
    clock.advance(100)
    stores.tokens.put(replace(token, key=replace(KEY, sub="eve"), token_id="id-2", expires_at=clock() + 10))
    stores.ledger.claim("portal", "jti-2", clock() + 10, now=clock())
    with database.reading() as connection:
        counts = [connection.execute(select(func.count()).select_from(each)).scalar() for each in (TOKENS, ASSERTIONS)]
    assert counts == [1, 1]


def test_what_ended_together_is_swept_some_at_a_time(database: Database, vault: Vault, clock: FakeClock) -> None:
    """One long transaction would keep every other writer of an SQLite file waiting."""
    stores = sql_stores(database, vault, clock)
    ended = [{"digest": f"digest-{number}", "until": clock() - number} for number in range(1, 1202)]
    with database.writing() as connection:
        connection.execute(ASSERTIONS.insert(), ended)
    left = []
    for number in range(4):
        stores.ledger.claim("portal", f"jti-{number}", clock() + 10, now=clock())
        with database.reading() as connection:
            left.append(connection.execute(select(func.count()).where(ASSERTIONS.c.until < clock())).scalar())
    assert left == [701, 201, 0, 0]


def test_secrets_and_tokens_are_sealed_in_the_file(
    sqlite_database: Database, tmp_path: Path, vault: Vault, acme: Tenant, event: AuditEvent, clock: FakeClock
) -> None:
    SqlTenants(sqlite_database, vault).save(acme, starting_at=Rollout(), event=event)
    token = IssuedToken(KEY, "id-1", "secret-token-value", "user_default", clock(), clock() + 10)
    SqlTokens(sqlite_database, vault, clock).put(token)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"issuing-s3cret" not in stored
    assert b"secret-token-value" not in stored


def test_what_no_key_opens_locks_one_tenant_and_no_other(
    sqlite_database: Database, vault: Vault, acme: Tenant, event: AuditEvent
) -> None:
    stranger = Vault([Fernet.generate_key().decode()])
    webhook = Webhook(url="https://hooks.example.com/a", secret=SecretStr("webhook-s3cret-of-acme"))
    whole = acme.model_copy(update={"notify": webhook})
    SqlTenants(sqlite_database, stranger).save(whole, starting_at=Rollout(), event=event)
    globex = acme.model_copy(update={"slug": "globex"})
    SqlTenants(sqlite_database, vault).save(globex, starting_at=Rollout(), event=event)
    with capture_logs() as logs:
        states = SqlTenants(sqlite_database, vault).all()
    assert states["globex"].tenant == globex
    assert states["acme"].tenant.locked() == ["issuing_client", "management_client", "notify"]
    assert states["acme"].tenant.secrets() == {}
    assert states["acme"].tenant.token_key("alice") == acme.token_key("alice")
    assert states["acme"].tenant.notify is not None
    assert states["acme"].tenant.notify.url == webhook.url
    assert [(each["event"], each["tenant"]) for each in logs] == [("tenant_secrets_locked", "acme")]


def test_a_token_that_no_key_opens_is_as_if_it_were_not_there(
    sqlite_database: Database, vault: Vault, clock: FakeClock
) -> None:
    token = IssuedToken(KEY, "id-1", "value", "user_default", clock(), clock() + 10)
    stranger = SqlTokens(sqlite_database, Vault([Fernet.generate_key().decode()]), clock)
    stranger.put(token)
    tokens = SqlTokens(sqlite_database, vault, clock)
    with capture_logs() as logs:
        assert tokens.get(KEY) is None
    assert [(each["event"], each["token_id"]) for each in logs] == [("token_locked", "id-1")]
    tokens.put(replace(token, token_id="id-2"))
    assert tokens.get(KEY) == replace(token, token_id="id-2")


def test_a_token_that_no_key_opens_is_doomed_without_its_value(
    sqlite_database: Database, vault: Vault, clock: FakeClock
) -> None:
    token = IssuedToken(KEY, "id-1", "value", "user_default", clock(), clock() + 10)
    SqlTokens(sqlite_database, Vault([Fernet.generate_key().decode()]), clock).put(token)
    tokens = SqlTokens(sqlite_database, vault, clock)
    assert tokens.doom() == [replace(token, value="")]
    tokens.drop(token)
    assert tokens.doom() == []


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/bridge.db")
    refuses_newer(database)
    database.close()


def test_a_postgresql_of_a_newer_version_is_left_alone(postgresql_database: Database) -> None:
    refuses_newer(postgresql_database)


def refuses_newer(database: Database) -> None:
    database.upgrade()
    with database.writing() as connection:
        ours = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(StoreError, match="newer version of the bridge") as failed:
            database.upgrade()
        assert failed.value.detail == "revision 9999 is not known here"
        database.check()
    finally:
        with database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :ours"), {"ours": ours})
    database.upgrade()


def test_going_back_below_roles_makes_nobody_an_admin(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/bridge.db")
    keeps_admins_alone(database)
    database.close()


def test_nor_does_it_in_postgresql(postgresql_url: str, migrated_postgresql: Database) -> None:
    with migrated_postgresql._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE downgraded"))
    database = open_database(postgresql_url.replace("/postgres", "/downgraded"))
    keeps_admins_alone(database)
    database.close()


def keeps_admins_alone(database: Database) -> None:
    database.upgrade()
    operators = SqlOperatorTokens(database)
    grants = [Grant(role, tenant) for role in Role for tenant in (None, "acme")]
    for grant in grants:
        operators.add(OperatorToken(f"{grant.role}-{grant.tenant}", grant, 1), f"hash of {grant}")

    with database.writing() as connection:
        command.downgrade(migrations(connection), "0007")
    database.upgrade()

    assert [each.name for each in operators.all()] == ["admin-None"]
