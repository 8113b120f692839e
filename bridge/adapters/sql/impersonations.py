"""Every token that was minted, in SQL: written with the token itself, so that none is issued without its record."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, literal, select

from bridge.adapters.sql.database import Database, upsert
from bridge.adapters.sql.tables import IMPERSONATIONS, SUBJECTS
from bridge.model import IssuedToken
from bridge.telemetry import request_id
from bridge.trail import Impersonation

KEPT_S = 90 * 86400.0
"""As long as Qlik keeps its own audit events: nothing could be joined after that."""


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
    me = (SUBJECTS.c.tenant == key.tenant) & (SUBJECTS.c.sub == key.sub)
    user_id = func.coalesce(select(SUBJECTS.c.user_id).where(me).scalar_subquery(), literal(""))
    row = {"token_id": token.token_id, "at": token.issued_at, "tenant": key.tenant, "sub": key.sub}
    row |= {"client_id": key.client_id, "request_id": request_id()}
    statement = upsert(connection, IMPERSONATIONS).values(**row, user_id=user_id)
    connection.execute(statement.on_conflict_do_nothing())
