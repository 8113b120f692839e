"""What the workers measured, in SQL: the latest time of a person, and counts by slots of time."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import delete, func, select

from bridge.adapters.sql.database import Database, Kept, Upsert, in_portions
from bridge.adapters.sql.tables import MEASURED_COUNTS, MEASURED_PEOPLE
from bridge.guarding import Batch, Tally


def _seen(rows: Upsert) -> Upsert:
    keys = list(MEASURED_PEOPLE.primary_key)
    return rows.on_conflict_do_update(index_elements=keys, set_={"seen_at": rows.excluded.seen_at})


def _counted(rows: Upsert) -> Upsert:
    total = {"count": MEASURED_COUNTS.c.count + rows.excluded.count}
    return rows.on_conflict_do_update(index_elements=list(MEASURED_COUNTS.primary_key), set_=total)


SEEN, COUNTED = Kept(MEASURED_PEOPLE, _seen), Kept(MEASURED_COUNTS, _counted)


class SqlMeasures:
    """Implements ports.watching.MeasureStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, batch: Batch) -> None:
        """Write in the order of keys, so that two workers wait for each other instead of blocking each other."""
        for some in in_portions(_rows(batch.people, "measure", "person", "seen_at")):
            with self._database.writing() as connection:
                connection.execute(SEEN.on(connection), some)
        for some in in_portions(_rows(batch.counts, "measure", "slot", "count")):
            with self._database.writing() as connection:
                connection.execute(COUNTED.on(connection), some)

    def tallies(self, tenants: Collection[str], since: float) -> Mapping[str, Tally]:
        people, counts = MEASURED_PEOPLE.c, MEASURED_COUNTS.c
        questions = (
            select(people.tenant, people.measure, func.count().label("total"))
            .where(people.tenant.in_(tenants), people.seen_at >= since)
            .group_by(people.tenant, people.measure),
            select(counts.tenant, counts.measure, func.sum(counts.count).label("total"))
            .where(counts.tenant.in_(tenants), counts.slot >= int(since))
            .group_by(counts.tenant, counts.measure),
        )
        found: dict[str, dict[str, int]] = defaultdict(dict)
        with self._database.reading() as connection:
            for row in (row for question in questions for row in connection.execute(question)):
                found[row.tenant][row.measure] = int(row.total)
        return found

    def remove_older(self, before: float) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(MEASURED_PEOPLE).where(MEASURED_PEOPLE.c.seen_at < before))
            # Whole seconds: PostgreSQL finds no whole number in an index by one with a fraction.
            connection.execute(delete(MEASURED_COUNTS).where(MEASURED_COUNTS.c.slot < int(before)))


def _rows(
    noted: Mapping[tuple[str, str, str], float] | Mapping[tuple[str, str, int], int], *names: str
) -> list[dict[str, object]]:
    return [dict(zip(("tenant", *names), (*key, value), strict=True)) for key, value in sorted(noted.items())]
