"""The nouns of parity: what a person has in a tenant, how three views of it compare, and what the operator configured.

Nothing here holds a value of the tenant's data: rows are counted and hashed with a salt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge.texts import Expression, Plain

Name = Annotated[Plain, Field(min_length=1, max_length=512)]
Asked = Annotated[Expression, Field(min_length=1, max_length=512)]


class Area(StrEnum):
    """What is compared, in the order of a report: causes before symptoms."""

    TOKEN = "token"  # noqa: S105 - the name of a check
    USER = "user"
    ROLES = "roles"
    GROUPS = "groups"
    SPACES = "spaces"
    APPS = "apps"
    SHEETS = "sheets"
    OBJECTS = "objects"
    ROWS = "rows"


class Verdict(StrEnum):
    """How OAuth compares with what was expected and what JWT gave."""

    SAME = "same"
    MISSING = "missing"
    EXTRA = "extra"
    NOT_CHECKED = "not_checked"


# --- configured with the tenant --------------------------------------------------------------------------


class _Configured(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)


class RowProbe(_Configured):
    """A measure by a dimension (a field or an expression each) of one app: its rows are those a person may see."""

    name: Name
    app_id: Name
    dimension: Asked
    measure: Asked


class Ignore(_Configured):
    """A difference that is known and harmless; `item` may hold `*` and `?`. The reason goes into every report."""

    area: Area
    item: Name
    reason: Name

    def covers(self, area: Area, item: str) -> bool:
        return area is self.area and fnmatchcase(item, self.item.replace("[", "[[]"))  # brackets are no wildcards here


class ParityPlan(_Configured):
    """What parity looks at in one tenant, and how much of it a move of stage needs.

    `subjects_needed` is the number of people whose parity must be proven, not longer ago than `fresh_for_s`
    seconds; at most `max_apps` apps are opened as each person; `sample_percent` of sign-ins are compared in `shadow`.
    """

    probes: tuple[RowProbe, ...] = ()
    ignores: tuple[Ignore, ...] = ()
    sample_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0
    subjects_needed: Annotated[int, Field(ge=0, le=1_000_000)] = 5
    fresh_for_s: Annotated[int, Field(ge=60, le=90 * 86_400)] = 7 * 86_400
    max_apps: Annotated[int, Field(ge=0, le=1_000)] = 20

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [probe.name for probe in self.probes]
        if len(names) != len(set(names)):
            raise ValueError("two probes have the same name, and a report could not tell them apart")
        return self

    def why_ignored(self, area: Area, item: str) -> str:
        """Return the reason why a difference does not count; empty when it does."""
        return next((each.reason for each in self.ignores if each.covers(area, item)), "")


# --- what a person has -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Credential:
    """Request headers that let us look as one person: a cookie session, or an impersonation token."""

    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a credential belongs to (Qlik: users/me). Roles by id, groups by `provider type:name`."""

    user_id: str
    subject: str
    roles: Mapping[str, str]
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rows:
    """What one probe returned: how many rows, and their salted digest; `problem` says why it could not be asked."""

    count: int = 0
    digest: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class OpenedApp:
    """One app as a person opened it. `refused`: it is closed to them; `problem`: nobody knows.

    Sheets and objects are titles by id; `reloaded_at` is the app's own stamp of its data.
    """

    refused: str = ""
    problem: str = ""
    reloaded_at: str = ""
    sheets: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, Rows] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return not self.refused and not self.problem


@dataclass(frozen=True, slots=True)
class Access:
    """All that parity sees of one person at one moment, by one credential.

    Spaces are `name: role` by `space id/role`, apps names by id, `opened` by app id. `problems` says by area why
    a part was not read.
    """

    holder: Holder
    spaces: Mapping[str, str] = field(default_factory=dict)
    apps: Mapping[str, str] = field(default_factory=dict)
    opened: Mapping[str, OpenedApp] = field(default_factory=dict)
    problems: Mapping[Area, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look at: probes by app id, apps to open in any case, how many in all, and the salt of digests."""

    probes: Sequence[RowProbe]
    apps: Sequence[str]
    max_apps: int
    salt: bytes = field(repr=False)


# --- evidence --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Baseline:
    """What one person's JWT session had at `taken_at` (unix seconds), with the portal's facts of that time.

    `fingerprint` is that of the subject, `salt_id` names the salt of the digests without revealing it.
    """

    tenant: str
    sub: str
    fingerprint: str
    salt_id: str
    taken_at: float
    access: Access


@dataclass(frozen=True, slots=True)
class Check:
    """One line of evidence: what the portal says, what JWT gave, what OAuth gives, and the verdict.

    `why` explains a verdict that is not `same`; `ignored` is the configured reason why it does not count. A check
    that is not `needed` tells the reader something and keeps no tenant from moving.
    """

    area: Area
    item: str
    verdict: Verdict
    expected: str = ""
    baseline: str = ""
    oauth: str = ""
    why: str = ""
    ignored: str = ""
    needed: bool = True

    @property
    def is_open(self) -> bool:
        """Tell whether this is a difference that nobody explained."""
        return self.verdict in {Verdict.MISSING, Verdict.EXTRA} and not self.ignored

    @property
    def is_gap(self) -> bool:
        """Tell whether something that was to be proven could not be looked at."""
        return self.verdict is Verdict.NOT_CHECKED and self.needed and not self.ignored


class Outcome(StrEnum):
    """What the comparison of one subject comes to."""

    PROVEN = "proven"
    MISMATCH = "mismatch"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class ParityResult:
    """The newest comparison of one subject. `run` (unix seconds) names those made together; 0 is one on its own.

    `basis` is a digest of the host, client, scope, probes and ignores under which it was made.
    """

    tenant: str
    sub: str
    run: float
    compared_at: float
    baseline_at: float | None
    fingerprint: str
    checks: Sequence[Check]
    basis: str = ""

    @property
    def mismatches(self) -> Sequence[Check]:
        return [check for check in self.checks if check.is_open]

    @property
    def gaps(self) -> Sequence[Check]:
        return [check for check in self.checks if check.is_gap]

    @property
    def outcome(self) -> Outcome:
        """Never a silent pass: what could not be looked at is not proven."""
        if self.mismatches:
            return Outcome.MISMATCH
        return Outcome.UNPROVEN if self.gaps else Outcome.PROVEN


@dataclass(frozen=True, slots=True)
class ParityCounts:
    """The newest comparisons of a tenant: subjects by outcome.

    `fresh` are those proven since a given moment, on a given basis.
    """

    proven: int = 0
    mismatch: int = 0
    unproven: int = 0
    fresh: int = 0
