"""What happened at tenants, in SQL: counts by slots of time, and who was counted in them already."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import Connection, delete, func, select, tuple_

from bridge.adapters.sql.database import Database, in_portions, upsert
from bridge.adapters.sql.tables import HISTORY, HISTORY_PEOPLE, HISTORY_TURN
from bridge.history import KEPT_S, PEOPLE_KEPT_S, TROUBLE, HistoryNotes, Trouble

BEHIND_TROUBLES = TROUBLE[:-1] + chr(ord(TROUBLE[-1]) + 1)
"""The first name that sorts behind those of all troubles."""

Cell = tuple[str, int, str, int]
"""What is counted: tenant, length of the slot, name, slot."""


class SqlHistory:
    """Implements ports.watching.HistoryStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, notes: HistoryNotes, at: float) -> None:
        """Write in the order of keys, so that two workers wait for each other instead of blocking each other."""
        grown = Counter[Cell]()
        for (tenant, name, hour), times in notes.counts.items():
            grown.update(dict.fromkeys(_cells(tenant, name, hour), times))
        if grown:
            with self._database.writing() as connection:
                _write(connection, grown, at, adding=True)
        for some in in_portions(_rows(notes)):
            with self._database.writing() as connection:
                _write(connection, _newcomers(connection, some), at, adding=True)

    def put(self, at: float, standings: Mapping[tuple[str, str], int]) -> None:
        cells = {cell: count for (tenant, name), count in standings.items() for cell in _cells(tenant, name, at)}
        with self._database.writing() as connection:
            _write(connection, cells, at, adding=False)

    def counts(self, tenant: str, slot_s: int, *, since: int) -> Mapping[tuple[str, int], int]:
        column = HISTORY.c
        mine = select(column.name, column.slot, column.count).where(column.tenant == tenant, column.slot_s == slot_s)
        with self._database.reading() as connection:
            return {(name, slot): count for name, slot, count in connection.execute(mine.where(column.slot >= since))}

    def in_slot(
        self, tenants: Collection[str], names: Collection[str], slot_s: int, slot: int
    ) -> Mapping[tuple[str, str], int]:
        column = HISTORY.c
        then = select(column.tenant, column.name, column.count).where(column.slot_s == slot_s, column.slot == slot)
        theirs = then.where(column.tenant.in_(tenants), column.name.in_(names))
        with self._database.reading() as connection:
            return {(tenant, name): count for tenant, name, count in connection.execute(theirs)}

    def troubles(self, tenant: str, slot_s: int, *, since: float, limit: int) -> Sequence[Trouble]:
        column, last = HISTORY.c, func.max(HISTORY.c.last_at)
        met = (
            select(column.name, func.sum(column.count), last)
            .where(column.tenant == tenant, column.slot_s == slot_s, column.last_at >= since)
            .where(column.name >= TROUBLE, column.name < BEHIND_TROUBLES)
            .group_by(column.name)
            .order_by(last.desc(), column.name)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [
                Trouble(name.removeprefix(TROUBLE), int(times), last_at)
                for name, times, last_at in connection.execute(met)
            ]

    def claim(self, turn: int) -> bool:
        with self._database.writing() as connection:
            statement = upsert(connection, HISTORY_TURN).values(id=1, turn=turn)
            later = statement.on_conflict_do_update(
                index_elements=["id"], set_={"turn": turn}, where=HISTORY_TURN.c.turn < turn
            )
            return connection.execute(later.returning(HISTORY_TURN.c.turn)).first() is not None

    def sweep(self, now: float, *, most: int) -> bool:
        """Take the oldest first, by ranges of a key: a list of rows to remove makes SQLite read the whole table."""
        is_more = False
        for slot_s, kept_s in KEPT_S.items():
            with self._database.writing() as connection:
                is_more |= _remove_people(connection, slot_s, int(now - slot_s - PEOPLE_KEPT_S), most)
            with self._database.writing() as connection:
                old = (HISTORY.c.slot_s == slot_s, HISTORY.c.slot < int(now - kept_s))
                oldest = select(func.min(HISTORY.c.slot)).where(*old).scalar_subquery()
                gone = connection.execute(delete(HISTORY).where(*old, HISTORY.c.slot == oldest))
                is_more |= gone.rowcount > 0
        return is_more


def _cells(tenant: str, name: str, at: float) -> Iterator[Cell]:
    """Yield the cells of one moment: that of its hour and that of its day."""
    for slot_s in sorted(KEPT_S):
        yield tenant, slot_s, name, int(at // slot_s * slot_s)


Row = dict[str, str | int]
PERSON = ("slot_s", "slot", "tenant", "name", "person")
"""The key of a row of HISTORY_PEOPLE."""


def _rows(notes: HistoryNotes) -> list[Row]:
    """Return a row for each person and slot, in the order of keys."""
    keys = {
        (slot_s, slot, tenant, name, person)
        for hour, tenant, name, person in notes.people
        for _, slot_s, _, slot in _cells(tenant, name, hour)
    }
    return [dict(zip(PERSON, key, strict=True)) for key in sorted(keys)]


def _newcomers(connection: Connection, rows: Sequence[Row]) -> Counter[Cell]:
    """Remember who was there; return how many of them nobody had counted yet. The database decides who is first."""
    column = HISTORY_PEOPLE.c
    statement = upsert(connection, HISTORY_PEOPLE).on_conflict_do_nothing()
    new = connection.execute(statement.returning(column.tenant, column.slot_s, column.name, column.slot), rows)
    return Counter(map(tuple, new))


def _write(connection: Connection, cells: Mapping[Cell, int], at: float, *, adding: bool) -> None:
    if not cells:
        return
    statement = upsert(connection, HISTORY)
    given = statement.excluded
    count = HISTORY.c.count + given.count if adding else given.count
    later = statement.on_conflict_do_update(
        index_elements=list(HISTORY.primary_key), set_={"count": count, "last_at": given.last_at}
    )
    names = ("tenant", "slot_s", "name", "slot")
    rows = [dict(zip(names, cell, strict=True), count=n, last_at=at) for cell, n in sorted(cells.items())]
    connection.execute(later, rows)


def _remove_people(connection: Connection, slot_s: int, before: int, most: int) -> bool:
    """Remove so many people of slots that began before then; tell whether there are more."""
    key = tuple_(*(HISTORY_PEOPLE.c[name] for name in PERSON))
    old = (HISTORY_PEOPLE.c.slot_s == slot_s, HISTORY_PEOPLE.c.slot < before)
    ordered = select(*(HISTORY_PEOPLE.c[name] for name in PERSON)).where(*old).order_by(*PERSON)
    last = connection.execute(ordered.offset(most - 1).limit(1)).first()
    upto = () if last is None else (key <= tuple_(*last),)
    connection.execute(delete(HISTORY_PEOPLE).where(*old, *upto))
    return last is not None
