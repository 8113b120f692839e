"""What happened at a tenant over time: noted off the request's path, looked back at in slots of an hour or a day."""

from collections.abc import Collection, Mapping, Sequence

from bridge.history import DAY_S, HOUR_S, KEPT_S, STANDINGS, TROUBLE, LookBack, PathShare, Series, Span, Trouble
from bridge.model import Path
from bridge.ports import Clock
from bridge.ports.watching import HistoryStore
from bridge.services.noting import Notebook, digest
from bridge.telemetry import Metrics

PEOPLE = {Path.JWT: Series.JWT_PEOPLE, Path.OAUTH: Series.OAUTH_PEOPLE}


class History:
    """Counts by tenant and hour, added up by the store over all workers. Nobody is kept by name."""

    def __init__(self, store: HistoryStore, clock: Clock, metrics: Metrics, *, secret: bytes) -> None:
        self._store = store
        self._clock = clock
        self._secret = secret
        self._notebook = Notebook[tuple[int, str, str, str]](
            lambda notes: store.add(notes, clock()), clock, metrics, again_after_s=HOUR_S
        )

    def note_person(self, tenant: str, path: Path, sub: str) -> None:
        """Note that somebody used a path: was given a token, or a legacy JWT, or was told to ask for one."""
        self._notebook.person((self._hour(), tenant, PEOPLE[path].value, digest(self._secret, tenant, sub)))

    def note(self, tenant: str, series: Series) -> None:
        self._notebook.count(tenant, series.value, self._hour())

    def note_trouble(self, tenant: str, code: str) -> None:
        """Note that somebody who asked for a token, a session or a legacy JWT was answered with an error."""
        self._notebook.count(tenant, TROUBLE + code, self._hour())

    def _hour(self) -> int:
        return int(self._clock() // HOUR_S * HOUR_S)

    def flush(self) -> None:
        """Tell the store what was noted since the last time. Raises StoreError: then that much is lost, and counted."""
        self._notebook.tell()

    def close(self) -> None:
        self._notebook.close()

    def look_back(self, tenant: str, span: Span, now: float) -> LookBack:
        """Return what a tenant's series were up to *now* (unix seconds). Raises StoreError.

        Where anything is known of a slot, what was not counted in it did not happen.
        """
        starts = span.starts(now)
        found = self._store.counts(tenant, span.slot_s, since=starts[0])
        known = {slot for _, slot in found}

        def value(series: Series, slot: int) -> int | None:
            return found.get((series.value, slot), 0 if slot in known and series not in STANDINGS else None)

        return LookBack(span, starts, {series: [value(series, slot) for slot in starts] for series in Series})

    def troubles(self, tenant: str, since: float, limit: int) -> Sequence[Trouble]:
        """Return the error codes that people met since then, the newest first. Raises StoreError.

        Further back than two days it is days that are counted, so the first of them counts as a whole.
        """
        slot_s = HOUR_S if since >= self._clock() - KEPT_S[HOUR_S] else DAY_S
        return self._store.troubles(tenant, slot_s, since=since, limit=limit)

    def shares(self, tenants: Collection[str]) -> Mapping[str, PathShare]:
        """Return by tenant how many people used which path today (UTC), with one question. Raises StoreError."""
        today = int(self._clock() // DAY_S * DAY_S)
        found = self._store.in_slot(tenants, [each.value for each in PEOPLE.values()], DAY_S, today)
        return {
            slug: PathShare(*(found.get((slug, PEOPLE[path].value), 0) for path in (Path.JWT, Path.OAUTH)))
            for slug in tenants
        }
