"""Spend calls on a tenant: never more than its budget, by all workers together, the strongest claims first."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from cachetools import TTLCache

from bridge.budgeting import DEAREST, Account, Book, BudgetState, Freeing, Lane, Limit, Spent, closed_for_s
from bridge.errors import BridgeError, BudgetSpent, StoreError
from bridge.guarding import Count, Tally
from bridge.model import Tenant
from bridge.ports import Clock
from bridge.ports.budget import BudgetStore
from bridge.services.leases import Leases, Sleep
from bridge.services.purse import Purse, purse
from bridge.services.tiers import Tiers
from bridge.telemetry import Metrics

WRITE_TIER = 2
REMEMBERED = 10_000
SWEEP_EVERY_S = 60.0
TOO_MANY = 2
"""So many times more are told to come than there will be calls for: no call waits for somebody who is late, or gone."""
LONGEST_TURN = 2
"""Nobody is told to wait for more windows than this; turns are given anew from the first one then."""

_lane: ContextVar[Lane] = ContextVar("lane", default=Lane.PAGE_OPEN)


@contextmanager
def claiming(lane: Lane) -> Iterator[None]:
    """Let this thread claim calls in *lane* from now on; a claim within a weaker one stays the weaker one."""
    token = _lane.set(lane if _lane.get().outranks(lane) else _lane.get())
    try:
        yield
    finally:
        _lane.reset(token)


def is_weaker(error: BridgeError) -> bool:
    """Tell whether a weaker claim than ours was sent away: then ours may still do."""
    return isinstance(error, BudgetSpent) and _lane.get().outranks(Lane(error.lane))


class Tallies(Protocol):
    """Tells what was measured at tenants since a moment, as ports.watching.MeasureStore does."""

    def __call__(self, tenants: Collection[str], since: float) -> Mapping[str, Tally]: ...


class Budget:
    """The calls of Tier 2 (logins, mints, revocations) that all workers together allow themselves.

    A person is admitted, not a call: who is let in to log in has the mint that follows. Whoever is sent away is not
    counted again for a slot: a crowd that waits costs the store next to nothing.
    """

    def __init__(
        self,
        store: BudgetStore,
        limit: Limit,
        clock: Clock,
        metrics: Metrics,
        tallies: Tallies,
        *,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._tallies = tallies
        self._guard = threading.Lock()
        self._turned_back: TTLCache[tuple[Account, Lane, int], _Answer] = TTLCache(
            REMEMBERED, limit.slot_s, timer=clock
        )
        self._sent_away: dict[tuple[Account, Lane], int] = {}
        self._turn: dict[Account, float] = {}
        self._swept_at = clock()
        self.limit = limit
        self.tiers = Tiers(clock, store)
        self._leases = Leases(store, clock, metrics, sleep)

    def spend(self, tenant: Tenant, *, then: int = 0) -> None:
        """Spend one call; for a person, with so many more that follow.

        Raises BudgetSpent with the time to wait, TenantThrottled while the tenant said so, StoreError: without the
        store nobody knows what the others spend; and LeaseHeld while another worker is at the same person.
        """
        account, mine = _account(tenant), purse()
        if mine is None:
            self._claim(account, 1)
        elif mine.calls and mine.account == account and not self._leases.ends_soon(mine.lease):
            mine.calls -= 1
        else:
            mine.give_back_calls()
            is_new = mine.lease is None
            slot = self._claim(account, 1 + then, mine)
            mine.account, mine.calls = account, then + is_new
            mine.give_back = partial(self._give_back, account, _lane.get(), slot)
            if is_new:  # another worker may have been here since this one looked
                raise mine.taken()
        self._metrics.budget_spent.labels(tenant.slug, _lane.get().value).inc()

    def turn_back(self, tenant: Tenant, calls: int) -> None:
        """Send away who would be sent away anyway, by what is in memory alone, unless they have paid already.

        For those who are about to take a place behind the bulkhead: they hear when calls are free for them.
        """
        mine = purse()
        if mine is None or not mine.calls:
            self._refuse_at_once(_account(tenant), _lane.get(), min(calls, DEAREST))

    def states(self, tenants: Sequence[Tenant]) -> Sequence[BudgetState]:
        """Return how the budgets stand, with as many questions for many tenants as for one. Raises StoreError."""
        now = self._clock()
        since = now - self.limit.held_s
        spent, closed = self._store.spent(since), self._store.closed()
        tallies = self._tallies([tenant.slug for tenant in tenants], now - self.limit.window_s)
        return [self._state(_account(tenant), spent, closed, tallies) for tenant in tenants]

    def state(self, tenant: Tenant) -> BudgetState:
        return self.states([tenant])[0]

    def _state(
        self,
        account: Account,
        spent: Mapping[Account, Sequence[Spent]],
        closed: Mapping[tuple[str, int], float],
        tallies: Mapping[str, Tally],
    ) -> BudgetState:
        now = self._clock()
        frozen = {
            tier: until for (slug, tier), until in closed.items() if slug == account.tenant and closed_for_s(until, now)
        }
        throttled = tallies.get(account.tenant, {}).get(Count.THROTTLED, 0)
        return BudgetState(account, Book(self.limit, spent.get(account, ())), now, frozen, throttled)

    def _claim(self, account: Account, calls: int, mine: Purse | None = None) -> float:
        """Return the slot from which so many calls were taken."""
        lane, calls, now = _lane.get(), min(calls, DEAREST), self._clock()
        self._refuse_at_once(account, lane, calls)
        found, lease = _Found(), mine.wanted(self._leases) if mine else None

        def decide(rows: Sequence[Spent], closed_until: float) -> Spent:
            found.closed_until = closed_until
            found.wait_s = max(closed_for_s(closed_until, now), Book(self.limit, rows).wait_s(lane, calls, now))
            if found.wait_s <= 0:
                return Spent(lane, self.limit.slot(now), calls)
            found.freeing = Book(self.limit, rows).freeing(now)
            found.turn_s = self._turn_s(account, lane, calls, found)
            come_back = self.limit.slot(now + min(found.turn_s, self.limit.held_s))
            return Spent(lane, come_back, refused=self._turned_away(account, lane))

        is_free = self._store.claim(account, decide, since=now - self.limit.held_s, lease=lease)
        self._sweep(now)
        if mine and not is_free:
            raise mine.held()
        if found.wait_s > 0:
            self._refuse(account, lane, calls, found)
        if mine:
            mine.lease = lease
        return self.limit.slot(now)

    def _refuse_at_once(self, account: Account, lane: Lane, calls: int) -> None:
        """Send away, without asking the store, who would be sent away anyway."""
        with self._guard:
            known, now = self._turned_back.get((account, lane, calls)), self._clock()
            if known is None or not known.at <= now < known.until:
                return
            self._sent_away[account, lane] = self._sent_away.get((account, lane), 0) + 1
        found = _Found(wait_s=known.until - now, freeing=known.freeing)
        self._send_away(account, lane, self._turn_s(account, lane, calls, found))

    def _turn_s(self, account: Account, lane: Lane, calls: int, found: "_Found") -> float:
        """Return how long the next one shall wait: one after the other, as calls become free, and somewhat sooner.

        Who is told so may have gone by then. Lanes that no page waits in are told when there is room at all.
        """
        if lane is not Lane.PAGE_OPEN or found.freeing is None:
            return found.wait_s
        now = self._clock()
        first = now + found.wait_s
        with self._guard:
            last = self._turn.get(account, 0)
            if not first <= last < first + LONGEST_TURN * self.limit.held_s:  # nobody waits, or too many do
                turn = first
            else:
                turn = found.freeing.turn(last, calls / TOO_MANY)
            self._turn[account] = turn
        return turn - now

    def _refuse(self, account: Account, lane: Lane, calls: int, found: "_Found") -> None:
        now = self._clock()
        if closed_for_s(found.closed_until, now):
            self.tiers.note(account.tenant, WRITE_TIER, found.closed_until)
            self.tiers.check(account.tenant, (WRITE_TIER,))
        with self._guard:
            self._turned_back[account, lane, calls] = _Answer(now, now + found.wait_s, found.freeing)
        self._send_away(account, lane, found.turn_s)

    def _send_away(self, account: Account, lane: Lane, wait_s: float) -> None:
        self._metrics.budget_refused.labels(account.tenant, lane.value).inc()
        raise BudgetSpent(detail=f"the lane {lane} has no call left", retry_after_s=wait_s, tier=WRITE_TIER, lane=lane)

    def _turned_away(self, account: Account, lane: Lane) -> int:
        """Return how many were sent away since the store last heard of it, with the one who asks now."""
        with self._guard:
            return self._sent_away.pop((account, lane), 0) + 1

    def _give_back(self, account: Account, lane: Lane, slot: float, calls: int) -> None:
        with _unless_away():
            self._store.give_back(account, Spent(lane, slot, calls))

    def _sweep(self, now: float) -> None:
        with self._guard:
            if 0 <= now - self._swept_at < SWEEP_EVERY_S:
                return
            self._swept_at = now
        with _unless_away():
            self._store.keep(now - 2 * self.limit.held_s, now + 2 * self.limit.held_s)


@dataclass(frozen=True, slots=True)
class _Answer:
    """When somebody was sent away, and until when; before `at` it says nothing: the clock has gone back."""

    at: float
    until: float
    freeing: Freeing | None


@dataclass(slots=True)
class _Found:
    """What a claim found in the store."""

    closed_until: float = 0
    wait_s: float = 0
    """How long until there is room for one more."""
    freeing: Freeing | None = None
    turn_s: float = 0


def _account(tenant: Tenant) -> Account:
    return Account(tenant.slug, tenant.issuing_client.id if tenant.issuing_client else "")


@contextmanager
def _unless_away() -> Iterator[None]:
    """Leave undone what only saves room: the calls count for a window longer than they had to."""
    try:
        yield
    except StoreError:
        return
