"""The budget in SQL: calls by account, lane and slot; one row a tier says until when it is closed, and is the lock."""

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, not_, select, update

from bridge.adapters.sql import leases
from bridge.adapters.sql.database import Database, Kept, Upsert, upsert
from bridge.adapters.sql.tables import BUDGET_CALLS, CLOSED_TIERS
from bridge.budgeting import LONGEST_CLOSED_S, Account, Lane, Lease, Spent
from bridge.errors import StoreError
from bridge.ports.budget import Decide

WRITE_TIER = 2
IN_LINE_S = 10.0
AT_THE_LOCK_S = 8.0
"""Whoever waits at the lock waits for many: a crowd would give up after what suffices for one."""


def _added(rows: Upsert) -> Upsert:
    total = {name: BUDGET_CALLS.c[name] + rows.excluded[name] for name in ("calls", "refused")}
    return rows.on_conflict_do_update(index_elements=list(BUDGET_CALLS.primary_key), set_=total)


OURS = and_(BUDGET_CALLS.c.tenant == bindparam("our_tenant"), BUDGET_CALLS.c.client == bindparam("our_client"))
FIND = select(BUDGET_CALLS).where(OURS, BUDGET_CALLS.c.slot >= bindparam("since"))
ADD = Kept(BUDGET_CALLS, _added)
GIVE_BACK = (
    update(BUDGET_CALLS)
    .where(OURS, BUDGET_CALLS.c.lane == bindparam("in_lane"), BUDGET_CALLS.c.slot == bindparam("in_slot"))
    .values(calls=BUDGET_CALLS.c.calls - bindparam("unused"))
)
THE_LOCK = (
    select(CLOSED_TIERS.c.until)
    .where(CLOSED_TIERS.c.tenant == bindparam("our_tenant"), CLOSED_TIERS.c.tier == WRITE_TIER)
    .with_for_update()
)


@dataclass(slots=True)
class _Decided:
    """What is known at a tenant's lock, and what was decided behind it so far."""

    rows: list[Spent]
    leases: dict[str, Lease]
    closed_until: float
    spent: list[Spent] = field(default_factory=list)
    taken: dict[str, Lease] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Wish:
    """One thread's claim, and what came of it."""

    account: Account
    decide: Decide
    since: float
    lease: Lease | None
    is_granted: bool = True
    outcome: Future[bool] = field(default_factory=Future)

    def ask(self, decided: _Decided) -> None:
        known = decided.leases.get(self.lease.sub) if self.lease else None
        if self.lease and known and known.is_in_the_way_of(self.lease):
            self.is_granted = False
            return
        spent = self.decide([row for row in decided.rows if row.slot >= self.since], decided.closed_until)
        decided.rows.append(spent)
        decided.spent.append(spent)
        if self.lease and spent.calls:
            decided.taken[self.lease.sub] = self.lease


