"""What guards a tenant: what is measured, the rules over it, where word of it goes. Frozen, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from bridge.texts import checked_origin

SLOT_S = 5
"""Occurrences are counted in slots of this many seconds: the grain of a sliding window."""

SHORTEST_WEBHOOK_SECRET = 16

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


DURATIONS_S = tuple(round(0.01 * 1.5**step, 4) for step in range(22))
"""Upper bounds of the classes in which durations are counted, 10 ms to 50 s; what took longer is in a last one."""


def duration_class(seconds: float) -> str:
    """Return the name of the count for a duration: `took_07`, and so on."""
    return f"took_{sum(bound < seconds for bound in DURATIONS_S):02}"


@dataclass(slots=True)
class Batch:
    """What one process measured since it last told the store.

    `people` holds when (unix seconds) by tenant, crowd and digest of a person; `counts` how often by tenant, name and
    start of a slot (unix seconds).
    """

    people: dict[tuple[str, str, str], float] = field(default_factory=dict)
    counts: dict[tuple[str, str, int], int] = field(default_factory=dict)


Tally = Mapping[str, int]
"""How many distinct people, or occurrences, by name, since some moment."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)


class Rule(_Part):
    """When a guardrail is crossed, and what happens then."""

    threshold: Annotated[float, Field(ge=0)]
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
        """Return the rules that are on, by name."""
        found = {name: getattr(self, name) for name in CROSSINGS}
        return {name: rule for name, rule in found.items() if rule.action != "off"}


def _completed(model: type[BaseModel], name: str, value: object) -> object:
    default = model.model_fields[name].default if name in model.model_fields else None
    return {**default.model_dump(), **value} if isinstance(default, Rule) and isinstance(value, Mapping) else value


@dataclass(frozen=True, slots=True)
class Crossing:
    """A rule that is crossed, with the numbers that show it; nobody is named."""

    guardrail: str
    rule: Rule
    value: float
    samples: int
    since: float

    def document(self) -> dict[str, Any]:
        """Return the evidence as the audit keeps it and webhooks tell it; `since` in unix seconds."""
        return {
            "guardrail": self.guardrail,
            "value": round(self.value, 3),
            "unit": CROSSINGS[self.guardrail].unit,
            "threshold": self.rule.threshold,
            "samples": self.samples,
            "minimum": self.rule.minimum,
            "window_s": self.rule.window_s,
            "since": round(self.since, 3),
        }

    def sentence(self) -> str:
        kind = CROSSINGS[self.guardrail]
        return (
            f"guardrail {self.guardrail}: {self.value:.3g} {kind.unit} is more than {self.rule.threshold:g}"
            f" ({self.samples} {kind.sample} in {self.rule.window_s} s)"
        )


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a rule reads a tally: `bad` of `all`; without `bad` the 95th percentile of durations."""

    unit: str
    sample: str
    all: str = ""
    bad: str = ""
    is_share: bool = False


CROSSINGS: Mapping[str, _Kind] = {
    "issue_errors": _Kind("% of people", "people", Crowd.ASKED, Crowd.NOT_ISSUED, is_share=True),
    "rejected_tokens": _Kind("% of people", "people", Crowd.ASKED, Crowd.REJECTED, is_share=True),
    "renewals_failed": _Kind("% of people", "people", Crowd.RENEWED, Crowd.NOT_RENEWED, is_share=True),
    "parity_mismatches": _Kind("% of people", "people", Crowd.COMPARED, Crowd.MISMATCHED, is_share=True),
    "throttled": _Kind("answers 429", "calls", Count.CALLS, Count.THROTTLED),
    "slow_issues": _Kind("s (95th percentile)", "issues"),
}
"""The guardrails by name."""


def crossing(name: str, rule: Rule, tally: Tally, since: float) -> Crossing | None:
    """Return the evidence when a rule is crossed, else None. *since*: from when on *tally* counts, unix seconds."""
    kind = CROSSINGS[name]
    if not kind.all:
        return _slow(name, rule, tally, since)
    samples, bad = tally.get(kind.all, 0), tally.get(kind.bad, 0)
    if samples < rule.minimum or (kind.is_share and bad < min(MOST_PEOPLE_NEEDED, rule.minimum)):
        return None
    value = 100 * bad / samples if kind.is_share else bad
    return Crossing(name, rule, value, samples, since) if value > rule.threshold else None


def _slow(name: str, rule: Rule, tally: Tally, since: float) -> Crossing | None:
    counts = [tally.get(f"took_{step:02}", 0) for step in range(len(DURATIONS_S) + 1)]
    samples, value = sum(counts), percentile_95(counts)
    is_crossed = samples >= rule.minimum and value > rule.threshold
    return Crossing(name, rule, value, samples, since) if is_crossed else None


def percentile_95(counts: list[int]) -> float:
    """Return the 95th percentile in seconds of durations counted by class, as if even within one; 0 of none."""
    rank, seen, lower = 0.95 * sum(counts), 0, 0.0
    for count, upper in zip(counts, (*DURATIONS_S, DURATIONS_S[-1]), strict=True):
        if count and seen + count >= rank:
            return lower + (upper - lower) * (rank - seen) / count
        seen, lower = seen + count, upper
    return 0.0


def _webhook(value: str) -> str:
    """Return an address that may be called: https, or http on loopback; no user, no fragment, nothing odd."""
    parts = urlsplit(value)
    checked_origin(f"{parts.scheme}://{parts.netloc}")
    if parts.fragment or any(character <= " " or character >= "\x7f" for character in value):
        raise ValueError("must be an address without spaces and without a #fragment")
    return value


WebhookUrl = Annotated[str, AfterValidator(_webhook)]


class Webhook(_Part):
    """Where a tenant's notices go, and the secret that signs them."""

    url: WebhookUrl
    secret: Annotated[SecretStr, Field(min_length=SHORTEST_WEBHOOK_SECRET)]

    @property
    def host(self) -> str:
        """Return what a log may say of the address: some services put a secret into its path."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class Notice:
    """A message on its way to a webhook: to that of its tenant, or to the one for all (`to`)."""

    id: str
    tenant: str
    to: Literal["tenant", "all"]
    body: str
    created_at: float
    due_at: float
    attempts: int = 0
