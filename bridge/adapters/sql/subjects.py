"""What the bridge remembers of each subject, in SQL. Who asserted last wins, decided by the database."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, select, update

from bridge.adapters.sql.database import Database, Kept, bump
from bridge.adapters.sql.sharing import one_set, one_subject, one_text
from bridge.adapters.sql.tables import SUBJECTS
from bridge.model import Subject, SubjectRecord
from bridge.plan import KnownPeople

ME = and_(SUBJECTS.c.tenant == bindparam("my_tenant"), SUBJECTS.c.sub == bindparam("my_sub"))
FIND = select(SUBJECTS).where(ME)
ADD = Kept(SUBJECTS, lambda rows: rows.on_conflict_do_nothing().returning(SUBJECTS))
SAME = (
    update(SUBJECTS)
    .where(ME, SUBJECTS.c.fingerprint == bindparam("same_fingerprint"), SUBJECTS.c.asserted_at <= bindparam("at"))
    .values(asserted_at=bindparam("at"))
    .returning(SUBJECTS)
)
"""The same facts once more: who visits a portal brings them along each time, and no other process needs to hear."""
SYNC = update(SUBJECTS).where(ME, SUBJECTS.c.fingerprint == bindparam("signed_fingerprint"))
"""What a first token needs; kept, because to build a statement takes several times as long as to run it."""


class SqlSubjects:
    """Implements ports.SubjectStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: str, sub: str, *, fresh: bool = False) -> SubjectRecord | None:
        del fresh  # there is no copy here to go past
        with self._database.looking() as connection:
            row = connection.execute(FIND, _me(tenant, sub)).one_or_none()
        return None if row is None else _record(row)

    def known(self, tenant: str, *, most: int) -> KnownPeople:
        """Draw in the order of digests of their facts, which is as good as chance."""
        theirs = SUBJECTS.c.tenant == tenant
        drawn = select(SUBJECTS.c.sub, SUBJECTS.c.groups).where(theirs).order_by(SUBJECTS.c.fingerprint).limit(most + 1)
        with self._database.reading() as connection:
            groups = {row.sub: frozenset(row.groups) for row in connection.execute(drawn)}
            if len(groups) <= most:
                return KnownPeople(len(groups), groups)
            groups.popitem()
            total: int = connection.execute(select(func.count()).select_from(SUBJECTS).where(theirs)).scalar_one()
            return KnownPeople(total, groups)

    def note(self, tenant: str, subject: Subject, asserted_at: float) -> SubjectRecord:
        facts = {**_facts(subject), "asserted_at": asserted_at}
        first = {"tenant": tenant, "sub": subject.sub, "synced_groups": [], "browser_login_until": 0, **facts}
        with self._database.writing() as connection:
            # On PostgreSQL this waits for another transaction that inserts the same row.
            row = connection.execute(ADD.on(connection), first).one_or_none()
            row = row or connection.execute(SAME, _same(tenant, subject, asserted_at)).one_or_none()
            return _record(row or _overtaken(connection, tenant, subject.sub, facts))

    def record_sync(self, synced: SubjectRecord) -> None:
        outcome = {
            **_me(synced.tenant, synced.subject.sub),
            "signed_fingerprint": synced.synced_fingerprint,
            "user_id": synced.user_id,
            "synced_fingerprint": synced.synced_fingerprint,
            "synced_groups": sorted(synced.synced_groups),
            "synced_at": synced.synced_at,
        }
        with self._database.writing() as connection:
            if connection.execute(SYNC, outcome).rowcount == 0:
                # The facts changed meanwhile, and nobody knows which login the tenant saw last.
                _forget(connection, synced.tenant, synced.subject.sub)

    def note_unclear_sync(self, tenant: str, subject: Subject) -> None:
        me = _is(tenant, subject.sub)
        with self._database.writing() as connection:
            row = connection.execute(select(SUBJECTS).where(me)).one_or_none()
            if row is None:
                return
            may_hold = sorted({*row.synced_groups, *subject.groups})
            connection.execute(update(SUBJECTS).where(me).values(synced_fingerprint=None, synced_groups=may_hold))
            bump(connection, subject.sub)

    def note_browser_login(self, tenant: str, sub: str, until: float) -> None:
        with self._database.writing() as connection:
            connection.execute(update(SUBJECTS).where(_is(tenant, sub)).values(browser_login_until=until))
            _forget(connection, tenant, sub)

    def forget_sync(self, tenant: str, sub: str) -> None:
        with self._database.writing() as connection:
            _forget(connection, tenant, sub)


def _is(tenant: str, sub: str) -> ColumnElement[bool]:
    return and_(SUBJECTS.c.tenant == tenant, SUBJECTS.c.sub == sub)


def _me(tenant: str, sub: str) -> dict[str, Any]:
    return {"my_tenant": tenant, "my_sub": sub}


def _same(tenant: str, subject: Subject, asserted_at: float) -> dict[str, Any]:
    return {**_me(tenant, subject.sub), "same_fingerprint": subject.fingerprint(), "at": asserted_at}


def _overtaken(connection: Connection, tenant: str, sub: str, facts: dict[str, Any]) -> Row[Any]:
    """Write other facts where they are newer, and return what is known then."""
    not_newer = _is(tenant, sub) & (SUBJECTS.c.asserted_at <= facts["asserted_at"])
    if connection.execute(update(SUBJECTS).where(not_newer).values(facts)).rowcount:
        bump(connection, sub)
    return connection.execute(FIND, _me(tenant, sub)).one()


def _forget(connection: Connection, tenant: str, sub: str) -> None:
    known = _is(tenant, sub) & SUBJECTS.c.synced_at.is_not(None)
    if connection.execute(update(SUBJECTS).where(known).values(synced_at=None)).rowcount:
        bump(connection, sub)


def _facts(subject: Subject) -> dict[str, Any]:
    return {
        "name": subject.name,
        "email": subject.email,
        "groups": sorted(subject.groups),
        "fingerprint": subject.fingerprint(),
    }


def _record(row: Row[Any]) -> SubjectRecord:
    return SubjectRecord(
        tenant=one_text(row.tenant),
        subject=one_subject(row.sub, row.name, row.email, row.groups),
        asserted_at=row.asserted_at,
        user_id=row.user_id,
        synced_fingerprint=row.synced_fingerprint,
        synced_groups=one_set(row.synced_groups),
        synced_at=row.synced_at,
        browser_login_until=row.browser_login_until,
    )
