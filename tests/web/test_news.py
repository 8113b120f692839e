"""What one worker is told, every other one does within two seconds; without the database the last state stands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from databasekit import drop_database, own_database, put_database
from fakes import FakeClock
from samples import identity, tenant
from sqlalchemy import text

from bridge.adapters.sql import SqlSubjects, SqlTokens, open_database
from bridge.adapters.vault import Vault
from bridge.bootstrap import Bridge, build
from bridge.model import AuditEvent, IssuedToken, Rollout, Stage
from bridge.plan import Order
from bridge.services.stages import Move
from bridge.settings import read_settings
from bridge.web import create_app

WITHIN_S = 2.0
KEY = Fernet.generate_key().decode()
ACME = tenant(admits=["header"])
ALICE = replace(identity("alice", "Finance"), source="header", issuer="")
ERIN = Order("cli:erin", "story")


@dataclass
class Workers:
    """Two of them over one database, with one clock; `value` is what alice's page holds."""

    told: Bridge
    other: Bridge
    clock: FakeClock
    url: str
    value: str = ""

    def __post_init__(self) -> None:
        self.value = self.told.sessions.open(ALICE)

    def seen(self) -> dict[str, Any]:
        """Return what the other one believes, from its copies where it may."""
        state = self.other.tenants.get("acme")
        token = self.other.lookup.person(state, "alice").token
        return {
            "name": state.tenant.name,
            "stage": state.rollout.stage,
            "killed": state.is_killed,
            "signed in": self.other.sessions.find(self.value) is not None,
            "token": token and token.value,
        }

    def change_tenant(self) -> None:
        event = AuditEvent(self.clock(), "test", "tenant.change", "acme", "", None, None)
        renamed = ACME.model_copy(update={"name": "Acme and Sons"})
        self.told.tenants.save(renamed, starting_at=Rollout(), event=event)

    @contextmanager
    def database_away(self) -> Iterator[None]:
        database = open_database(self.url)
        with database.writing() as connection:
            connection.execute(text("ALTER TABLE revision RENAME TO gone"))
        yield
        with database.writing() as connection:
            connection.execute(text("ALTER TABLE gone RENAME TO revision"))
        database.close()


@pytest.fixture(scope="module")
def like(postgresql_url: str) -> str:
    database = open_database(own_database(postgresql_url, "old_news"))
    database.upgrade()
    database.close()
    return "old_news"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{put_database(tmp_path)}"
        return
    server: str = request.getfixturevalue("postgresql_url")
    yield own_database(server, "news", like=request.getfixturevalue("like"))
    drop_database(server, "news")


@pytest.fixture
def workers(url: str) -> Iterator[Workers]:
    clock = FakeClock()
    environment = {
        "BRIDGE_SECRET_KEY": "x" * 32,
        "BRIDGE_ENCRYPTION_KEYS": KEY,
        "BRIDGE_PUBLIC_URL": "http://localhost:8000",
        "BRIDGE_DATABASE_URL": url,
        "BRIDGE_IDENTITY": "header",
        "BRIDGE_TRUSTED_PROXIES": "10.0.0.0/8",
    }
    told, other = (build(read_settings(environment), clock=clock) for _ in range(2))
    made = AuditEvent(1, "test", "tenant.create", "acme", "", None, None)
    told.tenants.save(ACME, starting_at=Rollout(Stage.OAUTH), event=made)
    database = open_database(url)
    record = SqlSubjects(database).note("acme", ALICE.subject, ALICE.asserted_at)
    synced = replace(record, user_id="id-alice", synced_fingerprint=ALICE.subject.fingerprint(), synced_at=clock())
    SqlSubjects(database).record_sync(synced)
    token = IssuedToken(ACME.token_key("alice"), "id-1", "value-1", "user_default", clock(), clock() + 21_600)
    SqlTokens(database, Vault([KEY]), clock).put(token)
    database.close()
    yield Workers(told, other, clock, url)
    for each in (told, other):
        each.close()


NEWS: dict[str, tuple[Callable[[Workers], object], dict[str, object]]] = {
    "a tenant": (Workers.change_tenant, {"name": "Acme and Sons"}),
    "a stage": (
        lambda workers: workers.told.stages.move("acme", Move(Stage.SHADOW, "erin", "story")),
        {"stage": Stage.SHADOW},
    ),
    "a kill switch": (lambda workers: workers.told.kills.kill("acme", ERIN), {"killed": True}),
    "the kill switch of all": (lambda workers: workers.told.kills.kill_all(ERIN), {"killed": True}),
    "a sign-out": (lambda workers: workers.told.sessions.end(workers.value), {"signed in": False}),
    "revoked tokens": (lambda workers: workers.told.lookup._tokens.doom(tenant="acme", sub="alice"), {"token": None}),
}


@pytest.mark.parametrize("news", NEWS)
def test_news_reach_every_worker_within_two_seconds(workers: Workers, news: str) -> None:
    change, after = NEWS[news]
    before = workers.seen()
    assert before == {"name": "Acme", "stage": Stage.OAUTH, "killed": False, "signed in": True, "token": "value-1"}
    change(workers)
    workers.clock.advance(WITHIN_S)
    assert workers.seen() == before | after


def test_without_the_database_the_last_state_stands_and_is_told(workers: Workers) -> None:
    app = create_app(workers.other)
    client, local = app.test_client(), {"REMOTE_ADDR": "127.0.0.1"}
    headers = {"Authorization": f"Bearer {workers.value}"}
    assert client.post("/t/acme/access-token", headers=headers).text == "value-1"
    before, seen_at = workers.seen(), workers.clock()
    with workers.database_away():
        workers.clock.advance(50)
        assert workers.seen() == before
        assert client.post("/t/acme/access-token", headers=headers).text == "value-1"
        ready = client.get("/readyz", environ_base=local)
        assert (ready.status_code, ready.get_json()["state_age_s"]) == (503, 50)
        assert ready.get_json()["probes"]["database"] == "store_error"
        told = client.get("/metrics", environ_base=local).text
        (metric,) = (line for line in told.splitlines() if line.startswith("bridge_store_seen_timestamp_seconds "))
        assert float(metric.split()[1]) == seen_at
    workers.change_tenant()
    workers.clock.advance(WITHIN_S)
    assert workers.seen()["name"] == "Acme and Sons"
    assert client.get("/readyz", environ_base=local).get_json()["probes"]["database"] == "ok"
