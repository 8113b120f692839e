"""What is written later, in order: a request leaves it in memory, and a chore takes it to the store."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from bridge.errors import StoreError
from bridge.services.noting import MOST_NOTED
from bridge.telemetry import Metrics

N = TypeVar("N")


class Later(Generic[N]):
    """Notes that are kept until the store takes them, bounded. Beyond that they are dropped and counted.

    A store that is away costs a request nothing: *write* is called by the chore alone.
    """

    def __init__(self, write: Callable[[N], None], metrics: Metrics) -> None:
        self._write = write
        self._metrics = metrics
        self._notes: deque[N] = deque()
        self._guard = threading.Lock()
        self._writing = threading.Lock()

    def note(self, note: N) -> bool:
        """Keep a note for later. Return False when there is no room for it."""
        with self._guard:
            if len(self._notes) < MOST_NOTED:
                self._notes.append(note)
                return True
        self._metrics.measures_lost.inc()
        return False

    def flush(self) -> None:
        """Write what was noted, oldest first. Raises StoreError: then the rest waits for the next time."""
        with self._writing:  # one at a time: the oldest leaves only when it is written
            while self._notes:
                self._write(self._notes[0])
                with self._guard:
                    self._notes.popleft()

    def close(self) -> None:
        """Write the rest; a store that is away loses it, counted."""
        with suppress(StoreError):
            self.flush()
        with self._guard:
            self._metrics.measures_lost.inc(len(self._notes))
            self._notes.clear()
