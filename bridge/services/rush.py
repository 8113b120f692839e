"""A morning worked out beforehand: how long people wait for their token when they come faster than the budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.budgeting import DEAREST, Limit

ONE_IN = (1, 2, 5, 20)
"""One person in so many has no token that lives. The others wait for nobody."""


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
    return [rush(people, minutes, calls, one_in, limit) for calls in range(DEAREST, 0, -1) for one_in in ONE_IN]


def rush(people: int, minutes: float, calls: int, one_in: int, limit: Limit) -> Rush:
    """Tell how long they wait who are served in turn, as soon as the window has room.

    So many are served at once, and the next so many when the calls of those are free again. They come evenly, so each
    such block waits longer than the one before it by the same time, and nobody need be served one by one.
    """
    room, waiting = max(1, limit.budget // calls), -(-people // one_in)
    longer_s = max(0.0, limit.held_s - room * one_in * 60 * minutes / people)

    def wait_s(percent: int) -> float:
        """Return the wait of the person at that place, when all stand in the order of their waits."""
        place = min(people - 1, people * percent // 100) - (people - waiting)
        return max(0, place // room) * longer_s

    return Rush(calls, 100 - 100 // one_in, wait_s(50), wait_s(95), wait_s(100))
