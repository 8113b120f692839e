"""Leases in SQL: taken with what is claimed from the budget, ended with the token that is kept."""

from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import Connection, and_, bindparam, delete, not_, select, true, update

from bridge.adapters.sql.database import Kept, Upsert
from bridge.adapters.sql.tables import LEASES
from bridge.budgeting import Lease
from bridge.errors import NotSignedIn


def _newest(rows: Upsert) -> Upsert:
    newer = {column.name: rows.excluded[column.name] for column in LEASES.columns}
    return rows.on_conflict_do_update(index_elements=list(LEASES.primary_key), set_=newer)


ON = and_(LEASES.c.tenant == bindparam("on_tenant"), LEASES.c.sub == bindparam("on_sub"))
HELD = ON & (LEASES.c.holder == bindparam("held_by")) & (LEASES.c.problem == "")
FIND = select(LEASES).where(ON)
FIND_SOME = select(LEASES).where(
    LEASES.c.tenant == bindparam("on_tenant"), LEASES.c.sub.in_(bindparam("subs", expanding=True))
)
TAKE = Kept(LEASES, _newest)
HAND_OVER = delete(LEASES).where(HELD)
FAIL = update(LEASES).where(HELD)


def found(connection: Connection, tenant: str, sub: str) -> Lease | None:
    row = connection.execute(FIND, {"on_tenant": tenant, "on_sub": sub}).one_or_none()
    return None if row is None else Lease(*row)


def known(connection: Connection, tenant: str, subs: Collection[str]) -> dict[str, Lease]:
    """Return the leases on these people. The caller holds the tenant's lock: nobody takes one meanwhile."""
    asked = {"on_tenant": tenant, "subs": list(subs)}
    return {row.sub: Lease(*row) for row in connection.execute(FIND_SOME, asked)} if subs else {}


def take(connection: Connection, taken: Collection[Lease]) -> None:
    if taken:
        connection.execute(TAKE.on(connection), [asdict(each) for each in taken])


def hand_over(connection: Connection, lease: Lease) -> bool:
    """End a lease for the token that came of it. Tell whether it still was its holder's, even if late."""
    return connection.execute(HAND_OVER, _its(lease)).rowcount == 1


def end(connection: Connection, lease: Lease, problem: str) -> None:
    if problem:
        connection.execute(FAIL, {**_its(lease), "problem": problem, "until": lease.begun})
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


def _its(lease: Lease) -> dict[str, str]:
    return {"on_tenant": lease.tenant, "on_sub": lease.sub, "held_by": lease.holder}
