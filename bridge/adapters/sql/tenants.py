"""Tenants and their rollouts in SQL: a document a row, secrets sealed apart from it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection, Row, delete, exists, select, true, update

from bridge.adapters.sql.audit import append_event
from bridge.adapters.sql.database import Database, bump, upsert
from bridge.adapters.sql.notices import put_notices
from bridge.adapters.sql.tables import SWITCHES, TENANTS
from bridge.adapters.vault import Vault
from bridge.errors import Conflict, UnknownTenant, UnreadableTenant
from bridge.model import AuditEvent, Cohorts, Rollout, Stage, Tenant, TenantState, Unreadable
from bridge.plan import Kill, Pause, Ramp, RampStep, Wait
from bridge.webhooks import Notice

log = structlog.get_logger()

KILL_ALL = "kill_all"


class SqlTenants:
    """Implements ports.TenantStore."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def all(self) -> Mapping[str, TenantState]:
        return self.read()[0]

    def unreadable(self) -> Mapping[str, Unreadable]:
        return self.read()[1]

    def read(self) -> tuple[Mapping[str, TenantState], Mapping[str, Unreadable]]:
        states: dict[str, TenantState] = {}
        unreadable: dict[str, Unreadable] = {}
        with self._database.reading() as connection:
            rows = connection.execute(select(TENANTS).order_by(TENANTS.c.slug)).all()
            kill_all = _kill_all(connection)
        for row in rows:
            try:
                states[row.slug] = self._state(row, kill_all)
            except UnreadableTenant as error:
                log.warning("tenant_unreadable", tenant=row.slug, problem=error.problem)
                unreadable[row.slug] = Unreadable(error.problem, _claimed_hosts(row.document))
        return states, unreadable

    def get(self, slug: str, *, fresh: bool = False) -> TenantState:
        del fresh  # nothing here is a copy
        with self._database.reading() as connection:
            row = connection.execute(select(TENANTS).where(TENANTS.c.slug == slug)).one_or_none()
            kill_all = _kill_all(connection)
        if row is None:
            raise UnknownTenant
        return self._state(row, kill_all)

    def save(self, tenant: Tenant, *, starting_at: Rollout, event: AuditEvent, seen: int | None = None) -> None:
        facts = {
            "document": tenant.public_document(),
            "secrets": self._vault.seal(json.dumps(tenant.secrets())),
        }
        with self._database.writing() as connection:
            row = {"slug": tenant.slug, "revision": 1, **facts, **_columns(starting_at)}
            statement = upsert(connection, TENANTS).values(row)
            newer = {**facts, "revision": TENANTS.c.revision + 1}
            same = true() if seen is None else TENANTS.c.revision == seen
            statement = statement.on_conflict_do_update(index_elements=[TENANTS.c.slug], set_=newer, where=same)
            written = connection.execute(statement.returning(TENANTS)).one_or_none()
            if written is None or (seen is not None and written.revision != seen + 1):  # nothing of it is committed
                raise Conflict
            self._tenant(written)  # as everybody will read it from now on
            append_event(connection, event)
            bump(connection)

    def move(
        self, slug: str, *, before: Rollout, after: Rollout, event: AuditEvent, notices: Sequence[Notice] = ()
    ) -> Rollout:
        moved = replace(after, revision=before.revision + 1)
        same = (TENANTS.c.slug == slug) & (TENANTS.c.rollout_revision == before.revision)
        with self._database.writing() as connection:
            if connection.execute(update(TENANTS).where(same).values(_columns(moved))).rowcount == 0:
                known = connection.execute(select(exists().where(TENANTS.c.slug == slug))).scalar_one()
                raise Conflict if known else UnknownTenant
            append_event(connection, event)
            put_notices(connection, notices)
            bump(connection)
        return moved

    def kill_all(self) -> Kill | None:
        with self._database.reading() as connection:
            return _kill_all(connection)

    def set_kill_all(self, kill: Kill | None, *, before: Kill | None, event: AuditEvent) -> None:
        with self._database.writing() as connection:
            if _kill_all(connection, to_change=True) != before:
                raise Conflict
            if before is not None:
                connection.execute(delete(SWITCHES).where(SWITCHES.c.name == KILL_ALL))
            if kill is not None and not _switched_on(connection, kill):
                raise Conflict
            append_event(connection, event)
            bump(connection)

    def _state(self, row: Row[Any], kill_all: Kill | None) -> TenantState:
        tenant = self._tenant(row)
        with _in_words(row.slug):
            return TenantState(tenant, _rollout(row), kill_all, row.revision)

    def _tenant(self, row: Row[Any]) -> Tenant:
        with _in_words(row.slug):
            opened = self._vault.open(row.secrets)
            if opened is None:
                log.error("tenant_secrets_locked", tenant=row.slug, see="qlik-bridge check")
            return Tenant.from_documents(row.document, None if opened is None else json.loads(opened))


@contextmanager
def _in_words(slug: str) -> Iterator[None]:
    """Say what is wrong with the row of one tenant."""
    try:
        yield
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        problem = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
        raise UnreadableTenant.named(slug, problem) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableTenant.named(slug, f"it is not of this version ({type(error).__name__})") from None


def _claimed_hosts(document: object) -> frozenset[str]:
    """Return the portal hosts of a document in which anything may be wrong."""
    hosts = document.get("portal_hosts") if isinstance(document, Mapping) else None
    return frozenset(each for each in hosts if isinstance(each, str)) if isinstance(hosts, list) else frozenset()


def _columns(rollout: Rollout) -> dict[str, Any]:
    return {
        "stage": rollout.stage.value,
        "percentage": rollout.percentage,
        "cohorts": rollout.document()["cohorts"],
        "rollout_revision": rollout.revision,
        "ramp": asdict(rollout.ramp) if rollout.ramp else None,
        "kill": asdict(rollout.kill) if rollout.kill else None,
    }


def _rollout(row: Row[Any]) -> Rollout:
    cohorts = Cohorts(frozenset(row.cohorts["subjects"]), frozenset(row.cohorts["groups"]))
    return Rollout(Stage(row.stage), row.percentage, cohorts, row.rollout_revision, _ramp(row.ramp), _kill(row.kill))


def _ramp(document: Mapping[str, Any] | None) -> Ramp | None:
    if document is None:
        return None
    steps = tuple(RampStep(**step) for step in document["steps"])
    pause = Pause(**document["pause"]) if document["pause"] else None
    wait = Wait(**document["wait"]) if document.get("wait") else None
    return Ramp(steps, document["taken"], document["since"], pause, wait)


def _kill(document: Mapping[str, Any] | None) -> Kill | None:
    return Kill(**document) if document else None


def _kill_all(connection: Connection, *, to_change: bool = False) -> Kill | None:
    query = select(SWITCHES.c.document).where(SWITCHES.c.name == KILL_ALL)
    return _kill(connection.execute(query.with_for_update() if to_change else query).scalar_one_or_none())


def _switched_on(connection: Connection, kill: Kill) -> bool:
    """Tell whether nobody else did since we looked: a row that is not there yet cannot be locked."""
    on = upsert(connection, SWITCHES).values(name=KILL_ALL, document=asdict(kill)).on_conflict_do_nothing()
    return connection.execute(on.returning(SWITCHES.c.name)).first() is not None
