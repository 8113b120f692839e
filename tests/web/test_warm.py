"""A person who is known and whose token lives costs no question to the database and no call to the tenant."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from databasekit import put_database
from fakes import FakeClock
from flask.testing import FlaskClient
from requests import Session
from samples import identity, tenant
from sqlalchemy import Engine, event, text
from werkzeug.test import TestResponse

from bridge.adapters.sql import SqlSubjects, SqlTokens, open_database
from bridge.adapters.vault import Vault
from bridge.bootstrap import Bridge, build
from bridge.model import AuditEvent, IssuedToken, Rollout, Stage
from bridge.settings import read_settings
from bridge.web import create_app

KEY = Fernet.generate_key().decode()
ACME = tenant(admits=["header"])
ALICE = replace(identity("alice", "Finance"), source="header", issuer="")


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{put_database(tmp_path)}"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bridge(database_url: str, clock: FakeClock) -> Iterator[Bridge]:
    environment = {
        "BRIDGE_SECRET_KEY": "x" * 32,
        "BRIDGE_ENCRYPTION_KEYS": KEY,
        "BRIDGE_PUBLIC_URL": "http://localhost:8000",
        "BRIDGE_DATABASE_URL": database_url,
        "BRIDGE_IDENTITY": "header",
        "BRIDGE_TRUSTED_PROXIES": "10.0.0.0/8",
    }
    bridge = build(read_settings(environment), clock=clock)
    made = AuditEvent(1, "test", "tenant.create", "acme", "", None, None)
    bridge.tenants.save(ACME, starting_at=Rollout(Stage.OAUTH), event=made)
    yield bridge
    bridge.close()


@pytest.fixture
def known(bridge: Bridge, database_url: str, clock: FakeClock) -> Bridge:
    """Alice was logged in and has a token, both by another process: here, nothing is known of her yet."""
    database = open_database(database_url)
    subjects = SqlSubjects(database)
    record = subjects.note("acme", ALICE.subject, ALICE.asserted_at)
    groups = ALICE.subject.groups
    synced = {"user_id": "id-alice", "synced_fingerprint": ALICE.subject.fingerprint(), "synced_groups": groups}
    subjects.record_sync(replace(record, **synced, synced_at=clock()))  # type: ignore[arg-type]
    token = IssuedToken(ACME.token_key("alice"), "id-1", "value-1", "user_default", clock(), clock() + 21_600)
    SqlTokens(database, Vault([KEY]), clock).put(token)
    database.close()
    return bridge


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note every statement of this thread, and every call to a tenant."""
    noted: list[str] = []
    me = threading.get_ident()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.get_ident() == me:
            noted.append(statement)

    monkeypatch.setattr(Session, "send", lambda *_args, **_kwargs: noted.append("a call"))
    event.listen(Engine, "before_cursor_execute", note)
    yield noted
    event.remove(Engine, "before_cursor_execute", note)


def ask(client: FlaskClient, value: str) -> TestResponse:
    return client.post("/t/acme/access-token", headers={"Authorization": f"Bearer {value}"})


def test_a_warm_request_asks_nobody(known: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    client, session = create_app(known).test_client(), known.sessions.open(ALICE)
    with counted(monkeypatch) as asked:
        assert ask(client, session).text == "value-1"
        assert asked, "the first one reads session, tenants, subject and token"
        assert "a call" not in asked
        asked.clear()
        assert [ask(client, session).text for _ in range(20)] == ["value-1"] * 20

    assert asked == []


def test_a_session_that_is_in_use_is_written_down_by_nobody_who_waits(
    known: Bridge, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, session = create_app(known).test_client(), known.sessions.open(ALICE)
    ask(client, session)
    with counted(monkeypatch) as asked:
        for _ in range(3):
            clock.advance(61)
            assert ask(client, session).text == "value-1"
    assert all("FROM revision" in statement for statement in asked)

    known.sessions.flush()
    database = open_database(known.settings.database_url)
    with database.reading() as connection:
        assert connection.execute(text("SELECT seen_at FROM sessions")).scalar() == clock()
    database.close()


def test_the_look_for_news_is_one_statement_a_quarter_second(
    known: Bridge, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, session = create_app(known).test_client(), known.sessions.open(ALICE)
    ask(client, session)
    with counted(monkeypatch) as asked:
        for _ in range(3):
            clock.advance(0.25)
            assert [ask(client, session).status_code for _ in range(5)] == [200] * 5

    looks = [statement for statement in asked if statement != "BEGIN"]
    assert len(looks) == 3
    assert all("FROM revision" in statement for statement in looks)


def test_with_the_database_away_it_is_served_for_a_minute_and_told(
    known: Bridge, clock: FakeClock, database_url: str
) -> None:
    app, session = create_app(known), known.sessions.open(ALICE)
    client, bob = app.test_client(), known.sessions.open(replace(ALICE, subject=replace(ALICE.subject, sub="bob")))
    assert ask(client, session).status_code == 200
    database = open_database(database_url)
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE revision RENAME TO gone"))
        connection.execute(text("ALTER TABLE subjects RENAME TO gone_too"))
    database.close()

    clock.advance(50)
    assert ask(client, session).text == "value-1"
    assert ask(client, bob).get_json()["error"] == "store_error"
    ready = client.get("/readyz", environ_base={"REMOTE_ADDR": "127.0.0.1"})
    assert (ready.status_code, ready.get_json()["state_age_s"]) == (503, 50)
    metrics = client.get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).text
    (seen,) = (line for line in metrics.splitlines() if line.startswith("bridge_store_seen_timestamp_seconds "))
    assert clock() - float(seen.split()[1]) == 50

    clock.advance(11)
    late = ask(client, session)
    assert (late.status_code, late.get_json()["error"]) == (503, "store_error")
    assert late.headers["Retry-After"]
