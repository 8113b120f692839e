"""Qlik's rate limits: tiers 1, 2 and special, each over a sliding window for each caller."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.sandbox.errors import ApiError

if TYPE_CHECKING:
    from bridge.sandbox.switches import Switches

SPECIAL = {"/api/v1/users/actions/filter", "/api/v1/groups/actions/filter"}
AUDITS = "/api/v1/audits"
UNLIMITED = ("/_sandbox", "/logout", "/resources/")
EVERYBODY = "everybody"
TOO_MANY = 429

Key = tuple[str, str]


@dataclass
class Limits:
    """When each caller called, and until when each is blocked, by (tier, caller)."""

    calls: defaultdict[Key, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    blocked_until: dict[Key, float] = field(default_factory=dict)

    def spend(self, tier: str, caller: str, now: float, budget: int, window: float) -> None:
        """Count one call, or refuse it: the whole tier stays blocked until a call leaves the window."""
        key = (tier, caller)
        calls = self.calls[key]
        while calls and calls[0] <= now - window:
            calls.popleft()
        if now < self.blocked_until.get(key, 0):
            raise too_many(self.blocked_until[key] - now)
        if len(calls) >= budget:
            # The oldest of the last `budget` calls has to leave before one more fits.
            self.blocked_until[key] = calls[-budget] + window
            raise too_many(self.blocked_until[key] - now)
        calls.append(now)

    def refund(self, tier: str, caller: str) -> None:
        if self.calls[tier, caller]:
            self.calls[tier, caller].pop()


def too_many(wait: float) -> ApiError:
    """Qlik: 429 with code HTTP-429 and a retry-after header in seconds."""
    seconds = max(1, math.ceil(wait))
    detail = f"Rate limit exceeded, retry after {seconds} seconds."
    return ApiError(TOO_MANY, "HTTP-429", "API rate limit reached.", detail, headers={"Retry-After": str(seconds)})


def tier_of(method: str, path: str) -> str | None:
    """Name the tier of a call: reads 1, writes 2, some endpoints their own; `None` is not limited."""
    if path == AUDITS or path.startswith(f"{AUDITS}/"):
        return AUDITS
    if method == "OPTIONS" or path.startswith(UNLIMITED):
        return None
    if path in SPECIAL:
        return path
    return "1" if method in ("GET", "HEAD") else "2"


def budget_of(tier: str, switches: Switches) -> int:
    per_minute = {"1": switches.tier1_per_minute, "2": switches.tier2_per_minute, AUDITS: switches.audits_per_minute}
    return max(1, per_minute.get(tier, switches.special_per_minute) * switches.tier_window_s // 60)


def tenant_budget(budget: int, users: int) -> int:
    """Qlik: tenant limit = user limit x number of users x 0.5; one user alone keeps the user limit."""
    return max(budget, budget * users // 2)
