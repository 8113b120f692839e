"""A morning worked out beforehand: how long people wait for their token when they come faster than the budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.budgeting import DEAREST, Limit

KEPT_PERCENTS = (0, 50, 80, 95)
"""How many of the people still have a token that lives, in percent: they wait for nobody."""


@dataclass(frozen=True, slots=True)
class Rush:
    """The waits of one crowd, in seconds. `calls`: 2 for a login and a mint each, 1 where only the mint is left."""

    calls: int
    kept_percent: int
    p50_s: float
    p95_s: float
    max_s: float

    def document(self) -> dict[str, Any]:
        waits = {"p50_s": round(self.p50_s), "p95_s": round(self.p95_s), "max_s": round(self.max_s)}
        return {"calls": self.calls, "kept_percent": self.kept_percent, **waits}


def rushes(people: int, minutes: float, limit: Limit) -> Sequence[Rush]:
    """Let people come evenly within so many minutes (0: all at once) upon an unspent budget, in every variant."""
    arrivals = [60 * minutes * number / people for number in range(people)]
    return [
        rush(arrivals, calls, kept_percent, limit) for calls in range(DEAREST, 0, -1) for kept_percent in KEPT_PERCENTS
    ]


def rush(arrivals: Sequence[float], calls: int, kept_percent: int, limit: Limit) -> Rush:
    """Serve them as they come (seconds, in order), as soon as the window has room."""
    room, served, waits = max(1, limit.budget // calls), list[float](), list[float]()
    for number, at in enumerate(arrivals):
        if number * kept_percent // 100 < (number + 1) * kept_percent // 100:
            waits.append(0)
            continue
        turn = max(at, served[-room] + limit.held_s) if len(served) >= room else at
        served.append(turn)
        waits.append(turn - at)
    waits.sort()
    return Rush(calls, kept_percent, _at(waits, 50), _at(waits, 95), waits[-1])


def _at(waits: Sequence[float], percent: int) -> float:
    return waits[min(len(waits) - 1, len(waits) * percent // 100)]
