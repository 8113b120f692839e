"""The pages of the console ask the database as often for 100,000 events and 100 tenants as for few of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from databasekit import put_database
from fakes import FakeClock
from flask.testing import FlaskClient
from samples import tenant
from sqlalchemy import Engine, event, text

from bridge.adapters.sql import open_database
from bridge.bootstrap import Bridge, build
from bridge.model import AuditEvent, Rollout
from bridge.settings import read_settings
from bridge.web import create_app

PAGES = [
    "/admin/",
    "/admin/tenants/t-000",
    "/admin/tenants/t-000/set-up",
    "/admin/tenants/t-000/trends",
    "/admin/tenants/t-000/guardrails",
    "/admin/audit",
    "/admin/audit?tenant=t-000",
    "/admin/settings",
    "/admin/budget?people=100",
]
GROW = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO audit (at, actor, action, tenant, reason, request_id)
SELECT i, 'oidc:erin', 'stage.move', 't-00' || (i % 10), 'because', '' FROM n
"""


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{put_database(tmp_path)}"


@pytest.fixture
def bridge(database_url: str) -> Iterator[Bridge]:
    environment = {
        "BRIDGE_SECRET_KEY": "x" * 32,
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": "http://localhost:8000",
        "BRIDGE_DATABASE_URL": database_url,
    }
    bridge = build(read_settings(environment), clock=FakeClock())
    yield bridge
    bridge.close()


@contextmanager
def counted() -> Iterator[list[str]]:
    asked: list[str] = []
    me = threading.get_ident()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.get_ident() == me:  # chores of the process ask in threads of their own
            asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield asked
    event.remove(Engine, "before_cursor_execute", note)


def connect(bridge: Bridge, numbers: range) -> None:
    for number in numbers:
        known = tenant(f"t-{number:03}")
        made = AuditEvent(1, "test", "tenant.create", known.slug, "", None, None)
        bridge.tenants.save(known, starting_at=Rollout(), event=made)


def queries(client: FlaskClient, headers: dict[str, str]) -> dict[str, int]:
    found = {}
    for page in PAGES:
        client.get(page, headers=headers)
        with counted() as asked:
            assert client.get(page, headers=headers).status_code == 200
        found[page] = len(asked)
        assert "history_people" not in " ".join(asked)  # a row a person: what it counts is kept beside it
    return found


def test_neither_events_nor_tenants_make_a_page_ask_more(bridge: Bridge, database_url: str) -> None:
    headers = {"Authorization": f"Bearer {bridge.operators.new_token('ci', actor='test')}"}
    client = create_app(bridge).test_client()
    connect(bridge, range(1))
    few = queries(client, headers)

    connect(bridge, range(1, 100))
    database = open_database(database_url)
    with database.writing() as connection:
        connection.execute(text(GROW))
    database.close()

    assert queries(client, headers) == few
    assert max(few.values()) <= 20  # the plan asks each condition of a move
