"""What a move does to the people that the bridge knows: how many change their path, and whether the calls suffice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import floor

from bridge.budgeting import Limit
from bridge.errors import UnmetCondition
from bridge.model import Path, Tenant, TenantState
from bridge.plan import KnownPeople

MOST_READ = 10_000
"""Of more people so many are read, and the rest is worked out: a page of the console shall not read a million."""

People = Callable[[str], KnownPeople]
"""Returns who is known in a tenant (its slug). It may raise StoreError."""

RUSH_MIN = 60
"""Within so many minutes everybody may come to work, and open a page."""

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many people are known, how many of them change their path, and how many are on `oauth` then.

    `is_rough`: worked out from MOST_READ of them.
    """

    known: int
    moving: int
    on_oauth: int
    is_rough: bool = False

    def sentence(self) -> str:
        about = "about " if self.is_rough else ""
        moving = f"Of {self.known:,} people known here, {about}{self.moving:,} change their path"
        told = f"{moving}; {about}{self.on_oauth:,} are on oauth then."
        return f"{told} Worked out from {MOST_READ:,} of them, drawn at random." if self.is_rough else told


def forecast(before: TenantState, after: TenantState, people: People) -> Forecast:
    """Count with the paths that our own flag gives. Raises StoreError."""
    known = people(before.tenant.slug)
    then = {sub: after.path_for(sub, groups) for sub, groups in known.groups.items()}
    moving = sum(before.path_for(sub, groups) is not then[sub] for sub, groups in known.groups.items())
    on_oauth = sum(path is Path.OAUTH for path in then.values())
    if known.total == len(then):
        return Forecast(known.total, moving, on_oauth)
    times = known.total / len(then)
    return Forecast(known.total, round(moving * times), round(on_oauth * times), is_rough=True)


def over_budget(count: int, tenant: Tenant, limit: Limit) -> Iterator[UnmetCondition]:
    """Yield when so many people need more calls than the budget has while all come to work."""
    calls = _calls_each(tenant)
    room = floor(limit.budget_per_minute * RUSH_MIN / calls)
    if count > room:
        halved = "; a `sync_max_age_s` above a day halves the calls" if calls > 1 else ""
        yield UnmetCondition(
            "budget",
            f"{count:,} people would be on oauth. Coming to work within {RUSH_MIN} minutes they need"
            f" {calls * count:,} calls, and the budget has {limit.budget_per_minute:g} a minute: {room:,} people fit."
            f" Move fewer people{halved}; or force it, where they come spread over the day.",
        )


def _calls_each(tenant: Tenant) -> int:
    """Return the calls that one person costs in the morning: a mint, and a login unless yesterday's still counts."""
    return 1 if tenant.sync_max_age_s > DAY_S else 2
