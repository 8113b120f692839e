"""One worker at a time for one person: who logs in and mints, and how the others wait for what comes of it."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial

from bridge import deadline
from bridge.budgeting import Lease
from bridge.errors import (
    BridgeError,
    NotSignedIn,
    StillWaiting,
    StoreError,
    SubjectNotProvisioned,
    SyncRefused,
    TenantGarbled,
    TenantRefused,
    TenantTimeout,
    TenantUnavailable,
)
from bridge.ports import Clock
from bridge.ports.budget import BudgetStore
from bridge.telemetry import Metrics, Step, timed

LEASE_S = 10.0
"""Longer than a call takes that hangs; a call that begins late in it begins it anew."""
PATIENCE_S = deadline.PATIENCE_S
"""Nobody waits longer for other workers: a lease whose holder died, and then some."""
CALL_S = 8.0
"""How long a call to a tenant may take, with all its round trips."""
AGAIN_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.25

Sleep = Callable[[float], object]

SHARED: dict[str, type[BridgeError]] = {
    each.code(): each
    for each in (
        NotSignedIn,
        SubjectNotProvisioned,
        SyncRefused,
        TenantGarbled,
        TenantRefused,
        TenantTimeout,
        TenantUnavailable,
    )
}
"""Failures that those who waited have too; a 429 and a spent budget are told to every worker in another way."""


class LeaseHeld(Exception):
    """Another worker is, or was, at this person. `outlast` returns when it is worth another look."""

    def __init__(self, outlast: Callable[[], object]) -> None:
        super().__init__("another worker is, or was, at this person")
        self.outlast = outlast


class Leases:
    """The leases of this process. All of its threads are one holder: in here, flights part them."""

    def __init__(self, store: BudgetStore, clock: Clock, metrics: Metrics, sleep: Sleep = time.sleep) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._sleep = sleep
        self._name = secrets.token_hex(8)

    def wanted(self, tenant: str, sub: str) -> Lease:
        """Return the lease to ask for, or the same one with more time. A process that was forked is another holder."""
        now = self._clock()
        return Lease(tenant, sub, f"{self._name}-{os.getpid()}", now, now + LEASE_S)

    def ends_soon(self, lease: Lease | None) -> bool:
        """Tell whether a lease may end before a call does that begins now: the next worker would make it again."""
        return lease is not None and lease.until - self._clock() < CALL_S

    def patience(self, tenant: str, sub: str) -> Callable[[], None]:
        """Return what waits for the lease of another worker; all of its waits end in time, counted from now."""
        return partial(self._outlast, tenant, sub, self._clock() + PATIENCE_S)

    def end(self, lease: Lease, failure: BridgeError | None) -> None:
        """Let go of a lease without a token; with the store away it ends by itself."""
        problem = failure.code() if failure and failure.code() in SHARED else ""
        try:
            self._store.end_lease(lease, problem)
        except StoreError:
            return

    def _outlast(self, tenant: str, sub: str, give_up_at: float) -> None:
        outcome = "failed"
        try:
            with timed(Step.SHARED):
                outcome = self._wait(tenant, sub, give_up_at)
        except StillWaiting:
            outcome = "gave_up"
            raise
        finally:
            self._metrics.lease_waits.labels(tenant, outcome).inc()

    def _wait(self, tenant: str, sub: str, give_up_at: float) -> str:
        """Wait until the lease is gone or over. Raises the failure by which it ended, or StillWaiting."""
        for pause_s in _pauses():
            lease, now = self._store.lease(tenant, sub), self._clock()
            if lease is None:
                return "done"
            if lease.problem:
                raise SHARED[lease.problem](detail="as another worker found")
            if lease.until <= now:
                return "taken_over"
            if now + pause_s > give_up_at or deadline.left_s() < pause_s:  # clocks may go back; a deadline does not
                break
            self._sleep(pause_s)
        raise StillWaiting(detail="another worker holds the lease", retry_after_s=AGAIN_S)


def _pauses() -> Iterator[float]:
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
