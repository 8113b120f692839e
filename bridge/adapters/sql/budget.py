"""The budget in SQL: calls by account, lane and slot; one row a tier says until when it is closed, and is the lock."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, not_, select, update

from bridge.adapters.sql import leases
from bridge.adapters.sql.database import Database, upsert
from bridge.adapters.sql.tables import BUDGET_CALLS, CLOSED_TIERS
from bridge.budgeting import Account, Lane, Lease, Spent
from bridge.errors import StoreError
from bridge.ports.budget import Decide

WRITE_TIER = 2
IN_LINE_S = 10.0


class SqlBudget:
    """Implements ports.budget.BudgetStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()

    def claim(self, account: Account, decide: Decide, *, since: float, lease: Lease | None = None) -> bool:
        """Count and write behind one lock: of two workers that see the last call, one gets it."""
        query = select(BUDGET_CALLS).where(_of(account), BUDGET_CALLS.c.slot >= since)
        with self._in_turn(), self._database.writing() as connection:
            closed_until = _locked(connection, account.tenant)
            spent = decide([_spent(row) for row in connection.execute(query)], closed_until)
            try_for = leases.take if spent.calls else leases.is_free
            if lease and not try_for(connection, lease):
                return False
            _add(connection, account, spent)
        return True

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let the threads of this process stand in line here: in the database they would give up after two seconds."""
        if not self._turn.acquire(timeout=IN_LINE_S):
            raise StoreError(detail=f"no turn at the budget within {IN_LINE_S:.0f} s")
        try:
            yield
        finally:
            self._turn.release()

    def lease(self, tenant: str, sub: str) -> Lease | None:
        with self._database.reading() as connection:
            return leases.found(connection, tenant, sub)

    def end_lease(self, lease: Lease, problem: str = "") -> None:
        with self._database.writing() as connection:
            leases.end(connection, lease, problem)

    def give_back(self, account: Account, unused: Spent) -> None:
        same = _of(account) & (BUDGET_CALLS.c.lane == unused.lane.value) & (BUDGET_CALLS.c.slot == unused.slot)
        with self._database.writing() as connection:
            connection.execute(update(BUDGET_CALLS).where(same).values(calls=BUDGET_CALLS.c.calls - unused.calls))

    def spent(self, since: float) -> Mapping[Account, Sequence[Spent]]:
        query = select(BUDGET_CALLS).where(BUDGET_CALLS.c.slot >= since)
        found: dict[Account, list[Spent]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(query):
                found[Account(row.tenant, row.client)].append(_spent(row))
        return found

    def close(self, tenant: str, tier: int, until: float) -> None:
        with self._database.writing() as connection:
            tiers = upsert(connection, CLOSED_TIERS).values(tenant=tenant, tier=tier, until=until)
            later = tiers.excluded.until > CLOSED_TIERS.c.until
            keys = list(CLOSED_TIERS.primary_key)
            connection.execute(tiers.on_conflict_do_update(index_elements=keys, set_={"until": until}, where=later))

    def closed(self) -> Mapping[tuple[str, int], float]:
        with self._database.reading() as connection:
            return {(row.tenant, row.tier): row.until for row in connection.execute(select(CLOSED_TIERS))}

    def keep(self, since: float, until: float) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(BUDGET_CALLS).where(not_(BUDGET_CALLS.c.slot.between(since, until))))
            leases.keep(connection, since, until)


def _locked(connection: Connection, tenant: str) -> float:
    """Hold the tenant's row until the transaction ends, and return what it says; SQLite has one writer anyway."""
    is_theirs = (CLOSED_TIERS.c.tenant == tenant) & (CLOSED_TIERS.c.tier == WRITE_TIER)
    query = select(CLOSED_TIERS.c.until).where(is_theirs).with_for_update()
    until = connection.execute(query).scalar_one_or_none()
    if until is None:
        first = upsert(connection, CLOSED_TIERS).values(tenant=tenant, tier=WRITE_TIER, until=0.0)
        connection.execute(first.on_conflict_do_nothing())
        until = connection.execute(query).scalar_one()
    return float(until)


def _add(connection: Connection, account: Account, spent: Spent) -> None:
    named = {"tenant": account.tenant, "client": account.client, "lane": spent.lane.value, "slot": spent.slot}
    row = upsert(connection, BUDGET_CALLS).values(**named, calls=spent.calls, refused=spent.refused)
    total = {
        "calls": BUDGET_CALLS.c.calls + row.excluded.calls,
        "refused": BUDGET_CALLS.c.refused + row.excluded.refused,
    }
    connection.execute(row.on_conflict_do_update(index_elements=list(BUDGET_CALLS.primary_key), set_=total))


def _of(account: Account) -> ColumnElement[bool]:
    return and_(BUDGET_CALLS.c.tenant == account.tenant, BUDGET_CALLS.c.client == account.client)


def _spent(row: Row[Any]) -> Spent:
    return Spent(Lane(row.lane), row.slot, row.calls, row.refused)
