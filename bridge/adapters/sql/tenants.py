"""Tenants and their rollouts in SQL: a document a row, secrets sealed apart from it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Row, exists, select, update

from bridge.adapters.sql.audit import append_event
from bridge.adapters.sql.database import Database, bump, upsert
from bridge.adapters.sql.tables import TENANTS
from bridge.adapters.vault import Vault
from bridge.errors import Conflict, StoreError, UnknownTenant
from bridge.model import AuditEvent, Cohorts, Rollout, Stage, Tenant, TenantState


class SqlTenants:
    """Implements ports.TenantStore."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def all(self) -> Mapping[str, TenantState]:
        with self._database.reading() as connection:
            rows = connection.execute(select(TENANTS).order_by(TENANTS.c.slug)).all()
        return {row.slug: self._state(row) for row in rows}

    def get(self, slug: str) -> TenantState:
        with self._database.reading() as connection:
            row = connection.execute(select(TENANTS).where(TENANTS.c.slug == slug)).one_or_none()
        if row is None:
            raise UnknownTenant
        return self._state(row)

    def save(self, tenant: Tenant, *, starting_at: Rollout, event: AuditEvent) -> None:
        facts = {
            "document": tenant.public_document(),
            "secrets": self._vault.seal(json.dumps(tenant.secrets())),
        }
        with self._database.writing() as connection:
            row = {"slug": tenant.slug, **facts, **_columns(starting_at)}
            statement = upsert(connection, TENANTS).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=[TENANTS.c.slug], set_=facts))
            append_event(connection, event)
            bump(connection)

    def move(self, slug: str, *, before: Rollout, after: Rollout, event: AuditEvent) -> Rollout:
        moved = replace(after, revision=before.revision + 1)
        same = (TENANTS.c.slug == slug) & (TENANTS.c.rollout_revision == before.revision)
        with self._database.writing() as connection:
            if connection.execute(update(TENANTS).where(same).values(_columns(moved))).rowcount == 0:
                known = connection.execute(select(exists().where(TENANTS.c.slug == slug))).scalar_one()
                raise Conflict if known else UnknownTenant
            append_event(connection, event)
            bump(connection)
        return moved

    def _state(self, row: Row[Any]) -> TenantState:
        secrets = json.loads(self._vault.open(row.secrets))
        try:
            tenant = Tenant.from_documents(row.document, secrets)
        except (ValidationError, KeyError) as error:
            detail = f"the stored document of tenant {row.slug} is not of this version ({type(error).__name__})"
            raise StoreError(detail=detail) from None
        return TenantState(tenant, _rollout(row))


def _columns(rollout: Rollout) -> dict[str, Any]:
    return {
        "stage": rollout.stage.value,
        "percentage": rollout.percentage,
        "cohorts": rollout.document()["cohorts"],
        "rollout_revision": rollout.revision,
    }


def _rollout(row: Row[Any]) -> Rollout:
    cohorts = Cohorts(frozenset(row.cohorts["subjects"]), frozenset(row.cohorts["groups"]))
    return Rollout(Stage(row.stage), row.percentage, cohorts, row.rollout_revision)
