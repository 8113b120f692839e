"""The budget of one tenant in numbers: lanes, what was spent, who may spend now, and who must wait how long."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from math import floor
from typing import Any

SLOTS = 150
"""A window is counted in so many slots: two seconds each, in Qlik's window of five minutes."""

RECENT = 5
"""What higher lanes spent in this part of a window says what they will need in a whole one."""

LONGEST_CLOSED_S = 3600.0
"""No Retry-After counts for longer; what lies further ahead was said before the clock went back."""

DEAREST = 2
"""What one person costs at most: a login and a mint."""


class Lane(StrEnum):
    """Who claims a call, the strongest claim first."""

    PAGE_OPEN = "page_open"
    RENEWAL = "renewal"
    PRE_WARM = "pre_warm"
    SHADOW = "shadow"

    def outranks(self, other: "Lane") -> bool:
        return list(Lane).index(self) < list(Lane).index(other)


SHARES = {Lane.PAGE_OPEN: 100, Lane.RENEWAL: 90, Lane.PRE_WARM: 75, Lane.SHADOW: 50}
"""How much of the budget, in percent, a lane and those below it may spend in a window: the rest is for those above."""


def closed_for_s(until: float, now: float) -> float:
    """Return how long a tier that is closed until then stays so."""
    return until - now if 0 < until - now <= LONGEST_CLOSED_S else 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to log a person in and mint for them, until it ends; the others wait for the outcome.

    Times are unix seconds. `problem` is the code of the error by which it ended, "" while it holds.
    """

    tenant: str
    sub: str
    holder: str
    begun: float
    until: float
    problem: str = ""

    def is_in_the_way_of(self, wanted: "Lease") -> bool:
        """Tell whether somebody else holds it; one that ends too far ahead is of before the clock went back."""
        length = wanted.until - wanted.begun
        return self.holder != wanted.holder and 0 < self.until - wanted.begun < 2 * length


@dataclass(frozen=True, slots=True)
class Limit:
    """What Qlik answers (rate limiting, Tier 2), and how much of it stays for others: browsers, and what lags."""

    calls_per_minute: int = 100
    window_s: float = 300.0
    margin_percent: float = 20.0

    @property
    def calls(self) -> int:
        """Return the calls that Qlik answers in a window."""
        return max(DEAREST, floor(self.calls_per_minute * self.window_s / 60))

    @property
    def budget(self) -> int:
        """Return the calls that we allow ourselves in a window."""
        return max(DEAREST, floor(self.calls * (100 - self.margin_percent) / 100))

    @property
    def budget_per_minute(self) -> float:
        return self.budget * 60 / self.window_s

    @property
    def slot_s(self) -> float:
        return self.window_s / SLOTS

    @property
    def held_s(self) -> float:
        """Return how long a slot counts: until its last call left the window, and one more for calls on their way."""
        return self.window_s + 2 * self.slot_s

    def slot(self, now: float) -> float:
        return floor(now / self.slot_s) * self.slot_s

    def share_of(self, lane: Lane) -> int:
        return max(DEAREST, self.budget * SHARES[lane] // 100)


QLIKS_OWN = Limit()


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays: the issuing client of a tenant."""

    tenant: str
    client: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What a lane spent in one slot (named by its beginning, unix seconds), and how many will come back in it."""

    lane: Lane
    slot: float
    calls: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Book:
    """What one account spent lately, and what follows from it. It may hold more than what still counts."""

    limit: Limit
    rows: Sequence[Spent] = ()

    def spent(self, now: float) -> Mapping[Lane, int]:
        live = list(self._live(now))
        return {lane: sum(row.calls for row in live if row.lane is lane) for lane in Lane}

    def refused(self, now: float) -> Mapping[Lane, int]:
        live = list(self._live(now))
        return {lane: sum(row.refused for row in live if row.lane is lane) for lane in Lane}

    def left(self, now: float) -> int:
        return max(0, self.limit.budget - _calls(self._live(now)))

    def room(self, lane: Lane, now: float) -> int:
        """Return how many calls a lane may spend now."""
        left = self.left(now)
        if lane is Lane.PAGE_OPEN:
            return left
        above = [row for row in self._live(now) if row.lane.outranks(lane)]
        if any(row.refused and row.slot + self._recent_s > now for row in above):  # they wait for this already
            return 0
        share = self.limit.share_of(lane) - _calls(row for row in self._live(now) if not row.lane.outranks(lane))
        return max(0, min(left - self._coming(above, now), share))

    def wait_s(self, lane: Lane, calls: int, now: float) -> float:
        """Return the seconds until a lane may spend so many calls, when nobody else spends any meanwhile."""
        if self.room(lane, now) >= calls:
            return 0
        turns = {row.slot + after_s for row in self.rows for after_s in (self.limit.held_s, self._recent_s)}
        coming = sorted(turn for turn in turns if now < turn <= now + 2 * self.limit.held_s)
        first = bisect_left(coming, True, key=lambda at: self.room(lane, at) >= calls)  # it only grows meanwhile
        return coming[first] - now if first < len(coming) else self.limit.held_s

    def freeing(self, now: float) -> "Freeing":
        """Return when the calls that count now are free again, nobody spending meanwhile."""
        spent = Counter[float]()
        for row in self._live(now):
            spent[row.slot] += row.calls
        slots = sorted(slot for slot, calls in spent.items() if calls)
        return Freeing(self.limit, [slot + self.limit.held_s for slot in slots], [spent[slot] for slot in slots])

    @property
    def _recent_s(self) -> float:
        return self.limit.window_s / RECENT + self.limit.slot_s

    def _live(self, now: float) -> Iterator[Spent]:
        """Yield what counts. What lies further ahead than anybody is told to wait was written by a clock gone back."""
        return (row for row in self.rows if -self.limit.held_s < row.slot - now <= self.limit.held_s)

    def _coming(self, above: Sequence[Spent], now: float) -> int:
        """Return what higher lanes will need on top of what they spent, going on as they lately did."""
        lately = _calls(row for row in above if row.slot + self._recent_s > now)
        return max(0, RECENT * lately - _calls(above))


@dataclass(frozen=True, slots=True)
class Freeing:
    """When (unix seconds) how many calls become free, each slot's spread over as long as a slot lasts."""

    limit: Limit
    times: Sequence[float]
    calls: Sequence[int]

    def turn(self, after: float, calls: float) -> float:
        """Return when so many calls more will have become free than *after*; beyond a window, as fast as on average."""
        slot_s = self.limit.slot_s
        for at, freed in islice(
            zip(self.times, self.calls, strict=True), bisect_right(self.times, after - slot_s), None
        ):
            after = max(after, at)
            left = freed * (at + slot_s - after) / slot_s
            if left >= calls:
                return after + calls * slot_s / freed
            calls, after = calls - left, at + slot_s
        return after + calls * self.limit.held_s / self.limit.budget


