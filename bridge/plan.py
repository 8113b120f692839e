"""The plan of a tenant: stage and rollout, the ramp that raises it, the kill switch that stops it. Frozen, no I/O."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

from bridge.texts import iso

BUCKETS = 10_000
"""Subjects fall into this many buckets: a percentage has two decimals at most."""

MOST_STEPS = 50
EXAMPLE = "`5 % for 1 h, 25 % for 1 day, 100 %`"
LONGEST_HOLD_S = 366 * 86_400
EVERYBODY = 100.0

UNITS_S = {"week": 604_800, "day": 86_400, "h": 3_600, "min": 60, "s": 1}
"""Seconds of each unit, as they are printed; `day` and `week` take an s."""

_ALIASES = {
    "week": "week weeks w",
    "day": "day days d",
    "h": "h hour hours",
    "min": "min mins minute minutes",
    "s": "s sec secs second seconds",
}
_UNIT_OF = {alias: unit for unit, aliases in _ALIASES.items() for alias in aliases.split()}
_STEP = re.compile(r"(?P<percent>\d{1,3}(?:\.\d+)?) ?%?(?: ?for (?P<number>\d{1,9}(?:\.\d{1,3})?) ?(?P<unit>[a-z]+))?")


@dataclass(frozen=True, slots=True)
class KnownPeople:
    """How many people the bridge knows in a tenant, and the groups by `sub` of all of them, or of some."""

    total: int
    groups: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants a change, and why. `force` passes by the conditions of evidence, and needs a reason.

    `seen` is the revision of the rollout that the change was made for; with another one it is refused. None: with any.
    """

    actor: str
    reason: str = ""
    request_id: str = ""
    force: bool = False
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill switch that is on: nobody of the tenant gets the OAuth path. `everywhere`: that of all tenants."""

    actor: str
    reason: str
    at: float
    everywhere: bool = False

    def document(self) -> dict[str, Any]:
        return {"actor": self.actor, "reason": self.reason, "at": iso(self.at), "everywhere": self.everywhere}


@dataclass(frozen=True, slots=True)
class Pause:
    """A ramp stands still since `at` (unix seconds), until a person resumes it."""

    actor: str
    reason: str
    at: float

    def document(self) -> dict[str, Any]:
        return {"actor": self.actor, "reason": self.reason, "at": iso(self.at)}


@dataclass(frozen=True, slots=True)
class Wait:
    """A step that is due waits since `since` (unix seconds): nobody can say yet whether it may be taken."""

    reason: str
    since: float

    def document(self) -> dict[str, Any]:
        return {"reason": self.reason, "since": iso(self.since)}


@dataclass(frozen=True, slots=True)
class RampStep:
    """A percentage, and the seconds that it is held before the next step (0: it is the last)."""

    percent: float
    hold_s: int = 0

    def __str__(self) -> str:
        return f"{self.percent:g} %" + (f" for {_duration(self.hold_s)}" if self.hold_s else "")


@dataclass(frozen=True, slots=True)
class Ramp:
    """Percentages that follow one another by themselves.

    `taken` steps took effect, the last one at `since` (unix seconds; pauses move it on, so that a hold is held
    in full). A ramp ends with its last step: one that is kept has another step to take.
    """

    steps: tuple[RampStep, ...]
    taken: int = 0
    since: float = 0
    pause: Pause | None = None
    wait: Wait | None = None

    def __str__(self) -> str:
        return ", ".join(map(str, self.steps))

    @property
    def next_step(self) -> RampStep:
        return self.steps[self.taken]

    @property
    def next_at(self) -> float | None:
        """Return when the next step is due (unix seconds); None while paused."""
        if self.pause is not None:
            return None
        return self.since + (self.steps[self.taken - 1].hold_s if self.taken else 0)

    def is_due(self, now: float) -> bool:
        return self.next_at is not None and now >= self.next_at

    def stepped(self, now: float) -> "Ramp | None":
        """Return the ramp after its next step; None when that was the last."""
        taken = self.taken + 1
        return None if taken == len(self.steps) else replace(self, taken=taken, since=now, wait=None)

    def resumed(self, now: float) -> "Ramp":
        """Return the ramp without its pause; what was left of the hold is still to be held."""
        paused_s = now - self.pause.at if self.pause else 0
        return replace(self, since=self.since + paused_s, pause=None)

    def document(self) -> dict[str, Any]:
        """Return the form that the API shows and the audit keeps."""
        return {
            "text": str(self),
            "steps": [{"percent": each.percent, "hold_s": each.hold_s} for each in self.steps],
            "taken": self.taken,
            "since": iso(self.since),
            "next_at": None if self.next_at is None else iso(self.next_at),
            "pause": self.pause.document() if self.pause else None,
            "wait": self.wait.document() if self.wait else None,
        }


class Path(StrEnum):
    """What one embed uses now."""

    JWT = "jwt"
    OAUTH = "oauth"


class Stage(StrEnum):
    """The tenant's audited plan, in order."""

    LEGACY = "legacy"
    SHADOW = "shadow"
    ROLLOUT = "rollout"
    OAUTH = "oauth"
    RETIRED = "retired"

    @property
    def position(self) -> int:
        return list(Stage).index(self)

    @property
    def safe_path(self) -> Path:
        """Return the path of everyone whose flag cannot be evaluated."""
        return Path.OAUTH if self in {Stage.OAUTH, Stage.RETIRED} else Path.JWT


