"""Parity's baselines and results, in SQL. Documents go in and out through pydantic, so that an old one is checked."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Table, case, func, select

from bridge.adapters.sql.database import Database, upsert
from bridge.adapters.sql.tables import PARITY_BASELINES, PARITY_RESULTS
from bridge.evidence import Access, Baseline, Check, Outcome, ParityCounts, ParityResult

ACCESS = TypeAdapter(Access)
CHECKS = TypeAdapter(tuple[Check, ...])


class SqlParity:
    """Implements ports.ParityStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep_baseline(self, baseline: Baseline) -> None:
        row = {
            "tenant": baseline.tenant,
            "sub": baseline.sub,
            "fingerprint": baseline.fingerprint,
            "salt_id": baseline.salt_id,
            "taken_at": baseline.taken_at,
            "access": ACCESS.dump_python(baseline.access, mode="json"),
        }
        with self._database.writing() as connection:
            _keep(connection, PARITY_BASELINES, row)

    def baseline(self, tenant: str, sub: str) -> Baseline | None:
        row = self._row(PARITY_BASELINES, tenant, sub)
        if row is None:
            return None
        access = ACCESS.validate_python(row.access)
        return Baseline(row.tenant, row.sub, row.fingerprint, row.salt_id, row.taken_at, access)

    def keep_result(self, result: ParityResult) -> None:
        row = {
            "tenant": result.tenant,
            "sub": result.sub,
            "run": result.run,
            "compared_at": result.compared_at,
            "baseline_at": result.baseline_at,
            "fingerprint": result.fingerprint,
            "outcome": result.outcome.value,
            "basis": result.basis,
            "checks": CHECKS.dump_python(tuple(result.checks), mode="json"),
        }
        with self._database.writing() as connection:
            _keep(connection, PARITY_RESULTS, row)

    def result(self, tenant: str, sub: str) -> ParityResult | None:
        row = self._row(PARITY_RESULTS, tenant, sub)
        return None if row is None else _result(row)

    def results(self, tenant: str, *, outcome: Outcome | None = None, limit: int = 100) -> Sequence[ParityResult]:
        mine = PARITY_RESULTS.c.tenant == tenant
        query = select(PARITY_RESULTS).where(mine).limit(limit)
        if outcome is not None:
            query = query.where(PARITY_RESULTS.c.outcome == outcome.value)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(PARITY_RESULTS.c.compared_at.desc(), PARITY_RESULTS.c.sub)).all()
        return [_result(row) for row in rows]

    def latest_run(self, tenant: str) -> float | None:
        mine = (PARITY_RESULTS.c.tenant == tenant) & (PARITY_RESULTS.c.run > 0)
        query = select(func.max(PARITY_RESULTS.c.run)).where(mine)
        with self._database.reading() as connection:
            run: float | None = connection.execute(query).scalar_one_or_none()
        return run

    def counts(self, tenant: str, *, fresh_since: float, basis: str) -> ParityCounts:
        outcome = PARITY_RESULTS.c.outcome
        is_fresh = (PARITY_RESULTS.c.compared_at >= fresh_since) & (PARITY_RESULTS.c.basis == basis)
        fresh = func.sum(case((is_fresh, 1), else_=0))
        query = select(outcome, func.count(), fresh).where(PARITY_RESULTS.c.tenant == tenant).group_by(outcome)
        with self._database.reading() as connection:
            found = {name: (count, recent) for name, count, recent in connection.execute(query)}
        totals = {name: count for name, (count, _) in found.items()}
        return ParityCounts(**totals, fresh=int(found.get(Outcome.PROVEN.value, (0, 0))[1]))

    def _row(self, table: Table, tenant: str, sub: str) -> Row[Any] | None:
        query = select(table).where(table.c.tenant == tenant, table.c.sub == sub)
        with self._database.reading() as connection:
            return connection.execute(query).one_or_none()


def _keep(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    facts = {name: value for name, value in row.items() if name not in {"tenant", "sub"}}
    statement = upsert(connection, table).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["tenant", "sub"], set_=facts))


def _result(row: Row[Any]) -> ParityResult:
    checks = CHECKS.validate_python(row.checks)
    return ParityResult(
        row.tenant, row.sub, row.run, row.compared_at, row.baseline_at, row.fingerprint, checks, row.basis
    )
