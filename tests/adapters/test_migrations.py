"""Up from nothing, down to nothing, and from every revision that ever was: no row is lost, and today's code answers.

Nothing was released yet, so every revision counts as one that somebody has.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import past
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from cryptography.fernet import Fernet
from fakes import START, FakeClock
from past import Shelf
from sqlalchemy import Connection, create_engine, inspect, make_url, text
from stores import Stores, sql_stores
from structlog.testing import capture_logs

from bridge.adapters.sql import Database, SqlImpersonations, open_database
from bridge.adapters.sql.migrations import HEAD as NAMED_HEAD
from bridge.adapters.sql.tables import METADATA
from bridge.adapters.sql.upgrade import UPGRADE_LOCK, migrations
from bridge.adapters.vault import Vault
from bridge.bootstrap import build
from bridge.errors import StoreError
from bridge.evidence import Outcome
from bridge.model import Path as Way
from bridge.model import Stage
from bridge.roles import Role
from bridge.settings import read_settings
from bridge.web import create_app

VERSIONS = Path(__file__).parents[2] / "bridge/adapters/sql/migrations"
REVISIONS = sorted(each.revision for each in ScriptDirectory(str(VERSIONS)).walk_revisions())
HEAD = REVISIONS[-1]
KEY = Fernet.generate_key().decode()
PATIENCE_S = 30

Empty = Callable[[], str]


@pytest.fixture(scope="module")
def postgresql_server(postgresql_url: str) -> Iterator[Callable[[str], None]]:
    """One connection to the server, for making databases."""
    engine = create_engine(make_url(postgresql_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:

        def run(statement: str) -> None:
            connection.execute(text(statement))

        yield run
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database that holds nothing yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/past.db"
        return
    url: str = request.getfixturevalue("postgresql_url")
    server: Callable[[str], None] = request.getfixturevalue("postgresql_server")
    server("CREATE DATABASE past")
    yield url.replace("/postgres", "/past")
    server("DROP DATABASE past WITH (FORCE)")


@pytest.fixture
def database(empty: str) -> Iterator[Database]:
    database = open_database(empty)
    yield database
    database.close()


@pytest.fixture
def vault() -> Vault:
    return Vault([KEY])


def at(database: Database, revision: str) -> None:
    """Make the tables of that revision, in whichever direction they are."""
    with database.writing() as connection:
        there = MigrationContext.configure(connection).get_current_revision() or ""
        go = command.upgrade if revision != "base" and there < revision else command.downgrade
        go(migrations(connection), revision)


def shelves(database: Database) -> Shelf:
    with database.reading() as connection:
        return past.read(connection)


def fill(database: Database, revision: str, vault: Vault) -> Shelf:
    with database.writing() as connection:
        past.fill(connection, past.rows_of(revision, vault))
    return shelves(database)


def shape(connection: Connection) -> dict[str, Any]:
    """Return what a table is, apart from the names that databases give to keys by themselves."""
    found = inspect(connection)
    return {
        table: {
            "columns": {
                each["name"]: (str(each["type"]), each["nullable"], each.get("default"))
                for each in found.get_columns(table)
            },
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "indexes": {each["name"]: (each["column_names"], each["unique"]) for each in found.get_indexes(table)},
        }
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def test_the_migrations_make_what_tables_py_describes(database: Database) -> None:
    with database.writing() as connection:
        METADATA.create_all(connection)
        described = shape(connection)
        METADATA.drop_all(connection)
    database.upgrade()
    with database.reading() as connection:
        assert shape(connection) == described
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_the_newest_migration_is_known_by_name() -> None:
    assert ScriptDirectory(str(VERSIONS)).get_heads() == [NAMED_HEAD]


def test_the_rows_of_the_past_fill_every_column(database: Database, vault: Vault) -> None:
    database.upgrade()
    rows = past.rows_of(HEAD, vault)
    with database.reading() as connection:
        made = inspect(connection)
        columns = {name: {each["name"] for each in made.get_columns(name)} for name in METADATA.tables}
    assert {name: set(row) for name, (row,) in rows.items()} == columns, "a new migration needs rows in tests/past.py"


def test_down_to_nothing_and_up_again_what_there_is_room_for_survives(database: Database, vault: Vault) -> None:
    database.upgrade()
    full = fill(database, HEAD, vault)
    for revision in reversed(["base", *REVISIONS[:-1]]):
        at(database, revision)
        left = shelves(database)
        assert left == past.narrowed(full, left), f"going down to {revision} loses more than its columns"
    assert left == {}

    database.upgrade()
    refilled = fill(database, HEAD, vault)
    assert set(refilled) == set(full)
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_one_step_down_and_up_again_loses_what_that_step_added_alone(database: Database, vault: Vault) -> None:
    database.upgrade()
    full = fill(database, HEAD, vault)
    at(database, REVISIONS[-2])
    before = shelves(database)
    database.upgrade()
    assert past.narrowed(shelves(database), before) == before
    assert set(shelves(database)) == set(full)


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_the_past_opens_loses_nothing_and_answers(
    database: Database, vault: Vault, revision: str
) -> None:
    at(database, revision)
    before = fill(database, revision, vault)
    with capture_logs() as logs:
        database.upgrade()
    after = shelves(database)
    assert set(after) >= set(before)
    assert past.narrowed(after, before) == before
    told = [each for each in logs if each["event"] == "database_upgraded"]
    assert [(each["before"], each["after"]) for each in told] == ([(revision, HEAD)] if revision != HEAD else [])
    stores = sql_stores(database, vault, FakeClock(START))
    for since, answers in ANSWERS.items():
        if since <= revision:
            answers(stores)
    assert [each.request_id for each in SqlImpersonations(database).since("acme", 0)] == (
        ["req-2"] if revision >= "0007" else []
    )
    refuses_to_change_the_audit(database)


def answers_first(stores: Stores) -> None:
    state, record = stores.tenants.get("acme"), stores.subjects.get("acme", "bob")
    assert state.tenant.secrets() == {"issuing_client": "issuing-s3cret", "management_client": "management-s3cret"}
    assert (state.rollout.stage, state.rollout.percentage, state.rollout.revision) == (Stage.ROLLOUT, 25, 3)
    assert state.rollout.cohorts.groups == {"Finance"}
    assert record is not None
    assert record.is_synced(now=START, max_age_s=3600)
    token = stores.tokens.get(state.tenant.token_key("bob"))
    assert token is not None
    assert (token.value, token.token_id) == ("the-access-token", "id-of-the-token")
    assert stores.ledger.claim("portal", "jti-1", START + 300, now=START) is False
    operator = stores.operators.find("hash-of-ci")
    assert operator is not None
    assert (operator.grant.role, operator.grant.tenant) == (Role.ADMIN, None)
    assert [each.reason for each in stores.audit.latest(tenant="acme")] == ["the pilot group first"]
    changed = stores.audit.last_change("acme")
    assert changed is not None
    assert changed.actor == "cli:erin"


def answers_watched(stores: Stores) -> None:
    assert stores.measures.tallies(["acme"], START - 60) == {"acme": {"asked": 1, "calls": 5}}
    assert [each.id for each in stores.outbox.due(START, limit=9)] == ["notice-1"]


def answers_plan(stores: Stores) -> None:
    state = stores.tenants.get("acme")
    assert str(state.rollout.ramp) == "25 % for 1 h, 100 %"
    assert state.kill is not None
    assert stores.tenants.kill_all() is not None


def answers_decided(stores: Stores) -> None:
    noted = stores.decisions.get("acme", "bob")
    assert noted is not None
    assert (noted.decision.path, noted.decision.provider) == (Way.OAUTH, "flagd")


def answers_uses(stores: Stores) -> None:
    assert [each.hours for each in stores.jwt_uses.latest("acme", since=0, limit=9)] == [3]
    assert stores.jwt_uses.watched_since() == START - 90_000


def answers_proof(stores: Stores) -> None:
    result, baseline = stores.parity.result("acme", "bob"), stores.parity.baseline("acme", "bob")
    assert result is not None
    assert result.outcome is Outcome.PROVEN
    assert baseline is not None
    assert baseline.access.holder.user_id == "id-of-bob"


def answers_history(stores: Stores) -> None:
    assert stores.history.counts("acme", 3600, since=0) == {("issued", past.HOUR): 9}
    assert stores.history.claim(77) is False


def answers_budget(stores: Stores) -> None:
    ((account, spent),) = stores.budget.spent(0).items()
    assert (account.client, [(each.calls, each.refused) for each in spent]) == ("issuing", [(4, 1)])
    assert stores.budget.closed() == {("acme", 2): START + 9}


def answers_leases(stores: Stores) -> None:
    lease = stores.budget.lease("acme", "bob")
    assert lease is not None
    assert lease.holder == "worker-1"


def answers_renewals(stores: Stores) -> None:
    near = stores.renewals.due("acme", now=START, before=START + 30_000, seen_since=START - 60, limit=9)
    assert [each.token_id for each in near] == ["id-of-the-token"]


ANSWERS: dict[str, Callable[[Stores], None]] = {
    "0001": answers_first,
    "0003": answers_watched,
    "0004": answers_plan,
    "0005": answers_decided,
    "0006": answers_uses,
    "0009": answers_proof,
    "0011": answers_history,
    "0013": answers_budget,
    "0015": answers_leases,
    "0016": answers_renewals,
}


def refuses_to_change_the_audit(database: Database) -> None:
    with pytest.raises(StoreError), database.writing() as connection:
        connection.execute(text("DELETE FROM audit"))


def test_who_had_a_session_and_a_token_at_the_first_revision_is_served_without_a_call(
    empty: str, database: Database, vault: Vault
) -> None:
    at(database, REVISIONS[0])
    fill(database, REVISIONS[0], vault)
    environment = {
        "BRIDGE_SECRET_KEY": "x" * 32,
        "BRIDGE_ENCRYPTION_KEYS": KEY,
        "BRIDGE_PUBLIC_URL": "http://localhost:8000",
        "BRIDGE_DATABASE_URL": empty,
        "BRIDGE_IDENTITY": "header",
        "BRIDGE_TRUSTED_PROXIES": "10.0.0.0/8",
    }
    bridge = build(read_settings(environment), clock=FakeClock(START))
    client = create_app(bridge).test_client()
    answer = client.post("/t/acme/access-token", headers={"Authorization": f"Bearer {past.BEARER}"})
    bridge.close()
    assert (answer.status_code, answer.text) == (200, "the-access-token")


def test_an_upgrade_that_fails_leaves_everything_as_it_was(database: Database, vault: Vault) -> None:
    at(database, "0010")
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE leases (id INTEGER)"))  # in the way of the fifth one from here
    before = fill(database, "0010", vault)
    with pytest.raises(StoreError):
        database.upgrade()
    assert shelves(database) == before
    with database.reading() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "0010"
        connection.rollback()
    with database.writing() as connection:
        connection.execute(text("DROP TABLE leases"))
    database.upgrade()


MACHINE = """
import sys
from bridge.adapters.sql import open_database
open_database(sys.argv[1], patience_s=0.1).upgrade()
"""
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def test_of_two_machines_that_start_at_once_one_upgrades_and_the_other_waits(
    postgresql_url: str, postgresql_server: Callable[[str], None], vault: Vault
) -> None:
    """It waits longer than a request would: here a request's patience is a tenth of a second."""
    postgresql_server("CREATE DATABASE upgraded_at_once")
    url = postgresql_url.replace("/postgres", "/upgraded_at_once")
    database = open_database(url)
    at(database, REVISIONS[0])
    before = fill(database, REVISIONS[0], vault)
    with database.writing() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})
        machine = [sys.executable, "-c", MACHINE, url]
        machines = [subprocess.Popen(machine, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        waits_for(connection, 2)
        connection.execute(text("SELECT pg_sleep(0.3)"))
    told = "".join(each.communicate(timeout=PATIENCE_S)[0] for each in machines)
    assert [each.returncode for each in machines] == [0, 0]
    assert told.count("database_upgraded") == 1
    assert past.narrowed(shelves(database), before) == before
    database.close()
    postgresql_server("DROP DATABASE upgraded_at_once")


def waits_for(connection: Connection, wanted: int) -> None:
    ends = time.monotonic() + PATIENCE_S
    while connection.execute(text(WAITING)).scalar_one() < wanted:
        assert time.monotonic() < ends
        connection.execute(text("SELECT pg_sleep(0.02)"))