@dataclass(frozen=True, slots=True)
class Cohorts:
    """The people who move first: by subject, or by membership of a group."""

    subjects: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def __or__(self, other: "Cohorts") -> "Cohorts":
        return Cohorts(self.subjects | other.subjects, self.groups | other.groups)

    def __sub__(self, other: "Cohorts") -> "Cohorts":
        return Cohorts(self.subjects - other.subjects, self.groups - other.groups)

    def include(self, sub: str, groups: frozenset[str]) -> bool:
        return sub in self.subjects or bool(groups & self.groups)


@dataclass(frozen=True, slots=True)
class Rollout:
    """Stage, percentage and cohorts of one tenant, its ramp and kill switch; `revision` grows with each change."""

    stage: Stage = Stage.LEGACY
    percentage: float = 0
    cohorts: Cohorts = Cohorts()
    revision: int = 0
    ramp: Ramp | None = None
    kill: Kill | None = None

    def path_for(self, tenant: str, sub: str, groups: frozenset[str]) -> Path:
        """Return the path of one subject; raising the percentage never takes anyone back."""
        if self.stage is not Stage.ROLLOUT:
            return self.stage.safe_path
        moved = self.cohorts.include(sub, groups) or bucket(tenant, sub) < round(self.percentage / 100 * BUCKETS)
        return Path.OAUTH if moved else Path.JWT

    def paused(self, pause: Pause) -> "Rollout":
        """Return the rollout with its ramp standing still; without a running ramp it is the same."""
        if self.ramp is None or self.ramp.pause is not None:
            return self
        return replace(self, ramp=replace(self.ramp, pause=pause, wait=None))

    def document(self) -> dict[str, Any]:
        """Return the form that the API shows and the audit keeps."""
        return {
            "stage": self.stage.value,
            "percent": self.percentage,
            "cohorts": {"subjects": sorted(self.cohorts.subjects), "groups": sorted(self.cohorts.groups)},
            "ramp": self.ramp.document() if self.ramp else None,
            "kill": self.kill.document() if self.kill else None,
        }


def bucket(tenant: str, sub: str) -> int:
    """Return the stable bucket, 0 to `BUCKETS` - 1, of a subject in a tenant."""
    digest = hashlib.sha256(f"{tenant}\0{sub}".encode()).digest()
    return int.from_bytes(digest[:8]) % BUCKETS


def read_steps(text: str) -> tuple[RampStep, ...]:
    """Return the steps of `5 % for 1 h, 25 % for 1 day, 100 %`. Raises ValueError with every mistake."""
    parts = [" ".join(part.split()).lower() for part in text.split(",")]
    if not any(parts):
        raise ValueError(f"write at least one step, as in {EXAMPLE}")
    if not all(parts):
        raise ValueError(f"there is an empty step; write them as in {EXAMPLE}")
    found = [_STEP.fullmatch(part) for part in parts]
    wrong = [part for part, match in zip(parts, found, strict=True) if match is None or _is_unknown(match["unit"])]
    if wrong:
        listed = ", ".join(f"`{part[:40]}`" for part in wrong)
        raise ValueError(f"{listed} is no step; write them as in {EXAMPLE}")
    return checked_steps(
        RampStep(float(match["percent"]), _hold_s(match["number"], match["unit"])) for match in found if match
    )


def checked_steps(steps: Iterable[RampStep]) -> tuple[RampStep, ...]:
    """Return *steps*, or raise ValueError with every reason why they make no ramp."""
    whole = tuple(steps)
    if not 1 <= len(whole) <= MOST_STEPS:
        raise ValueError(f"a ramp has 1 to {MOST_STEPS} steps")
    if mistakes := list(_mistakes(whole)):
        raise ValueError("; ".join(mistakes))
    return whole


def _mistakes(steps: Sequence[RampStep]) -> Iterable[str]:
    for step in steps:
        if not 0 < step.percent <= EVERYBODY or round(step.percent, 2) != step.percent:
            yield f"{step.percent:g} % is not above 0, at most 100 and of two decimals"
        if step.hold_s > LONGEST_HOLD_S:
            yield f"{step} holds longer than a year"
    yield from (f"{each} needs a time to hold (`for 1 h`)" for each in steps[:-1] if each.hold_s < 1)
    if steps[-1].hold_s:
        yield f"{steps[-1]} is the last step, which holds for good: leave `for` away"
    yield from (
        f"{after.percent:g} % does not rise" for before, after in pairwise(steps) if after.percent <= before.percent
    )


def _is_unknown(unit: str | None) -> bool:
    return unit is not None and unit not in _UNIT_OF


def _hold_s(number: str | None, unit: str | None) -> int:
    return round(float(number) * UNITS_S[_UNIT_OF[unit]]) if number and unit else 0


def _duration(seconds: int) -> str:
    """Return whole numbers of the largest unit that fits: `90 min`, `2 days`."""
    unit = next(unit for unit, size in UNITS_S.items() if seconds % size == 0)
    count = seconds // UNITS_S[unit]
    return f"{count} {unit}" + ("s" if count > 1 and unit in {"day", "week"} else "")
