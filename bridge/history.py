"""What happened at a tenant over time, hour by hour or day by day. Frozen, no I/O. Words: docs/glossary.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Span(StrEnum):
    """How far a look back goes."""

    DAY = "day"
    MONTH = "month"

    @property
    def slot_s(self) -> int:
        """Return the length of one slot in seconds: an hour of a day, a day of a month."""
        return 3600 if self is Span.DAY else 86_400

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