def _calls(rows: Iterable[Spent]) -> int:
    return sum(row.calls for row in rows)


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How a tenant's budget stands at one moment. `frozen` says until when (unix seconds) which tier is closed."""

    account: Account
    book: Book
    now: float
    frozen: Mapping[int, float] = field(default_factory=dict)
    throttled: int = 0

    @property
    def left(self) -> int:
        return self.book.left(self.now)

    @property
    def spent(self) -> int:
        return sum(self.book.spent(self.now).values())

    @property
    def used_percent(self) -> int:
        return round(100 * self.spent / self.book.limit.budget)

    @property
    def frozen_s(self) -> float:
        """Return how long no login and no token may be asked for, because the tenant said so."""
        return max(0.0, self.frozen.get(2, 0) - self.now)

    def wait_s(self, lane: Lane) -> float:
        """Return how long the next person would wait who needs a login and a mint."""
        return max(self.frozen_s, self.book.wait_s(lane, DEAREST, self.now))

    def document(self) -> dict[str, Any]:
        limit = self.book.limit
        spent, refused = self.book.spent(self.now), self.book.refused(self.now)
        return {
            "tenant": self.account.tenant,
            "client": self.account.client,
            "window_s": limit.window_s,
            "limit": limit.calls,
            "margin_percent": limit.margin_percent,
            "budget": limit.budget,
            "spent": self.spent,
            "left": self.left,
            "throttled": self.throttled,
            "frozen_s": {str(tier): round(until - self.now, 1) for tier, until in sorted(self.frozen.items())},
            "lanes": [
                {
                    "lane": lane.value,
                    "share": limit.share_of(lane),
                    "spent": spent[lane],
                    "refused": refused[lane],
                    "wait_s": round(self.wait_s(lane), 1),
                }
                for lane in Lane
            ],
        }
