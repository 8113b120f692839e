"""Measure what happens to the people of each tenant, off the request's path: noted in memory, told to the store."""

import time
from collections.abc import Mapping

from bridge.errors import BridgeBusy, SubjectNotProvisioned, SyncRefused, TenantError
from bridge.guarding import SLOT_S, Count, Crowd, Shadowed, duration_class
from bridge.history import Series
from bridge.model import Path
from bridge.ports import Clock
from bridge.ports.watching import MeasureStore
from bridge.services.history import History
from bridge.services.noting import Notebook, digest
from bridge.telemetry import Metrics

AGAIN_AFTER_S = 15
"""A person is written again for the same thing after this time: a page that asks often costs one row."""

KEPT_S = 3 * 3600
"""Rows older than this, longer than any window, are removed."""

SWEEP_EVERY_S = 60

OF_THE_PATH = (TenantError, SyncRefused, SubjectNotProvisioned)
"""What a token is not issued for where the path is at fault."""


class Measures:
    """Counts by tenant, shared by all workers through the store; the history hears of them too.

    People are kept as keyed digests, never by name.
    """

    def __init__(self, store: MeasureStore, clock: Clock, metrics: Metrics, *, secret: bytes, history: History) -> None:
        self._store = store
        self._clock = clock
        self._secret = secret
        self._history = history
        self._notebook = Notebook[tuple[str, str, str]](store.add, clock, metrics, again_after_s=AGAIN_AFTER_S)
        self._sweep_at = 0.0

    def issuing(self, tenant: str, sub: str) -> "Issuing":
        """Measure one issue of a token: who asked, how long it took, whether it failed for a reason of the path."""
        return Issuing(self, tenant, sub)

    def note_issue(self, tenant: str, sub: str, took_s: float, error: BaseException | None) -> None:
        """Note how it ended. Who found no place comes back in a moment: that says nothing of the path."""
        if isinstance(error, BridgeBusy):
            return
        self._note(tenant, duration_class(took_s))
        if error is None:
            self._history.note_person(tenant, Path.OAUTH, sub)
            self._history.note(tenant, Series.ISSUED)
        elif isinstance(error, OF_THE_PATH):
            self.note_person(tenant, Crowd.NOT_ISSUED, sub)
            self._history.note(tenant, Series.NOT_ISSUED)

    def note_rejection(self, tenant: str, sub: str) -> None:
        """Note that the tenant refused a token that this person was given."""
        self.note_person(tenant, Crowd.ASKED, sub)
        self.note_person(tenant, Crowd.REJECTED, sub)
        self._history.note(tenant, Series.REJECTED)

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
        self._history.note(tenant, Series.CALLS)
        if throttled:
            self._note(tenant, Count.THROTTLED)
            self._history.note(tenant, Series.THROTTLED)

    def note_shadowed(self, tenant: str, what: Shadowed) -> None:
        self._note(tenant, what.measure)

    def shadowed(self, tenant: str, since: float) -> Mapping[Shadowed, int]:
        """Return what became of sampled sign-ins from that moment on, at any worker. Raises StoreError."""
        tally = self._store.tallies([tenant], since).get(tenant, {})
        return {each: tally.get(each.measure, 0) for each in Shadowed}

    def note_person(self, tenant: str, crowd: Crowd, sub: str) -> None:
        self._notebook.person((tenant, crowd.value, digest(self._secret, tenant, sub)))

    def _note(self, tenant: str, name: str) -> None:
        self._notebook.count(tenant, str(name), int(self._clock() // SLOT_S * SLOT_S))

    def close(self) -> None:
        self._notebook.close()

    def flush(self) -> None:
        """Tell the store what was noted since the last time. Raises StoreError: then that much is lost, and counted."""
        self._notebook.tell()
        now = self._clock()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY_S
            self._store.remove_older(now - KEPT_S)


class Issuing:
    """Lasts as long as one issue of a token. A class, as each request pays for it."""

    __slots__ = ("_measures", "_started", "_sub", "_tenant")

    def __init__(self, measures: Measures, tenant: str, sub: str) -> None:
        self._measures, self._tenant, self._sub = measures, tenant, sub

    def __enter__(self) -> None:
        self._measures.note_person(self._tenant, Crowd.ASKED, self._sub)
        self._started = time.perf_counter()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._measures.note_issue(self._tenant, self._sub, time.perf_counter() - self._started, error)
