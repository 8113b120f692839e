"""Leases in SQL: taken with what is claimed from the budget, ended with the token that is kept."""

from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, and_, delete, not_, select, true, update

from bridge.adapters.sql.database import upsert
from bridge.adapters.sql.tables import LEASES
from bridge.budgeting import Lease
from bridge.errors import NotSignedIn


def found(connection: Connection, tenant: str, sub: str) -> Lease | None:
    row = connection.execute(select(LEASES).where(_on(tenant, sub))).one_or_none()
    return None if row is None else Lease(*row)


def known(connection: Connection, tenant: str, subs: Collection[str]) -> dict[str, Lease]:
    """Return the leases on these people. The caller holds the tenant's lock: nobody takes one meanwhile."""
    query = select(LEASES).where(LEASES.c.tenant == tenant, LEASES.c.sub.in_(subs))
    return {row.sub: Lease(*row) for row in connection.execute(query)} if subs else {}


def take(connection: Connection, taken: Collection[Lease]) -> None:
    if taken:
        rows = upsert(connection, LEASES).values([asdict(each) for each in taken])
        newer = {column.name: rows.excluded[column.name] for column in LEASES.columns}
        connection.execute(rows.on_conflict_do_update(index_elements=list(LEASES.primary_key), set_=newer))


def hand_over(connection: Connection, lease: Lease) -> bool:
    """End a lease for the token that came of it. Tell whether it still was its holder's, even if late."""
    return connection.execute(delete(LEASES).where(_is(lease))).rowcount == 1


def end(connection: Connection, lease: Lease, problem: str) -> None:
    if problem:
        connection.execute(update(LEASES).where(_is(lease)).values(problem=problem, until=lease.begun))
    else:
        hand_over(connection, lease)


def revoke(connection: Connection, *, tenant: str | None, sub: str | None, now: float) -> None:
    """End every lease on those whose tokens are revoked.

    Before the tokens are looked for: a token that is being kept right now holds its lease's row, so it is waited for.
    """
    meant = true() if tenant is None else LEASES.c.tenant == tenant
    meant &= true() if sub is None else LEASES.c.sub == sub
    holding = meant & (LEASES.c.problem == "")
    connection.execute(update(LEASES).where(holding).values(problem=NotSignedIn.code(), until=now))


def keep(connection: Connection, since: float, until: float) -> None:
    connection.execute(delete(LEASES).where(not_(LEASES.c.until.between(since, until))))


def _on(tenant: str, sub: str) -> ColumnElement[bool]:
    return and_(LEASES.c.tenant == tenant, LEASES.c.sub == sub)


def _is(lease: Lease) -> ColumnElement[bool]:
    return and_(_on(lease.tenant, lease.sub), LEASES.c.holder == lease.holder, LEASES.c.problem == "")
