"""Every token that was minted, in SQL: written with the token itself, so that none is issued without its record."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, literal, select

from bridge.adapters.sql.database import Database, Kept
from bridge.adapters.sql.tables import IMPERSONATIONS, SUBJECTS
from bridge.model import IssuedToken
from bridge.telemetry import request_id
from bridge.trail import Impersonation

KEPT_S = 90 * 86400.0
"""As long as Qlik keeps its own audit events: nothing could be joined after that."""

MY_USER = select(SUBJECTS.c.user_id).where(
    SUBJECTS.c.tenant == bindparam("my_tenant"), SUBJECTS.c.sub == bindparam("my_sub")
)
NOTE = Kept(
    IMPERSONATIONS,
    lambda rows: rows.values(user_id=func.coalesce(MY_USER.scalar_subquery(), literal(""))).on_conflict_do_nothing(),
)


class SqlImpersonations:
    """Implements ports.Impersonations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def since(self, tenant: str, since: float) -> Sequence[Impersonation]:
        meant = (IMPERSONATIONS.c.tenant == tenant) & (IMPERSONATIONS.c.at >= since)
        query = select(IMPERSONATIONS).where(meant).order_by(IMPERSONATIONS.c.at, IMPERSONATIONS.c.token_id)
        with self._database.reading() as connection:
            return [Impersonation(**row) for row in connection.execute(query).mappings()]


def note_impersonation(connection: Connection, token: IssuedToken) -> None:
    """Write the record in the token's own transaction; the user is the one of the subject's last sync."""
    key = token.key
    row = {"token_id": token.token_id, "at": token.issued_at, "tenant": key.tenant, "sub": key.sub}
    row |= {"client_id": key.client_id, "request_id": request_id(), "my_tenant": key.tenant, "my_sub": key.sub}
    connection.execute(NOTE.on(connection), row)
