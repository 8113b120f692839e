"""A notebook: what happens is noted in memory, off the request's path, and told to a store each second."""

import hashlib
import hmac
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Generic, TypeVar

from cachetools import TTLCache

from bridge.errors import StoreError
from bridge.history import Notes
from bridge.ports import Clock
from bridge.telemetry import Metrics

P = TypeVar("P", bound=tuple[str | int, ...])

MOST_NOTED = 20_000
"""So much is kept between two tellings; what comes on top is dropped and counted."""


class Notebook(Generic[P]):
    """Notes people and occurrences, bounded. A store that is away costs notes, which are counted, never a request.

    The same person is told again after *again_after_s*: somebody who comes often costs one write.
    """

    def __init__(
        self, store: Callable[[Notes[P]], None], clock: Clock, metrics: Metrics, *, again_after_s: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._guard = threading.Lock()
        self._notes = Notes[P]()
        self._written: TTLCache[P, bool] = TTLCache(MOST_NOTED, again_after_s, timer=clock)

    def person(self, key: P) -> None:
        with self._guard:
            if key not in self._written and (key in self._notes.people or self._has_room()):
                self._notes.people[key] = self._clock()

    def count(self, tenant: str, name: str, slot: int) -> None:
        key = (tenant, name, slot)
        with self._guard:
            if key in self._notes.counts or self._has_room():
                self._notes.counts[key] = self._notes.counts.get(key, 0) + 1

    def tell(self) -> None:
        """Tell the store what was noted since the last time. Raises StoreError: then that much is lost, and counted."""
        with self._guard:
            notes, self._notes = self._notes, Notes[P]()
            self._written.update(dict.fromkeys(notes.people, True))
        if not (notes.people or notes.counts):
            return
        try:
            self._store(notes)
        except StoreError:
            self._metrics.measures_lost.inc(len(notes.people) + sum(notes.counts.values()))
            with self._guard:
                for key in notes.people:
                    self._written.pop(key, None)
            raise

    def close(self) -> None:
        """Tell the store the rest; a store that is away loses it, counted."""
        with suppress(StoreError):
            self.tell()

    def _has_room(self) -> bool:
        if len(self._notes.people) + len(self._notes.counts) < MOST_NOTED:
            return True
        self._metrics.measures_lost.inc()
        return False


@lru_cache(MOST_NOTED)
def digest(secret: bytes, tenant: str, sub: str) -> str:
    """Return what stands for a person: the same in every worker, and a name to nobody without BRIDGE_SECRET_KEY.

    Kept for those seen last: each request asks for it several times.
    """
    return hmac.new(secret, f"measures\0{tenant}\0{sub}".encode(), hashlib.sha256).hexdigest()[:32]


@lru_cache(MOST_NOTED)
def logged_as(secret: bytes, tenant: str, sub: str) -> str:
    """Return how log lines name a person: enough to tell a tenant's people apart, and no name to anybody else."""
    return hmac.new(secret, f"log\0{tenant}\0{sub}".encode(), hashlib.sha256).hexdigest()[:16]
