"""How many requests may wait for tenants at once, so that threads are left for those who wait for nobody."""

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Self

from bridge.errors import BridgeBusy
from bridge.ports import Clock
from bridge.telemetry import Metrics

LONGEST_WAIT_S = 30
FIRST_GUESS_S = 1.25
"""How long a place is held, before any was given back: rather too long, or the first crowd comes back too early."""
SLACK = 1.25
"""Turns lie further apart than places come free: pages come a little later than told, so as not to come together."""


class Bulkhead:
    """The places of this process: three quarters of the server's threads, and half of those for one tenant.

    Who finds none is told when to come back, one turn after the other. No place is kept for them: who was told so may
    come to another worker, or has gone. A tenant that is *alone* may have all places.
    """

    def __init__(
        self,
        threads: int,
        metrics: Metrics,
        *,
        is_alone: Callable[[], bool] = lambda: False,
        clock: Clock = time.monotonic,
    ) -> None:
        self._places = max(1, threads * 3 // 4)
        self._metrics = metrics
        self._is_alone = is_alone
        self._clock = clock
        self._guard = threading.Lock()
        self._taken = Counter[str]()
        self._held_s: dict[str, float] = defaultdict(lambda: FIRST_GUESS_S)
        self._line: dict[str, tuple[float, float]] = {}
        metrics.bulkhead_size.set(self._places)

    def seat(self) -> "Seat":
        """Return what stands for one request while a thread of the server works for it."""
        return Seat(self)

    def enter(self, tenant: str) -> float:
        """Take a place, and return since when it is held. Raises BridgeBusy."""
        most = self._places if self._is_alone() else -(-self._places // 2)
        with self._guard:
            now = self._clock()
            if is_free := self._taken[tenant] < most and self._taken.total() < self._places:
                self._taken[tenant] += 1
            else:
                wait_s = self._wait_s(tenant, most, now)
        if not is_free:
            self._metrics.bulkhead_refused.labels(tenant).inc()
            raise BridgeBusy(detail=f"no place left of {self._places}, {most} for one tenant", retry_after_s=wait_s)
        self._metrics.bulkhead_taken.labels(tenant).inc()
        return now

    def leave(self, tenant: str, since: float) -> None:
        with self._guard:
            self._taken[tenant] -= 1
            self._held_s[tenant] += (self._clock() - since - self._held_s[tenant]) / 8
        self._metrics.bulkhead_taken.labels(tenant).dec()

    def _wait_s(self, tenant: str, most: int, now: float) -> float:
        """Return in how many whole seconds the turn comes that nobody has been given yet.

        What is kept is how many there were in line, and when: it gets shorter faster than was thought when places are.
        """
        held_s = self._held_s[tenant]
        apart_s = SLACK * held_s / most
        ahead, seen_at = self._line.get(tenant, (0.0, now))
        ahead = max(0.0, ahead - (now - seen_at) / apart_s)
        wait_s = min(LONGEST_WAIT_S, held_s + (ahead + 1) * apart_s)
        self._line[tenant] = (min(ahead + 1, LONGEST_WAIT_S / apart_s), now)
        return math.ceil(wait_s)


class Seat:
    """One request and its thread. Whatever place it takes it keeps to its end: nobody is sent away half-way."""

    __slots__ = ("_bulkhead", "_since", "_tenant", "_token")

    def __init__(self, bulkhead: Bulkhead) -> None:
        self._bulkhead = bulkhead
        self._tenant: str | None = None
        self._since = 0.0
        self._token: Token[Seat | None] | None = None

    def __enter__(self) -> Self:
        self._token = _seat.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _seat.reset(self._token)
        if self._tenant is not None:
            self._bulkhead.leave(self._tenant, self._since)
            self._tenant = None

    def take_place(self, tenant: str) -> None:
        if self._tenant is None:
            self._since = self._bulkhead.enter(tenant)
            self._tenant = tenant


_seat: ContextVar[Seat | None] = ContextVar("seat", default=None)


def take_place(tenant: str) -> None:
    """Take a place for the rest of this request, if it has none yet, before it waits for a tenant or for who does.

    Raises BridgeBusy. What runs in the background holds no thread of the server, so it needs no place.
    """
    if (seat := _seat.get()) is not None:
        seat.take_place(tenant)
