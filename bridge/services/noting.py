"""A notebook: what happens is noted in memory, off the request's path, and told to a store each second."""

import hmac
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Generic, TypeVar

from bridge.errors import StoreError
from bridge.history import Notes
from bridge.ports import Clock
from bridge.telemetry import Metrics

P = TypeVar("P", bound=tuple[str | int, ...])

MOST_NOTED = 20_000
"""So much is kept between two tellings; what comes on top is dropped and counted."""

KEPT = 200
"""Digests that are kept, of those who came last."""


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
        self._again_after_s = again_after_s
        self._told: dict[P, float] = {}  # when, the longest ago first; a third as large as a cache of a library

    def person(self, key: P) -> None:
        with self._guard:
            now = self._clock()
            if not self._was_told(key, now) and (key in self._notes.people or self._has_room()):
                self._notes.people[key] = now

    def count(self, tenant: str, name: str, slot: int) -> None:
        key = (tenant, name, slot)
        with self._guard:
            if key in self._notes.counts or self._has_room():
                self._notes.counts[key] = self._notes.counts.get(key, 0) + 1

    def tell(self) -> None:
        """Tell the store what was noted since the last time. Raises StoreError: then that much is lost, and counted."""
        with self._guard:
            notes, self._notes = self._notes, Notes[P]()
            self._remember(notes.people, self._clock())
        if not (notes.people or notes.counts):
            return
        try:
            self._store(notes)
        except StoreError:
            self._metrics.measures_lost.inc(len(notes.people) + sum(notes.counts.values()))
            with self._guard:
                for key in notes.people:
                    self._told.pop(key, None)
            raise

    def close(self) -> None:
        """Tell the store the rest; a store that is away loses it, counted."""
        with suppress(StoreError):
            self.tell()

    def _was_told(self, key: P, now: float) -> bool:
        at = self._told.get(key)
        return at is not None and 0 <= now - at < self._again_after_s

    def _remember(self, people: Iterable[P], now: float) -> None:
        """Remember who was told, the last of them at most; made anew, for what left a dictionary slows its start."""
        for key in people:
            self._told.pop(key, None)
            self._told[key] = now
        longest_ago = next(iter(self._told.values()), now)
        if len(self._told) > MOST_NOTED or now - longest_ago >= self._again_after_s:
            lately = [(key, at) for key, at in self._told.items() if 0 <= now - at < self._again_after_s]
            self._told = dict(lately[-MOST_NOTED:])

    def _has_room(self) -> bool:
        if len(self._notes.people) + len(self._notes.counts) < MOST_NOTED:
            return True
        self._metrics.measures_lost.inc()
        return False


@lru_cache(KEPT)
def digest(secret: bytes, tenant: str, sub: str) -> str:
    """Return what stands for a person: the same in every worker, and a name to nobody without BRIDGE_SECRET_KEY.

    Kept for those seen last: each request asks for it several times. Working it out takes 2 µs, so no more are kept.
    """
    return hmac.digest(secret, f"measures\0{tenant}\0{sub}".encode(), "sha256").hex()[:32]


def logged_as(secret: bytes, tenant: str, sub: str) -> str:
    """Return how log lines name a person: enough to tell a tenant's people apart, and no name to anybody else."""
    return hmac.digest(secret, f"log\0{tenant}\0{sub}".encode(), "sha256").hex()[:16]
