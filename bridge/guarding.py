"""What guards a tenant: what is measured, and the rules over it. Frozen, no I/O. Words: docs/glossary.md."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge.history import Notes

SLOT_S = 5
"""Occurrences are counted in slots of this many seconds: the grain of a sliding window."""

MOST_PEOPLE_NEEDED = 3
"""A share of people counts from this many people in trouble on (or the rule's minimum, when that is lower)."""


class Crowd(StrEnum):
    """What is measured by distinct people: who had it happen to them, and when last."""

    ASKED = "asked"
    NOT_ISSUED = "not_issued"
    REJECTED = "rejected"
    RENEWED = "renewed"
    NOT_RENEWED = "not_renewed"
    COMPARED = "compared"
    MISMATCHED = "mismatched"


class Count(StrEnum):
    """What is measured by occurrence."""

    CALLS = "calls"
    THROTTLED = "throttled"


class Shadowed(StrEnum):
    """What became of sampled sign-ins in stage `shadow`. `left_out`: the tenant throttles us, or moved on meanwhile."""

    TAKEN = "taken"
    PROVEN = "proven"
    MISMATCH = "mismatch"
    UNPROVEN = "unproven"
    FAILED = "failed"
    LEFT_OUT = "left_out"
    DROPPED = "dropped"

    @classmethod
    def ended(cls, outcome: str) -> "Shadowed":
        """Return what a trial that ended so counts as; *outcome* may be an error code."""
        if outcome in {"tenant_throttled", "budget_spent"}:
            return cls.LEFT_OUT
        return cls(outcome) if outcome in set(cls) else cls.FAILED

    @property
    def measure(self) -> str:
        """Return the name under which it is counted."""
        return f"shadow_{self.value}"


DURATIONS_S = tuple(round(0.01 * 1.5**step, 4) for step in range(22))
"""Upper bounds of the classes in which durations are counted, 10 ms to 50 s; what took longer is in a last one."""


_CLASSES = tuple(f"took_{number:02}" for number in range(len(DURATIONS_S) + 1))


def duration_class(seconds: float) -> str:
    """Return the name of the count for a duration: `took_07`, and so on."""
    return _CLASSES[bisect_left(DURATIONS_S, seconds)]


Batch = Notes[tuple[str, str, str]]
"""What one process measured: people by tenant, crowd and digest; counts by tenant, name and start of a slot."""

Tally = Mapping[str, int]
"""How many distinct people, or occurrences, by name, since some moment."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)


class Rule(_Part):
    """When a guardrail is crossed, and what happens then."""

    threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    window_s: Annotated[int, Field(ge=30, le=3600)] = 600
    minimum: Annotated[int, Field(ge=1)] = 10
    action: Literal["step_back", "pause", "off"] = "step_back"


class Guardrails(_Part):
    """The rules of a tenant. What a file leaves out of a rule is as in the default rule of that name."""

    issue_errors: Rule = Rule(threshold=20)
    rejected_tokens: Rule = Rule(threshold=10)
    renewals_failed: Rule = Rule(threshold=20)
    parity_mismatches: Rule = Rule(threshold=5, window_s=3600, action="pause")
    slow_issues: Rule = Rule(threshold=5, minimum=20, action="pause")
    throttled: Rule = Rule(threshold=10, minimum=10, action="pause")
    stages: tuple[Literal["rollout", "oauth"], ...] = ("rollout",)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        return {name: _completed(cls, name, value) for name, value in given.items()}

    def differing(self) -> dict[str, Any]:
        """Return what is not as by default, in the form of a file."""
        fields = type(self).model_fields
        document = self.model_dump(mode="json")
        return {name: document[name] for name, field in fields.items() if getattr(self, name) != field.default}

    def rules(self) -> Mapping[str, Rule]:
        """Return every rule by name, those that are off too."""
        return {name: getattr(self, name) for name in KINDS}


def _completed(model: type[BaseModel], name: str, value: object) -> object:
    default = model.model_fields[name].default if name in model.model_fields else None
    return {**default.model_dump(), **value} if isinstance(default, Rule) and isinstance(value, Mapping) else value


class Standing(StrEnum):
    """How a guardrail stands now. Too few samples, or too few people in trouble, say nothing yet."""

    CROSSED = "crossed"
    FINE = "fine"
    TOO_FEW = "too_few_samples"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one guardrail sees now, with the numbers that decide; nobody is named.

    `bad` of `samples` (None for durations) since that moment (unix seconds).
    """

    guardrail: str
    rule: Rule
    value: float
    samples: int
    since: float
    bad: int | None = None

    @property
    def is_crossed(self) -> bool:
        return self.standing is Standing.CROSSED

    @property
    def standing(self) -> Standing:
        if self.rule.action == "off":
            return Standing.OFF
        is_above = self.value > self.rule.threshold
        too_few = self.kind.is_share and (self.bad or 0) < min(MOST_PEOPLE_NEEDED, self.rule.minimum)
        if self.samples < self.rule.minimum or (is_above and too_few):
            return Standing.TOO_FEW
        return Standing.CROSSED if is_above else Standing.FINE

    @property
    def kind(self) -> "_Kind":
        return KINDS[self.guardrail]

    def document(self) -> dict[str, Any]:
        """Return the evidence as the audit keeps it and webhooks tell it; `since` in unix seconds."""
        return {
            "guardrail": self.guardrail,
            "value": round(self.value, 3),
            "unit": self.kind.unit,
            "threshold": self.rule.threshold,
            "samples": self.samples,
            "minimum": self.rule.minimum,
            "window_s": self.rule.window_s,
            "since": round(self.since, 3),
            "action": self.rule.action,
        }

    def sentence(self) -> str:
        return (
            f"guardrail {self.guardrail}: {self.value:.3g} {self.kind.unit} is more than {self.rule.threshold:g}"
            f" ({self.samples} {self.kind.sample} in {self.rule.window_s} s)"
        )


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a rule reads a tally: `bad` of `all`; without `bad` the 95th percentile of durations."""

    about: str
    unit: str
    sample: str
    all: str = ""
    bad: str = ""
    is_share: bool = False


def _share(about: str, crowd: Crowd, bad: Crowd) -> _Kind:
    return _Kind(about, "% of people", "people", crowd, bad, is_share=True)


KINDS: Mapping[str, _Kind] = {
    "issue_errors": _share("People who asked for a token and could not get one", Crowd.ASKED, Crowd.NOT_ISSUED),
    "rejected_tokens": _share("People whose token the tenant then refused", Crowd.ASKED, Crowd.REJECTED),
    "renewals_failed": _share("People whose running token could not be renewed", Crowd.RENEWED, Crowd.NOT_RENEWED),
    "parity_mismatches": _share("People who got something else than before", Crowd.COMPARED, Crowd.MISMATCHED),
    "throttled": _Kind("How often the tenant said 429", "answers 429", "calls", Count.CALLS, Count.THROTTLED),
    "slow_issues": _Kind("How long it took to issue a token", "s (95th percentile)", "issues"),
}
"""The guardrails by name."""


def reading(name: str, rule: Rule, tally: Tally, since: float) -> Reading:
    """Return what a guardrail sees. *since*: from when on *tally* counts, unix seconds."""
    kind = KINDS[name]
    if not kind.all:
        counts = [tally.get(f"took_{step:02}", 0) for step in range(len(DURATIONS_S) + 1)]
        return Reading(name, rule, percentile_95(counts), sum(counts), since)
    samples, bad = tally.get(kind.all, 0), tally.get(kind.bad, 0)
    share = 100 * bad / samples if samples else 0.0
    return Reading(name, rule, share if kind.is_share else bad, samples, since, bad)


def percentile_95(counts: list[int]) -> float:
    """Return the 95th percentile in seconds of durations counted by class, as if even within one; 0 of none."""
    rank, seen, lower = 0.95 * sum(counts), 0, 0.0
    for count, upper in zip(counts, (*DURATIONS_S, DURATIONS_S[-1]), strict=True):
        if count and seen + count >= rank:
            return lower + (upper - lower) * (rank - seen) / count
        seen, lower = seen + count, upper
    return 0.0
