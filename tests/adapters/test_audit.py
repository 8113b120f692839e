"""The contract of the audit, over every implementation, and what the database itself refuses."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import event as hooks
from sqlalchemy import text
from stores import Stores

from bridge.adapters.sql import Database, SqlAuditLog, open_database
from bridge.adapters.sql.audit import STRIDE
from bridge.adapters.sql.tables import AUDIT, BEGINS_ANEW
from bridge.errors import StoreError
from bridge.model import AuditEvent
from bridge.trail import AuditFilter

ROWS = 100_000


def test_the_newest_come_first(stores: Stores, event: AuditEvent) -> None:
    elsewhere = replace(event, tenant=None, before={"a": [1, None]}, after=None, reason="ünd")
    for each in (event, elsewhere, replace(event, at=9.75)):
        stores.audit.append(each)
    assert list(stores.audit.latest()) == [replace(event, at=9.75), elsewhere, event]
    assert list(stores.audit.latest(tenant="acme")) == [replace(event, at=9.75), event]
    assert list(stores.audit.latest(limit=1)) == [replace(event, at=9.75)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (AuditFilter(), [0, 1, 2, 3]),
        (AuditFilter(tenant="acme"), [0, 2]),
        (AuditFilter(tenant="ACME"), []),
        (AuditFilter(actor="cli:bob"), [2]),
        (AuditFilter(action="stage.move"), [1, 2]),
        (AuditFilter(since=20), [1, 2, 3]),
        (AuditFilter(until=20), [0]),
        (AuditFilter(since=20, until=30), [1]),
        (AuditFilter(tenant="acme", action="stage.move", since=30), [2]),
    ],
)
def test_each_filter_narrows(stores: Stores, event: AuditEvent, asked: AuditFilter, found: list[int]) -> None:
    events = [
        replace(event, at=10.0),
        replace(event, at=20.0, tenant="globex", action="stage.move"),
        replace(event, at=30.0, actor="cli:bob", action="stage.move"),
        replace(event, at=40.0, tenant=None),
    ]
    for each in events:
        stores.audit.append(each)

    assert [entry.event for entry in stores.audit.walk(asked)] == [events[place] for place in found]
    assert [entry.event for entry in stores.audit.page(asked)] == [events[place] for place in reversed(found)]


def test_pages_follow_each_other_while_events_arrive(stores: Stores, event: AuditEvent) -> None:
    for number in range(5):
        stores.audit.append(replace(event, at=float(number)))
    first = stores.audit.page(AuditFilter(), limit=2)
    stores.audit.append(replace(event, at=9.0))
    second = stores.audit.page(AuditFilter(), before=first[-1].id, limit=2)
    last = stores.audit.page(AuditFilter(), before=second[-1].id, limit=2)

    assert [entry.event.at for entry in (*first, *second, *last)] == [4, 3, 2, 1, 0]
    assert stores.audit.page(AuditFilter(), before=last[-1].id) == []


def test_what_looks_like_a_credential_never_gets_in(stores: Stores, event: AuditEvent) -> None:
    typed = "for qbo_abcdefghijklmnop of CI, back to the basic plan"
    stores.audit.append(replace(event, reason=typed, before=None, after={"kill": {"reason": typed}, "names": [typed]}))

    masked = "for [redacted] of CI, back to the basic plan"
    kept = stores.audit.latest()[0]
    assert (kept.reason, kept.before) == (masked, None)
    assert kept.after == {"kill": {"reason": masked}, "names": [masked]}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET reason = 'nothing to see'",
        "UPDATE audit SET tenant = 'globex' WHERE id = 1",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
    ],
)
def test_the_database_refuses_to_change_an_event(database: Database, event: AuditEvent, change: str) -> None:
    audit = SqlAuditLog(database)
    audit.append(event)

    with pytest.raises(StoreError), database.writing() as connection:
        connection.execute(text(change))

    assert audit.latest() == [event]


def test_an_audit_from_before_the_triggers_is_kept_and_guarded(tmp_path: Path) -> None:
    """Upgrade a database of the first version that has events already."""
    database = open_database(f"sqlite:///{tmp_path}/bridge.db")
    to_head = command.upgrade
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _revision: to_head(config, "0001"))
        database.upgrade()
    with database.writing() as connection:
        connection.execute(text(f"INSERT INTO audit {ROW}"))
    database.upgrade()

    with pytest.raises(StoreError), database.writing() as connection:
        connection.execute(text("DELETE FROM audit"))
    assert [each.actor for each in SqlAuditLog(database).latest()] == ["x"]
    database.close()


ROW = "(id, at, actor, action, reason, request_id) VALUES (1, 9, 'x', 'x', '', '')"


def test_sqlite_refuses_to_replace_an_event(sqlite_database: Database, event: AuditEvent) -> None:
    audit = SqlAuditLog(sqlite_database)
    audit.append(event)
    for change in (f"INSERT OR REPLACE INTO audit {ROW}", f"REPLACE INTO audit {ROW}", f"INSERT INTO audit {ROW}"):
        with pytest.raises(StoreError), sqlite_database.writing() as connection:
            connection.execute(text(change))

    assert audit.latest() == [event]


def test_postgresql_refuses_to_empty_the_audit(postgresql_database: Database, event: AuditEvent) -> None:
    audit = SqlAuditLog(postgresql_database)
    audit.append(event)
    for change in ("TRUNCATE audit", f"INSERT INTO audit {ROW} ON CONFLICT (id) DO UPDATE SET actor = 'x'"):
        with pytest.raises(StoreError), postgresql_database.writing() as connection:
            connection.execute(text(change))

    assert audit.latest() == [event]


MANY = {
    "sqlite": "WITH RECURSIVE many(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM many LIMIT 100000)",
    "postgresql": "WITH many AS (SELECT n FROM generate_series(0, 99999) AS n)",
}
INSERT = """ INSERT INTO audit (at, actor, action, tenant, reason, request_id)
    SELECT n, 'cli:erin', 'stage.move', CASE n - n / 10 * 10 WHEN 0 THEN 'acme' ELSE 'globex' END, 'because', ''
    FROM many"""


@pytest.fixture
def queries(database: Database) -> Iterator[list[str]]:
    """Every SELECT from here on."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            found.append(statement)

    hooks.listen(database._engine, "before_cursor_execute", note)
    yield found
    hooks.remove(database._engine, "before_cursor_execute", note)


