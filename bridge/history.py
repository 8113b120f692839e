"""What happened at a tenant over time, hour by hour or day by day. Frozen, no I/O. Words: docs/glossary.md."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

P = TypeVar("P", bound=Hashable)

HOUR_S, DAY_S = 3600, 86_400
"""The lengths of the slots that are kept."""

KEPT_S: Mapping[int, int] = {HOUR_S: 2 * DAY_S, DAY_S: 35 * DAY_S}
"""How long the slots of each length are kept, from their beginning."""

PEOPLE_KEPT_S = 600
"""After the end of a slot its people are told apart this much longer, for a worker that is late."""

TROUBLE = "trouble:"
"""Begins the name under which an error code is counted."""


@dataclass(slots=True)
class Notes(Generic[P]):
    """What one process noted since it last told a store.

    `people` holds when (unix seconds) each was there; `counts` how often by tenant, name and start of a slot.
    """

    people: dict[P, float] = field(default_factory=dict)
    counts: dict[tuple[str, str, int], int] = field(default_factory=dict)


HistoryNotes = Notes[tuple[int, str, str, str]]
"""People by hour (its start), tenant, series and digest; counts by hour too: the store adds them up to days."""


class Span(StrEnum):
    """How far a look back goes."""

    DAY = "day"
    MONTH = "month"

    @property
    def slot_s(self) -> int:
        """Return the length of one slot in seconds: an hour of a day, a day of a month."""
        return HOUR_S if self is Span.DAY else DAY_S

    @property
    def slots(self) -> int:
        """Return how many slots there are, the one that is going on included."""
        return 24 if self is Span.DAY else 30

    def starts(self, now: float) -> Sequence[int]:
        """Return where the slots up to *now* begin (unix seconds), the oldest first."""
        newest = int(now // self.slot_s)
        return [number * self.slot_s for number in range(newest - self.slots + 1, newest + 1)]


class Series(StrEnum):
    """What is kept. People are distinct within one slot; the standings are as they were last seen in it."""

    JWT_PEOPLE = "jwt_people"
    OAUTH_PEOPLE = "oauth_people"
    ISSUED = "issued"
    NOT_ISSUED = "not_issued"
    REJECTED = "rejected"
    CALLS = "calls"
    THROTTLED = "throttled"
    PROVEN = "proven"
    MISMATCHED = "mismatched"
    UNPROVEN = "unproven"
    STRAGGLERS = "stragglers"


STANDINGS = frozenset({Series.PROVEN, Series.MISMATCHED, Series.UNPROVEN, Series.STRAGGLERS})
"""How things stood when somebody looked; the others are counted as they happen."""


@dataclass(frozen=True, slots=True)
class LookBack:
    """What one tenant's series were, slot by slot, the oldest first; None where nothing is known (0 is known).

    `starts` are the beginnings of the slots in unix seconds, in UTC; the last slot is going on. Every series is there,
    with a value for each slot. There are stragglers from stage `oauth` on; before that they are None.
    """

    span: Span
    starts: Sequence[int]
    values: Mapping[Series, Sequence[int | None]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error code that people of a tenant met lately: how often, and when last (unix seconds)."""

    code: str
    times: int
    last_at: float


class PathShare(NamedTuple):
    """How many people used which path today; somebody who used both counts in both."""

    jwt: int = 0
    oauth: int = 0

    @property
    def people(self) -> int:
        return self.jwt + self.oauth

    @property
    def percent(self) -> float | None:
        """Return the share of the path `oauth`, None while nobody came."""
        return 100 * self.oauth / self.people if self.people else None
