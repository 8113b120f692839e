"""What nobody asks for and still must be done: one background thread a process runs the chores that are due."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bridge.errors import BridgeError
from bridge.ports import Clock
from bridge.telemetry import Metrics

log = structlog.get_logger()

PATIENCE_S = 5.0
"""How long `close` waits for a chore that is under way."""

Work = Callable[[], object]


@dataclass(slots=True)
class _Chore:
    name: str
    every_s: float
    work: Work
    due_at: float


class Keeper:
    """Runs chores one after the other, each at most every so many seconds of *clock* (monotonic).

    Every process has its own, so a chore that must be done once among all workers settles that in the store.
    A chore that hangs holds up the others: each must have timeouts of its own.
    """

    def __init__(self, metrics: Metrics, clock: Clock = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._chores: list[_Chore] = []
        self._guard = threading.Lock()
        self._running = threading.Lock()
        self._thread: threading.Thread | None = None
        self._end = threading.Event()
        self._pid = 0
        self._others: list[Keeper] = []

    def beside(self, other: "Keeper") -> None:
        """Start and close *other* with this one: it has a thread of its own, so its chores may take long."""
        self._others.append(other)

    def add(self, name: str, every_s: float, work: Work) -> None:
        """Do *work* every *every_s* seconds from now on. Add chores before the first `start`."""
        self._chores.append(_Chore(name, every_s, work, self._clock() + every_s))

    def start(self) -> None:
        """Start the thread, once a process: called with each request, because threads do not survive a fork."""
        if self._pid == os.getpid():
            return
        for other in self._others:
            other.start()
        if not self._chores:
            return
        with self._guard:
            if self._pid != os.getpid():
                self._end = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(self._end,), name="keeper", daemon=True)
                self._thread.start()
                self._pid = os.getpid()

    def close(self) -> None:
        """End the thread; a chore that is under way gets PATIENCE_S seconds. A later `start` begins anew."""
        for other in self._others:
            other.close()
        with self._guard:
            self._end.set()
            if self._thread is not None and self._pid == os.getpid():
                self._thread.join(PATIENCE_S)
            self._thread, self._pid = None, 0

    def run_due(self) -> float:
        """Run every chore that is due; return the seconds until the next one."""
        with self._running:
            for chore in self._chores:
                if self._clock() >= chore.due_at:
                    self._run_chore(chore)
                    chore.due_at = self._clock() + chore.every_s
            return max(0.0, min(chore.due_at for chore in self._chores) - self._clock())

    def _run(self, end: threading.Event) -> None:
        pause_s = 0.0
        while not end.wait(pause_s):
            pause_s = self.run_due()

    def _run_chore(self, chore: _Chore) -> None:
        """Run one chore; whatever it raises, the others go on and it is tried again next time."""
        outcome = "ok"
        try:
            chore.work()
        except BridgeError as error:
            outcome = error.code()
            log.warning("chore_failed", chore=chore.name, problem=outcome, detail=error.detail)
        except Exception:
            outcome = "internal_error"
            log.exception("chore_failed", chore=chore.name, problem=outcome)
        self._metrics.chores.labels(chore.name, outcome).inc()