@pytest.fixture
def long_audit(database: Database) -> SqlAuditLog:
    """A hundred thousand events, every tenth of acme."""
    with database.writing() as connection:
        connection.execute(text(MANY[connection.dialect.name] + INSERT))
    return SqlAuditLog(database)


def test_a_walk_over_a_hundred_thousand_events_asks_once_a_thousand(
    long_audit: SqlAuditLog, queries: list[str]
) -> None:
    held = [1 for _ in long_audit.walk(AuditFilter())]

    assert len(held) == ROWS
    assert len(queries) == ROWS / STRIDE + 1


def test_a_page_of_a_hundred_thousand_events_is_one_query(long_audit: SqlAuditLog, queries: list[str]) -> None:
    asked = [AuditFilter(), AuditFilter(tenant="acme"), AuditFilter(actor="nobody"), AuditFilter(action="nothing")]
    asked += [AuditFilter(since=ROWS - 50), AuditFilter(until=50), AuditFilter(tenant="acme", since=500, until=900)]

    sizes = [len(long_audit.page(each, limit=20)) for each in asked]

    assert sizes == [20, 20, 0, 0, 20, 20, 20]
    assert len(queries) == len(asked)


def test_the_newest_change_of_a_rollout_is_found_among_much_else(
    long_audit: SqlAuditLog, database: Database, event: AuditEvent
) -> None:
    """By its own index: one row is read, whatever else is in the audit."""
    changed = replace(event, tenant="initech", actor="cli:erin", action="ramp.start")
    late = [("stage.move", "acme"), ("stage.revive", None), ("path.change", "initech"), ("stagehand.x", "initech")]
    for each in (
        changed,
        *(replace(changed, action=action, tenant=tenant) for action, tenant in late),
        replace(changed, action="ramp.step", actor="ramp"),
    ):
        long_audit.append(each)

    assert long_audit.last_change("initech") == changed
    assert long_audit.last_change(None) == replace(changed, action="stage.revive", tenant=None)
    assert long_audit.last_change("nobody") is None
    for tenant in ("tenant = 'initech'", "tenant = 'nobody'", "tenant IS NULL"):
        assert "ix_audit_changes" in _plan(database, tenant)


def _plan(database: Database, tenant: str) -> str:
    query = f"SELECT * FROM audit WHERE {BEGINS_ANEW} AND {tenant} ORDER BY id DESC LIMIT 1"  # noqa: S608 - our own words
    with database.writing() as connection:
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        if connection.dialect.name == "postgresql":
            connection.execute(text("ANALYZE audit"))  # as its own housekeeping does in time
        return str(connection.execute(text(f"{explain} {query}")).all())


def test_the_newest_change_is_the_same_in_every_implementation(stores: Stores, event: AuditEvent) -> None:
    changed = replace(event, tenant="acme", actor="cli:erin", action="stage.move")
    for each in (changed, replace(changed, action="path.change"), replace(changed, actor="ramp", action="ramp.step")):
        stores.audit.append(each)

    assert stores.audit.last_change("acme") == changed
    assert stores.audit.last_change(None) is None


def test_sqlite_finds_a_page_without_sorting_the_audit(sqlite_database: Database) -> None:
    statement = AUDIT.select().where(AUDIT.c.id < 90_000).order_by(AUDIT.c.id.desc()).limit(20)
    wanted = [AUDIT.c.tenant == "acme", AUDIT.c.actor == "x", AUDIT.c.action == "x", AUDIT.c.at >= 5, AUDIT.c.at < 5]
    for each in wanted:
        query = statement.where(each).compile(sqlite_database._engine, compile_kwargs={"literal_binds": True})
        with sqlite_database.reading() as connection:
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {query}")).all()

        assert [step[-1] for step in plan if "TEMP B-TREE" in step[-1]] == []


def test_the_owners_way_to_an_end_works_as_written(database: Database, event: AuditEvent) -> None:
    """docs/reference/audit.md shows it, for PostgreSQL first."""
    written = (Path(__file__).parents[2] / "docs" / "reference" / "audit.md").read_text()
    for_postgresql, for_sqlite = re.findall(r"```sql\n(.*?)```", written, re.DOTALL)
    audit = SqlAuditLog(database)
    for at in (1_000_000_000.0, 1_800_000_000.0):
        audit.append(replace(event, at=at))

    raw = database._engine.raw_connection()
    if database._engine.dialect.name == "sqlite":
        raw.driver_connection.executescript(for_sqlite)  # type: ignore[union-attr]
    else:
        raw.driver_connection.autocommit = True  # type: ignore[union-attr]
        raw.driver_connection.execute(for_postgresql)  # type: ignore[union-attr]
        raw.driver_connection.autocommit = False  # type: ignore[union-attr]
    raw.close()

    assert [each.at for each in audit.latest()] == [1_800_000_000.0]
    with pytest.raises(StoreError), database.writing() as connection:
        connection.execute(text("DELETE FROM audit"))
