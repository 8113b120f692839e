"""Sign-in sessions in SQL, so that they can be ended from outside and hold hundreds of groups."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Delete, and_, bindparam, delete, select, update

from bridge.adapters.sql.database import Database, bump, in_portions
from bridge.adapters.sql.sharing import one_subject, one_text
from bridge.adapters.sql.tables import SESSIONS
from bridge.model import Identity, Session

FACTS = ("name", "email", "groups", "asserted_at")
"""What somebody's older sessions learn from a newer one; the last of them is when the others were true."""

AT_ONCE = 500
"""Sessions that one sign-in removes: more would keep other writers of an SQLite file waiting."""

FIND = select(SESSIONS).where(SESSIONS.c.id_hash == bindparam("of"))
TOUCH = (
    update(SESSIONS)
    .where(SESSIONS.c.id_hash == bindparam("of"), SESSIONS.c.seen_at < bindparam("at"))
    .values(seen_at=bindparam("at"))
)


def _remove(column: Column[float]) -> Delete:
    ended = select(SESSIONS.c.id_hash).where(column < bindparam("before")).order_by(column).limit(AT_ONCE)
    return delete(SESSIONS).where(SESSIONS.c.id_hash.in_(ended.with_for_update(skip_locked=True)))


REMOVE_OLD, REMOVE_IDLE = _remove(SESSIONS.c.created_at), _remove(SESSIONS.c.seen_at)


class SqlSessions:
    """Implements ports.SessionStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, id_hash: str) -> Session | None:
        with self._database.looking() as connection:
            row = connection.execute(FIND, {"of": id_hash}).one_or_none()
        if row is None:
            return None
        subject = one_subject(row.sub, row.name, row.email, row.groups)
        identity = Identity(subject, one_text(row.source), one_text(row.issuer), row.asserted_at, row.tenant)
        return Session(id_hash, identity, row.created_at, row.seen_at)

    def add(self, session: Session) -> bool:
        identity, subject = session.identity, session.identity.subject
        row = {
            "id_hash": session.id_hash,
            "sub": subject.sub,
            "name": subject.name,
            "email": subject.email,
            "groups": sorted(subject.groups),
            "source": identity.source,
            "issuer": identity.issuer,
            "asserted_at": identity.asserted_at,
            "tenant": identity.tenant,
            "created_at": session.created_at,
            "seen_at": session.seen_at,
        }
        with self._database.writing() as connection:
            is_news = _tell_older(connection, identity, {name: row[name] for name in FACTS})
            connection.execute(SESSIONS.insert(), row)
            if is_news:
                bump(connection, subject.sub)
        return is_news

    def touch(self, used: Mapping[str, float]) -> None:
        # In one order, or two workers that see the same sessions lock each other's rows.
        rows = [{"of": id_hash, "at": at} for id_hash, at in sorted(used.items())]
        for some in in_portions(rows):
            with self._database.writing() as connection:
                connection.execute(TOUCH, some)

    def remove(self, id_hash: str) -> None:
        with self._database.writing() as connection:
            this = delete(SESSIONS).where(SESSIONS.c.id_hash == id_hash).returning(SESSIONS.c.sub)
            if (sub := connection.execute(this).scalar()) is not None:
                bump(connection, sub)

    def remove_older(self, *, created_before: float, seen_before: float) -> bool:
        with self._database.writing() as connection:
            old = connection.execute(REMOVE_OLD, {"before": created_before}).rowcount
            idle = connection.execute(REMOVE_IDLE, {"before": seen_before}).rowcount
        return AT_ONCE in {old, idle}


def _tell_older(connection: Connection, identity: Identity, facts: dict[str, Any]) -> bool:
    """Write newer facts into the sessions of the same person that know less; tell whether they are news to any.

    What was taken away must not live on in them. Facts that are the same are nobody's news: somebody who signs in
    again would else make every worker forget its copies.
    """
    older = _older_of(identity)
    known = connection.execute(select(*(SESSIONS.c[name] for name in FACTS)).where(older)).all()
    if known:
        connection.execute(update(SESSIONS).where(older).values(facts))
    return any(row[:-1] != tuple(facts.values())[:-1] for row in known)


def _older_of(identity: Identity) -> ColumnElement[bool]:
    return and_(
        SESSIONS.c.source == identity.source,
        SESSIONS.c.issuer == identity.issuer,
        SESSIONS.c.sub == identity.subject.sub,
        SESSIONS.c.tenant.is_not_distinct_from(identity.tenant),
        SESSIONS.c.asserted_at < identity.asserted_at,
    )
