"""Sign-in sessions in SQL, so that they can be ended from outside and hold hundreds of groups."""

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select, update

from bridge.adapters.sql.database import Database, bump
from bridge.adapters.sql.tables import SESSIONS
from bridge.model import Identity, Session, Subject

FIND = select(SESSIONS).where(SESSIONS.c.id_hash == bindparam("of"))


class SqlSessions:
    """Implements ports.SessionStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, id_hash: str) -> Session | None:
        with self._database.looking() as connection:
            row = connection.execute(FIND, {"of": id_hash}).one_or_none()
        if row is None:
            return None
        subject = Subject(row.sub, row.name, row.email, frozenset(row.groups))
        identity = Identity(subject, row.source, row.issuer, row.asserted_at, row.tenant)
        return Session(row.id_hash, identity, row.created_at, row.seen_at)

    def add(self, session: Session) -> None:
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
        facts = {name: row[name] for name in ("name", "email", "groups", "asserted_at")}
        with self._database.writing() as connection:
            connection.execute(SESSIONS.insert().values(row))
            if connection.execute(update(SESSIONS).where(_older_of(identity)).values(facts)).rowcount:
                bump(connection)

    def touch(self, id_hash: str, seen_at: float) -> None:
        with self._database.writing() as connection:
            connection.execute(update(SESSIONS).where(SESSIONS.c.id_hash == id_hash).values(seen_at=seen_at))

    def remove(self, id_hash: str) -> None:
        with self._database.writing() as connection:
            if connection.execute(delete(SESSIONS).where(SESSIONS.c.id_hash == id_hash)).rowcount:
                bump(connection)

    def remove_older(self, *, created_before: float, seen_before: float) -> None:
        old = or_(SESSIONS.c.created_at < created_before, SESSIONS.c.seen_at < seen_before)
        with self._database.writing() as connection:
            connection.execute(delete(SESSIONS).where(old))


def _older_of(identity: Identity) -> ColumnElement[bool]:
    """Match the sessions of the same person that know less: what was taken away must not live on in them."""
    return and_(
        SESSIONS.c.source == identity.source,
        SESSIONS.c.issuer == identity.issuer,
        SESSIONS.c.sub == identity.subject.sub,
        SESSIONS.c.tenant.is_not_distinct_from(identity.tenant),
        SESSIONS.c.asserted_at < identity.asserted_at,
    )
