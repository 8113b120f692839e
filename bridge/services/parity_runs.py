"""Ask for many people: at a pace that leaves the tenant's rate limit to the pages, and patient when it is spent."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bridge.budgeting import DEAREST, QLIKS_OWN, Lane, Limit
from bridge.errors import (
    BridgeError,
    BudgetSpent,
    NotAllowed,
    SubjectNotProvisioned,
    SyncRefused,
    TenantError,
    TenantThrottled,
    TenantUnavailable,
)
from bridge.model import Identity, IssuedToken
from bridge.services.parity_people import LeftOut

W = TypeVar("W", bound=Identity | IssuedToken)
T = TypeVar("T")

TRIES = 5
"""How often we ask again for somebody when a tenant says when to come back (Qlik: rate limiting, 5 attempts)."""
LONGEST_WAIT_S = 600.0


PATIENCE_S = 3600.0
"""So long one person waits for the budget; then pages need all of it, and the run ends, to be resumed."""


Waiting = Callable[[TenantError, float], object]
"""Is told before each wait: why, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to go. One person costs a JWT login and a mint at most: `calls`, of what the lane may spend."""

    per_minute: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    limit: Limit = QLIKS_OWN
    calls: int = DEAREST

    @property
    def at_once(self) -> int:
        """Return how many people the lane lets through before any must wait for the budget."""
        return self.limit.share_of(Lane.SHADOW) // self.calls

    @property
    def lasting(self) -> float:
        """Return how many people a minute the lane lets through in the long run."""
        return self.at_once * 60 / self.limit.held_s

    def due_s(self, number: int) -> float:
        """Return when it is that person's turn, counted from 0, when nobody else needs the lane's budget.

        As in a rush: so many are let through, and the next so many when the calls of those are free again.
        """
        apart_s = 60 / self.per_minute
        return number * apart_s + number // self.at_once * max(0.0, self.limit.held_s - self.at_once * apart_s)

    def left_s(self, done: int, people: int) -> float:
        """Return how long the rest of a run over *people* takes."""
        return max(0.0, self.due_s(people - 1) - self.due_s(done))


class PacedRun(Generic[W, T]):
    """Ask *ask* for one person after the other; *waiting* hears of each wait as it begins."""

    def __init__(self, ask: Callable[[W], T], pace: Pace, waiting: Waiting = lambda *_: None) -> None:
        self._ask = ask
        self._pace = pace
        self._waiting = waiting

    def over(self, people: Sequence[W]) -> Iterator[T | LeftOut]:
        """Yield what came of each person, in order, as it comes. Raises StoreError, and BudgetSpent out of patience."""
        due = self._pace.clock()
        for whose in people:
            self._pace.sleep(max(0.0, due - self._pace.clock()))
            due = max(due, self._pace.clock()) + 60 / self._pace.per_minute
            yield self._asked(whose)

    def _asked(self, whose: W) -> T | LeftOut:
        for left in reversed(range(TRIES)):
            try:
                return self._patiently(whose)
            except BudgetSpent:
                raise
            except TenantError as failure:
                if not left or not _says_when(failure):
                    return _left_out(whose, failure)
                self._wait(failure, _told_s(failure))
            except (NotAllowed, SyncRefused, SubjectNotProvisioned) as failure:
                return _left_out(whose, failure)
        raise AssertionError("the last try returns")  # pragma: no cover

    def _patiently(self, whose: W) -> T:
        """Wait as long as pages need the budget; nothing was asked of the tenant meanwhile, so no try is lost."""
        until = self._pace.clock() + PATIENCE_S
        while True:
            try:
                return self._ask(whose)
            except BudgetSpent as spent:
                wait_s = _told_s(spent)
                if self._pace.clock() + wait_s > until:
                    raise _out_of_patience(spent) from None
                self._wait(spent, wait_s)

    def _wait(self, why: TenantError, seconds: float) -> None:
        self._waiting(why, seconds)
        self._pace.sleep(seconds)


def _told_s(failure: TenantError) -> float:
    return min(failure.retry_after_s or 1.0, LONGEST_WAIT_S)


def _says_when(failure: TenantError) -> bool:
    """Tell whether it is worth waiting: the tenant asked us to, or failed so often that we pause."""
    is_pause = isinstance(failure, TenantUnavailable) and failure.retry_after_s is not None
    return is_pause or isinstance(failure, TenantThrottled)


def _out_of_patience(spent: BudgetSpent) -> BudgetSpent:
    message = f"For {PATIENCE_S / 60:.0f} minutes the budget had no call left for this run: pages needed all of it."
    return BudgetSpent(
        message, detail=spent.detail, retry_after_s=spent.retry_after_s, tier=spent.tier, lane=spent.lane
    )


def _left_out(whose: Identity | IssuedToken, failure: BridgeError) -> LeftOut:
    sub = whose.key.sub if isinstance(whose, IssuedToken) else whose.subject.sub
    return LeftOut(sub, f"{failure.code()}: {failure.message}", isinstance(failure, TenantError))
