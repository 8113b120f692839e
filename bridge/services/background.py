"""Work that must not hold up whoever asks for it: a bounded queue, and one thread a process that works it off."""

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

import structlog

from bridge.errors import BridgeError

T = TypeVar("T")

log = structlog.get_logger()

PATIENCE_S = 5.0
"""How long `close` waits for work that is under way."""


class Background(Generic[T]):
    """Does *work* for one item after the other. What finds the queue full is not taken.

    The thread starts with the first item, in each process anew, because threads do not survive a fork.
    """

    def __init__(self, name: str, work: Callable[[T], object], *, room: int) -> None:
        self._name = name
        self._work = work
        self._room = room
        self._guard = threading.Lock()
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._pid = 0

    def offer(self, item: T) -> bool:
        """Take an item, without waiting, unless *room* items wait already."""
        with self._guard:
            if self._pid != os.getpid():
                self._start()
            if self._queue.qsize() >= self._room:
                return False
            self._queue.put(item)
        return True

    def waiting(self) -> int:
        """Return how many items wait."""
        return self._queue.qsize()

    def pause(self, seconds: float) -> bool:
        """Let the thread rest between items, from within its work; return False when it was closed meanwhile."""
        return not self._ended.wait(seconds)

    def close(self) -> None:
        """End the thread; what still waits is dropped. A later `offer` begins anew."""
        with self._guard:
            thread, self._thread, pid, self._pid = self._thread, None, self._pid, 0
            self._ended.set()
            self._queue.put(None)
        if thread is not None and pid == os.getpid():
            thread.join(PATIENCE_S)

    def _start(self) -> None:
        self._queue, self._ended = SimpleQueue(), threading.Event()
        arguments = (self._queue, self._ended)
        self._thread = threading.Thread(target=self._run, args=arguments, name=self._name, daemon=True)
        self._thread.start()
        self._pid = os.getpid()

    def _run(self, queue: "SimpleQueue[T | None]", ended: threading.Event) -> None:
        while (item := queue.get()) is not None and not ended.is_set():
            self._do(item)

    def _do(self, item: T) -> None:
        """Do one piece; whatever it raises, the next one gets its turn."""
        try:
            self._work(item)
        except BridgeError as error:
            log.warning("background_work_failed", work=self._name, problem=error.code(), detail=error.detail)
        except Exception:
            log.exception("background_work_failed", work=self._name, problem="internal_error")
