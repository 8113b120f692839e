"""Compare many people: at a pace that leaves the tenant's rate limit to the pages, and patient when it is spent."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bridge.errors import (
    BridgeError,
    BudgetSpent,
    NotAllowed,
    SubjectNotProvisioned,
    SyncRefused,
    TenantError,
    TenantThrottled,
)
from bridge.model import Identity
from bridge.services.parity_people import LeftOut

T = TypeVar("T")

TRIES = 5
"""How often a throttled comparison is asked again (Qlik: rate limiting, 5 attempts)."""
LONGEST_WAIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to go. One person costs a JWT login and a mint at most, of Qlik's 100 calls a minute (Tier 2)."""

    per_minute: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class PacedRun(Generic[T]):
    """Ask *ask* for one person after the other."""

    def __init__(self, ask: Callable[[Identity], T], pace: Pace) -> None:
        self._ask = ask
        self._pace = pace

    def over(self, people: Sequence[Identity]) -> Iterator[T | LeftOut]:
        """Yield what came of each person, in order, as it comes. Raises StoreError."""
        due = self._pace.clock()
        for identity in people:
            self._pace.sleep(max(0.0, due - self._pace.clock()))
            due = max(due, self._pace.clock()) + 60 / self._pace.per_minute
            yield self._asked(identity)

    def _asked(self, identity: Identity) -> T | LeftOut:
        for left in reversed(range(TRIES)):
            try:
                return self._patiently(identity)
            except TenantThrottled as failure:
                if not left:
                    return _left_out(identity, failure)
                self._pace.sleep(min(failure.retry_after_s or 1.0, LONGEST_WAIT_S))
            except (NotAllowed, SyncRefused, SubjectNotProvisioned, TenantError) as failure:
                return _left_out(identity, failure)
        raise AssertionError("the last try returns")  # pragma: no cover

    def _patiently(self, identity: Identity) -> T:
        """Wait as long as pages need the budget; nothing was asked of the tenant meanwhile, so no try is lost."""
        while True:
            try:
                return self._ask(identity)
            except BudgetSpent as spent:
                self._pace.sleep(min(spent.retry_after_s or 1.0, LONGEST_WAIT_S))


def _left_out(identity: Identity, failure: BridgeError) -> LeftOut:
    return LeftOut(identity.subject.sub, f"{failure.code()}: {failure.message}", isinstance(failure, TenantError))
