"""Measure what happens to the people of each tenant, off the request's path: noted in memory, told to the store."""

import hashlib
import hmac
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from cachetools import TTLCache

from bridge.errors import StoreError, SubjectNotProvisioned, SyncRefused, TenantError
from bridge.guarding import SLOT_S, Batch, Count, Crowd, Shadowed, duration_class
from bridge.ports import Clock
from bridge.ports.watching import MeasureStore
from bridge.telemetry import Metrics

MOST_NOTED = 20_000
"""So much is kept between two flushes; what comes on top is dropped and counted."""

AGAIN_AFTER_S = 15
"""A person is written again for the same thing after this time: a page that asks often costs one row."""

KEPT_S = 3 * 3600
"""Rows older than this, longer than any window, are removed."""

SWEEP_EVERY_S = 60


class Measures:
    """Counts by tenant, shared by all workers through the store.

    People are kept as keyed digests, never by name. A store that is away costs counts, never a request.
    """

    def __init__(self, store: MeasureStore, clock: Clock, metrics: Metrics, *, secret: bytes) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._secret = secret
        self._guard = threading.Lock()
        self._batch = Batch()
        self._written: TTLCache[tuple[str, str, str], bool] = TTLCache(MOST_NOTED, AGAIN_AFTER_S, timer=clock)
        self._sweep_at = 0.0

    @contextmanager
    def issuing(self, tenant: str, sub: str) -> Iterator[None]:
        """Measure one issue of a token: who asked, how long it took, whether it failed for a reason of the path."""
        self.note_person(tenant, Crowd.ASKED, sub)
        started = time.perf_counter()
        try:
            yield
        except (TenantError, SyncRefused, SubjectNotProvisioned):
            self.note_person(tenant, Crowd.NOT_ISSUED, sub)
            raise
        finally:
            self._note(tenant, duration_class(time.perf_counter() - started))

    def note_rejection(self, tenant: str, sub: str) -> None:
        """Note that the tenant refused a token that this person was given."""
        self.note_person(tenant, Crowd.ASKED, sub)
        self.note_person(tenant, Crowd.REJECTED, sub)

    def note_renewal(self, tenant: str, sub: str, *, failed: bool) -> None:
        self.note_person(tenant, Crowd.RENEWED, sub)
        if failed:
            self.note_person(tenant, Crowd.NOT_RENEWED, sub)

    def note_parity(self, tenant: str, sub: str, *, mismatch: bool) -> None:
        """Note that somebody's path was compared, and whether it gave something else than before."""
        self.note_person(tenant, Crowd.COMPARED, sub)
        if mismatch:
            self.note_person(tenant, Crowd.MISMATCHED, sub)

    def note_call(self, tenant: str, throttled: bool) -> None:  # noqa: FBT001 - called by position, as a gate does
        """Note a call to the tenant that was made, and whether it answered 429."""
        self._note(tenant, Count.CALLS)
        if throttled:
            self._note(tenant, Count.THROTTLED)

    def note_shadowed(self, tenant: str, what: Shadowed) -> None:
        self._note(tenant, what.measure)

    def shadowed(self, tenant: str, since: float) -> Mapping[Shadowed, int]:
        """Return what became of sampled sign-ins from that moment on, at any worker. Raises StoreError."""
        tally = self._store.tallies([tenant], since).get(tenant, {})
        return {each: tally.get(each.measure, 0) for each in Shadowed}

    def note_person(self, tenant: str, crowd: Crowd, sub: str) -> None:
        key = (tenant, crowd.value, self._digest(tenant, sub))
        with self._guard:
            if key not in self._written and (key in self._batch.people or self._has_room()):
                self._batch.people[key] = self._clock()

    def _note(self, tenant: str, name: str) -> None:
        key = (tenant, str(name), int(self._clock() // SLOT_S * SLOT_S))
        with self._guard:
            if key in self._batch.counts or self._has_room():
                self._batch.counts[key] = self._batch.counts.get(key, 0) + 1

    def _has_room(self) -> bool:
        if len(self._batch.people) + len(self._batch.counts) < MOST_NOTED:
            return True
        self._metrics.measures_lost.inc()
        return False

    def _digest(self, tenant: str, sub: str) -> str:
        return hmac.new(self._secret, f"measures\0{tenant}\0{sub}".encode(), hashlib.sha256).hexdigest()[:32]

    def close(self) -> None:
        """Tell the store the rest; a store that is away loses it, counted."""
        with suppress(StoreError):
            self._tell_all()

    def flush(self) -> None:
        """Tell the store what was noted since the last time. Raises StoreError: then that much is lost, and counted."""
        self._tell_all()
        now = self._clock()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY_S
            self._store.remove_older(now - KEPT_S)

    def _tell_all(self) -> None:
        with self._guard:
            batch, self._batch = self._batch, Batch()
            self._written.update(dict.fromkeys(batch.people, True))
        if not (batch.people or batch.counts):
            return
        try:
            self._store.add(batch)
        except StoreError:
            self._metrics.measures_lost.inc(len(batch.people) + sum(batch.counts.values()))
            with self._guard:
                for key in batch.people:
                    self._written.pop(key, None)
            raise
