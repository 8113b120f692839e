"""How many requests may wait for tenants at once, so that threads are left for those who wait for nobody."""

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from itertools import takewhile
from typing import Self

from bridge.errors import BridgeBusy
from bridge.ports import Clock
from bridge.telemetry import Metrics

GRACE_S = 1.0
"""Room is kept so long for whoever was told to come back: pages come a little later, so as not to come together."""
COMES = 0.5
"""For so many of them: the others come later still, were served by another worker or have gone."""
IN_LINE_S = 10.0
"""So long after their time people stand where they stood in the line, if they find no place again."""
LONGEST_WAIT_S = 30
FIRST_GUESS_S = 1.25
"""How long a place is held, before any was given back: rather too long, or the first crowd comes back too early."""
REMEMBERED = 500
"""So many who were sent away are remembered; who comes on top waits as long as the last of them, without a promise."""


class Bulkhead:
    """The places of this process: three quarters of the server's threads, and half of those for one tenant.

    Who finds none is told when to come back, and then comes before those who did not wait. A tenant that is *alone*
    may have all places.
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
        self._promised: dict[tuple[str, str], float] = {}
        metrics.bulkhead_size.set(self._places)

    def seat(self) -> "Seat":
        """Return what stands for one request while a thread of the server works for it."""
        return Seat(self)

    def enter(self, tenant: str, sub: str) -> float:
        """Take a place, and return since when it is held. Raises BridgeBusy."""
        most = self._places if self._is_alone() else -(-self._places // 2)
        with self._guard:
            now = self._clock()
            if is_free := self._is_free(tenant, sub, most, now):
                self._taken[tenant] += 1
                self._promised.pop((tenant, sub), None)
            else:
                wait_s = self._promise(tenant, sub, most, now)
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

    def _is_free(self, tenant: str, sub: str, most: int, now: float) -> bool:
        """Tell whether there is a place for this person, beside those who came before and should be back by now."""
        self._promised = {who: at for who, at in self._promised.items() if now <= at + IN_LINE_S}
        due = self._due(self._before(tenant, sub), now)
        kept = sum(max(0, min(many, most - self._taken[each])) for each, many in due.items())
        return self._taken[tenant] + due[tenant] < most and self._taken.total() + kept < self._places

    def _due(self, line: Iterable[tuple[str, str]], now: float) -> Counter[str]:
        """Return for how many of the line room is kept now, by tenant."""
        due = Counter(who[0] for who in line if self._promised[who] <= now <= self._promised[who] + GRACE_S)
        return Counter({tenant: math.ceil(many * COMES) for tenant, many in due.items()})

    def _before(self, tenant: str, sub: str) -> Iterable[tuple[str, str]]:
        """Return who was sent away before this person was for the first time; all of them, if they never were."""
        return takewhile((tenant, sub).__ne__, self._promised)

    def _promise(self, tenant: str, sub: str, most: int, now: float) -> float:
        """Return how long to wait: as long as those who came before will take, and one turn more."""
        who = (tenant, sub)
        if (at := self._promised.get(who, now)) > now:
            return at - now
        before = sum(each == tenant for each, _ in self._before(tenant, sub))
        wait_s = min(LONGEST_WAIT_S, math.ceil((before // most + 1) * self._held_s[tenant]))
        if sub and (who in self._promised or len(self._promised) < REMEMBERED):
            self._promised[who] = now + wait_s  # who came back in vain stands where they stood
        return wait_s


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

    def take_place(self, tenant: str, sub: str) -> None:
        if self._tenant is None:
            self._since = self._bulkhead.enter(tenant, sub)
            self._tenant = tenant


_seat: ContextVar[Seat | None] = ContextVar("seat", default=None)


def take_place(tenant: str, sub: str = "") -> None:
    """Take a place for the rest of this request, if it has none yet, before it waits for a tenant or for who does.

    Raises BridgeBusy. What runs in the background holds no thread of the server, so it needs no place.
    """
    if (seat := _seat.get()) is not None:
        seat.take_place(tenant, sub)
