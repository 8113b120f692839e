"""Which tokens are to be renewed ahead of their end, in SQL: two columns beside each token."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, false, select, update

from bridge.adapters.sql.database import Database, in_portions
from bridge.adapters.sql.tables import TOKENS
from bridge.model import Expiring, TokenKey
from bridge.ports.renewals import Seen

MINE = (TOKENS.c.tenant == bindparam("slug")) & (TOKENS.c.sub == bindparam("who"))
SAW = update(TOKENS).where(MINE).values(seen_at=bindparam("at"))


class SqlRenewals:
    """Implements ports.renewals.RenewalStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, seen: Seen) -> None:
        # In one order, or two workers that see the same people lock each other's rows.
        rows = [{"slug": slug, "who": sub, "at": at} for (slug, sub), at in sorted(seen.people.items())]
        for some in in_portions(rows):
            with self._database.writing() as connection:
                connection.execute(SAW, some)

    def due(self, tenant: str, *, now: float, before: float, seen_since: float, limit: int) -> Sequence[Expiring]:
        wanted = select(TOKENS).where(
            TOKENS.c.tenant == tenant,
            TOKENS.c.doomed == false(),
            TOKENS.c.expires_at > now,
            TOKENS.c.expires_at < before,
            TOKENS.c.seen_at >= seen_since,
            TOKENS.c.renewing_until <= now,
        )
        with self._database.reading() as connection:
            return [_expiring(row) for row in connection.execute(wanted.order_by(TOKENS.c.expires_at).limit(limit))]

    def claim(self, expiring: Expiring, *, until: float) -> bool:
        """Compare and set: of two workers the second finds another moment, or another token, than it read."""
        same = (TOKENS.c.slot == expiring.key.digest()) & (TOKENS.c.token_id == expiring.token_id)
        same &= TOKENS.c.renewing_until == expiring.claimed_until
        with self._database.writing() as connection:
            return bool(connection.execute(update(TOKENS).where(same).values(renewing_until=until)).rowcount)


def _expiring(row: Row[Any]) -> Expiring:
    key = TokenKey(row.tenant, row.client_id, row.sub, row.key_scope, row.credential_revision)
    return Expiring(key, row.token_id, row.issued_at, row.expires_at, row.renewing_until)