class SqlBudget:
    """Implements ports.budget.BudgetStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._change = threading.Condition()
        self._line: list[_Wish] = []
        self._is_granting = False

    def claim(self, account: Account, decide: Decide, *, since: float, lease: Lease | None = None) -> bool:
        """Claim for all threads of this process that stand in line: one of them does, in one transaction."""
        wish = _Wish(account, decide, since, lease)
        if line := self._wait_in_line(wish):
            try:
                self._grant_all(line)
            finally:
                with self._change:
                    self._is_granting = False
                    self._change.notify_all()
        return wish.outcome.result()

    def _wait_in_line(self, wish: "_Wish") -> Sequence["_Wish"]:
        """Return the line, for its first thread to grant; nothing once this wish is somebody else's care."""
        with self._change:
            self._line.append(wish)
            is_over = self._change.wait_for(lambda: wish.outcome.done() or not self._is_granting, IN_LINE_S)
            if wish not in self._line:
                return ()
            if not is_over:
                self._line.remove(wish)
                raise StoreError(detail=f"no turn at the budget within {IN_LINE_S:.0f} s")
            line, self._line, self._is_granting = self._line, [], True
            return line

    def _grant_all(self, line: Sequence["_Wish"]) -> None:
        wishes: dict[Account, list[_Wish]] = defaultdict(list)
        for wish in line:
            wishes[wish.account].append(wish)
        for account, theirs in wishes.items():
            try:
                self._grant(account, theirs)
            except BaseException as error:  # noqa: BLE001 - whatever happened, those in line must hear of it
                for wish in theirs:
                    wish.outcome.set_exception(error)

    def _grant(self, account: Account, wishes: Sequence["_Wish"]) -> None:
        """Count and write behind one lock: of two workers that see the last call, one gets it."""
        asked = {**_of(account), "since": min(wish.since for wish in wishes)}
        with self._database.writing() as connection:
            closed_until = _locked(connection, account.tenant)
            rows = [_spent(row) for row in connection.execute(FIND, asked)]
            subs = {wish.lease.sub for wish in wishes if wish.lease}
            decided = _Decided(rows, leases.known(connection, account.tenant, subs), closed_until)
            for wish in wishes:
                wish.ask(decided)
            _add(connection, account, decided.spent)
            leases.take(connection, list(decided.taken.values()))
        for wish in wishes:
            wish.outcome.set_result(wish.is_granted)

    def lease(self, tenant: str, sub: str) -> Lease | None:
        with self._database.looking() as connection:
            return leases.found(connection, tenant, sub)

    def end_lease(self, lease: Lease, problem: str = "") -> None:
        with self._database.writing() as connection:
            leases.end(connection, lease, problem)

    def give_back(self, account: Account, unused: Spent) -> None:
        row = {"in_lane": unused.lane.value, "in_slot": unused.slot, "unused": unused.calls}
        with self._database.writing() as connection:
            connection.execute(GIVE_BACK, _of(account) | row)

    def spent(self, since: float) -> Mapping[Account, Sequence[Spent]]:
        query = select(BUDGET_CALLS).where(BUDGET_CALLS.c.slot >= since)
        found: dict[Account, list[Spent]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(query):
                found[Account(row.tenant, row.client)].append(_spent(row))
        return found

    def close(self, tenant: str, tier: int, until: float, *, now: float) -> None:
        with self._database.writing() as connection:
            tiers = upsert(connection, CLOSED_TIERS).values(tenant=tenant, tier=tier, until=until)
            known = CLOSED_TIERS.c.until
            counts = (tiers.excluded.until > known) | (known > now + LONGEST_CLOSED_S)
            keys = list(CLOSED_TIERS.primary_key)
            connection.execute(tiers.on_conflict_do_update(index_elements=keys, set_={"until": until}, where=counts))

    def closed(self) -> Mapping[tuple[str, int], float]:
        with self._database.looking() as connection:
            return {(row.tenant, row.tier): row.until for row in connection.execute(select(CLOSED_TIERS))}

    def keep(self, since: float, until: float) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(BUDGET_CALLS).where(not_(BUDGET_CALLS.c.slot.between(since, until))))
            leases.keep(connection, since, until)


def _locked(connection: Connection, tenant: str) -> float:
    """Hold the tenant's row until the transaction ends, and return what it says; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{AT_THE_LOCK_S:.0f}s'")
    until = connection.execute(THE_LOCK, {"our_tenant": tenant}).scalar_one_or_none()
    if until is None:
        first = upsert(connection, CLOSED_TIERS).values(tenant=tenant, tier=WRITE_TIER, until=0.0)
        connection.execute(first.on_conflict_do_nothing())
        until = connection.execute(THE_LOCK, {"our_tenant": tenant}).scalar_one()
    return float(until)


def _add(connection: Connection, account: Account, spent: Collection[Spent]) -> None:
    calls, refused = Counter[tuple[str, float]](), Counter[tuple[str, float]]()
    for each in spent:
        calls[each.lane.value, each.slot] += each.calls
        refused[each.lane.value, each.slot] += each.refused
    if not calls:
        return
    ours = {"tenant": account.tenant, "client": account.client}
    rows = [
        {**ours, "lane": lane, "slot": slot, "calls": calls[lane, slot], "refused": refused[lane, slot]}
        for lane, slot in calls
    ]
    connection.execute(ADD.on(connection), rows)


def _of(account: Account) -> dict[str, Any]:
    return {"our_tenant": account.tenant, "our_client": account.client}


def _spent(row: Row[Any]) -> Spent:
    return Spent(Lane(row.lane), row.slot, row.calls, row.refused)
