"""Let many callers who want the same thing share one attempt at getting it."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

from bridge import deadline
from bridge.errors import BridgeError, StillWaiting
from bridge.services.leases import AGAIN_S, LeaseHeld
from bridge.telemetry import Step, timed

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Run one piece of work per key at a time; whoever asks meanwhile shares its outcome, failures included.

    A lock with a second look would turn one failing upstream call into one per waiter. *again* says of another
    caller's failure whether an attempt of our own may do better.
    """

    def __init__(self, patience_s: float = 30, again: Callable[[BridgeError], bool] = lambda _: False) -> None:
        self._patience_s = patience_s
        self._again = again
        self._guard = threading.Lock()
        self._flights: dict[Hashable, Future[T]] = {}

    def run(self, key: Hashable, work: Callable[[], T]) -> T:
        """Return what *work* returns, run by us or by who came first. A waiter gives up with StillWaiting."""
        with self._guard:
            flight = self._flights.get(key)
            if leading := flight is None:
                flight = self._flights[key] = Future()
        if leading:
            self._fly(key, flight, work)
            return flight.result()
        try:
            with timed(Step.SHARED):
                return self._wait(flight)
        except BridgeError as failure:
            if not self._again(failure):
                raise
        return self.run(key, work)

    def is_flying(self, key: Hashable) -> bool:
        """Tell whether somebody is at it, whose outcome would be shared."""
        return key in self._flights

    def _wait(self, flight: Future[T]) -> T:
        try:
            return flight.result(deadline.at_most(self._patience_s))
        except TimeoutError:
            if flight.done():  # the work's own TimeoutError, or it landed this very moment
                return flight.result()
            raise StillWaiting(detail="another caller's attempt", retry_after_s=AGAIN_S) from None

    def _fly(self, key: Hashable, flight: Future[T], work: Callable[[], T]) -> None:
        try:
            outcome = _outcome(work)
        except BaseException as error:  # noqa: BLE001 - whatever happened, the waiters must hear of it
            self._land(key)
            flight.set_exception(error)
        else:
            self._land(key)
            flight.set_result(outcome)

    def _land(self, key: Hashable) -> None:
        """Make room first: who comes after the outcome starts anew."""
        with self._guard:
            del self._flights[key]


def _outcome(work: Callable[[], T]) -> T:
    """Return what *work* returns, which begins with a look at what other workers left in the store."""
    while True:
        try:
            return work()
        except LeaseHeld as held:
            held.outlast()
