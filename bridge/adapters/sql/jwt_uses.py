"""Uses of the JWT path in SQL: a row for each subject, origin and family of browsers."""

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, RowMapping, and_, case, distinct, func, select

from bridge.adapters.sql.database import Database, upsert
from bridge.adapters.sql.sweep import Sweep
from bridge.adapters.sql.tables import JWT_USES, JWT_WATCH
from bridge.trail import JwtUse, OriginUse, Whence

KEPT_S = 90 * 86400.0
"""As long as Qlik keeps its own audit events."""
HOUR_S = 3600


class SqlJwtUses:
    """Implements ports.JwtUses."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sweep = Sweep(database, JWT_USES, JWT_USES.c.last_seen)

    def note(self, use: JwtUse) -> None:
        """Count the hour in the database, so that several workers in the same hour count it once."""
        hour = use.last_seen - use.last_seen % HOUR_S
        later = case((JWT_USES.c.last_seen < use.last_seen, use.last_seen), else_=JWT_USES.c.last_seen)
        earlier = case((JWT_USES.c.first_seen > use.first_seen, use.first_seen), else_=JWT_USES.c.first_seen)
        hours = JWT_USES.c.hours + case((JWT_USES.c.last_seen < hour, use.hours), else_=0)
        with self._database.writing() as connection:
            statement = upsert(connection, JWT_USES).values(_row(use))
            again = {"first_seen": earlier, "last_seen": later, "hours": hours}
            connection.execute(statement.on_conflict_do_update(index_elements=[JWT_USES.c.digest], set_=again))
        self._sweep.run(use.last_seen - KEPT_S)

    def latest(self, tenant: str, *, since: float, limit: int) -> Sequence[JwtUse]:
        query = select(JWT_USES).where(_recent(tenant, since)).order_by(JWT_USES.c.last_seen.desc(), JWT_USES.c.digest)
        with self._database.reading() as connection:
            return [_use(row) for row in connection.execute(query.limit(limit)).mappings()]

    def origins(self, tenant: str, *, since: float) -> Sequence[OriginUse]:
        last = func.max(JWT_USES.c.last_seen)
        columns = (JWT_USES.c.origin, func.count(distinct(JWT_USES.c.sub)), func.min(JWT_USES.c.first_seen), last)
        query = select(*columns).where(_recent(tenant, since)).group_by(JWT_USES.c.origin)
        with self._database.reading() as connection:
            return [OriginUse(*row) for row in connection.execute(query.order_by(last.desc(), JWT_USES.c.origin))]

    def subjects(self, tenant: str, *, since: float) -> int:
        with self._database.reading() as connection:
            query = select(func.count(distinct(JWT_USES.c.sub))).where(_recent(tenant, since))
            count: int = connection.execute(query).scalar_one()
        return count

    def watched_since(self) -> float:
        with self._database.reading() as connection:
            since: float = connection.execute(select(JWT_WATCH.c.since)).scalar_one()
        return since


def _recent(tenant: str, since: float) -> ColumnElement[bool]:
    return and_(JWT_USES.c.tenant == tenant, JWT_USES.c.last_seen >= since)


def _row(use: JwtUse) -> dict[str, object]:
    named = {"tenant": use.tenant, "sub": use.sub, "origin": use.whence.origin, "agent": use.whence.agent}
    digest = hashlib.sha256(json.dumps(list(named.values())).encode()).hexdigest()
    times = {"first_seen": use.first_seen, "last_seen": use.last_seen, "hours": use.hours}
    return {"digest": digest, **named, **times}


def _use(row: RowMapping) -> JwtUse:
    whence = Whence(row["origin"], row["agent"])
    return JwtUse(row["tenant"], row["sub"], whence, row["first_seen"], row["last_seen"], row["hours"])
