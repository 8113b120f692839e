"""The nouns of the trail: what was changed and why, and who still uses the JWT path. Frozen, no I/O."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bridge.model import AuditEvent
from bridge.texts import iso
from bridge.webhooks import ADDRESS, shown_address


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An event with its place in the audit: ids grow, and none is ever given twice."""

    id: int
    event: AuditEvent

    def document(self) -> dict[str, Any]:
        """Return the form that the API shows and the export writes."""
        return {"id": self.id, **event_document(self.event)}


ROLLOUT_ACTIONS = ("stage.", "ramp.")
"""How the actions begin that change a rollout."""
RAMP = "ramp"
"""Who stands in the audit for what a ramp does by itself."""


def begins_anew(event: AuditEvent) -> bool:
    """Tell whether a person or a guardrail changed the rollout: what a ramp does by itself begins nothing anew."""
    return event.action.startswith(ROLLOUT_ACTIONS) and event.actor != RAMP


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What narrows the audit; None leaves a field open. `since` is included, `until` is not (unix seconds)."""

    tenant: str | None = None
    actor: str | None = None
    action: str | None = None
    since: float | None = None
    until: float | None = None

    def admits(self, event: AuditEvent) -> bool:
        wanted = (self.tenant, self.actor, self.action)
        found = (event.tenant, event.actor, event.action)
        is_named = all(want in {None, have} for want, have in zip(wanted, found, strict=True))
        is_late_enough = self.since is None or event.at >= self.since
        return is_named and is_late_enough and (self.until is None or event.at < self.until)


@dataclass(frozen=True, slots=True)
class Whence:
    """Where a request came from, by its own word: the page's origin and the family of browsers, "" where unknown."""

    origin: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class JwtUse:
    """One subject on the JWT path, from one origin by one family of browsers. `hours` counts those with a use."""

    tenant: str
    sub: str
    whence: Whence
    first_seen: float
    last_seen: float
    hours: int = 1

    def document(self) -> dict[str, Any]:
        return {
            "subject": self.sub,
            "origin": self.whence.origin,
            "agent": self.whence.agent,
            "first_seen": iso(self.first_seen),
            "last_seen": iso(self.last_seen),
            "hours": self.hours,
        }


@dataclass(frozen=True, slots=True)
class OriginUse:
    """One page origin whose readers still use the JWT path."""

    origin: str
    subjects: int
    first_seen: float
    last_seen: float

    def document(self) -> dict[str, Any]:
        return {
            "origin": self.origin,
            "subjects": self.subjects,
            "first_seen": iso(self.first_seen),
            "last_seen": iso(self.last_seen),
        }


# --- what the tenant tells of itself ------------------------------------------------------------------------


class Kind(StrEnum):
    """The tenant's events that matter here (Qlik: CloudEvents, GET /api/v1/audits)."""

    SESSION_BEGIN = "com.qlik.user-session.begin"
    TOKEN_ISSUED = "com.qlik.oauth-token.issued"  # noqa: S105 - the name of an event


@dataclass(frozen=True, slots=True)
class TenantEvent:
    """One event of the tenant's own audit; `address` is where the call came from, "" where it does not say."""

    id: str
    kind: str
    at: float
    user_id: str
    address: str
    data: Mapping[str, Any] = field(repr=False)

    def text(self, name: str) -> str:
        """Return a field of the event's data, "" where it is no text."""
        value = self.data.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, newest first, and the cursor of the following page ("" at the end)."""

    events: Sequence[TenantEvent]
    following: str = ""


@dataclass(frozen=True, slots=True)
class Impersonation:
    """A token that the bridge had minted: for whom, with which client, during which request ("" in the background)."""

    token_id: str
    at: float
    tenant: str
    sub: str
    user_id: str
    client_id: str
    request_id: str = ""


class Joined(StrEnum):
    """How an impersonation of the bridge and an event of the tenant belong together."""

    JOINED = "joined"
    AMBIGUOUS = "ambiguous"
    BRIDGE_ONLY = "bridge_only"
    TENANT_ONLY = "tenant_only"

    @property
    def why(self) -> str:
        """Say why the two are not certain to belong together, or why one of them is alone; empty when all is well."""
        return WHY[self]


WHY = {
    Joined.JOINED: "",
    Joined.AMBIGUOUS: "There were several of this user and client within a minute; they are joined in order of time.",
    Joined.BRIDGE_ONLY: "The tenant tells of none within a minute: the event has not arrived yet, or its clock is off.",
    Joined.TENANT_ONLY: "The bridge knows of none: somebody else has the client's secret, or a process of the bridge"
    " ended between mint and record.",
}


@dataclass(frozen=True, slots=True)
class ImpersonationPair:
    """An impersonation beside the tenant's own event of it; one of the two may be missing."""

    joined: Joined
    impersonation: Impersonation | None = None
    event: TenantEvent | None = None

    @property
    def at(self) -> float:
        found = self.impersonation or self.event
        return found.at if found else 0.0

    def document(self) -> dict[str, Any]:
        ours, theirs = self.impersonation, self.event
        return {
            "at": iso(self.at),
            "joined": self.joined.value,
            "why": self.joined.why,
            "subject": ours.sub if ours else None,
            "user_id": ours.user_id if ours else theirs.user_id if theirs else None,
            "client_id": ours.client_id if ours else theirs.text("issuedToClientId") if theirs else None,
            "token_id": ours.token_id if ours else None,
            "request_id": ours.request_id if ours else None,
            "event_id": theirs.id if theirs else None,
            "event_at": iso(theirs.at) if theirs else None,
            "tenant_token_id": theirs.text("id") if theirs else None,
            "address": theirs.address if theirs else None,
        }


@dataclass(frozen=True, slots=True)
class ImpersonationReport:
    """Pairs by time, from `read_since` until before `until` (unix seconds).

    `whole` false: there were too many events, so `read_since` is later than what was asked for.
    """

    tenant: str
    read_since: float
    until: float
    whole: bool
    pairs: Sequence[ImpersonationPair]

    def counts(self) -> dict[str, int]:
        """Return how many pairs there are of each kind."""
        return {kind.value: sum(pair.joined is kind for pair in self.pairs) for kind in Joined}

    def document(self) -> dict[str, Any]:
        return {
            "tenant": self.tenant,
            "read_since": iso(self.read_since),
            "until": iso(self.until),
            "whole": self.whole,
            "counts": self.counts(),
            "impersonations": [pair.document() for pair in self.pairs],
        }

    def page(self, joined: Joined | None, limit: int) -> dict[str, Any]:
        """Return the newest of one kind (None: of any), newest first; `next` is until when the following page goes.

        What happened at the very moment of the last one is on the same page, so that none falls between two pages.
        """
        found = [pair for pair in reversed(self.pairs) if joined in {None, pair.joined}]
        last = found[limit - 1].at if len(found) > limit else self.read_since
        shown = [pair for pair in found if pair.at >= last]
        following = last if len(found) > len(shown) else None
        return {**self.document(), "impersonations": [pair.document() for pair in shown], "next": following}


class Apart(StrEnum):
    """By what a browser's JWT sessions were told from the bridge's own backend logins."""

    PROVIDER = "identity_provider"
    ADDRESS = "origin_ip"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class SessionReport:
    """The tenant's sessions by JWT since `read_since` (unix seconds; later than asked for when there were too many).

    `browsers` counts a browser's sessions by subject; `bridge` counts the bridge's own logins, `unclear` those that
    could be either, `others` those by JWT identity providers that are not the bridge's. `knows_provider`: the tenant
    lists the provider by which browsers log in.
    """

    apart: Apart
    read_since: float
    browsers: Mapping[str, int]
    last_browser: float | None = None
    bridge: int = 0
    unclear: int = 0
    others: int = 0
    addresses: frozenset[str] = frozenset()
    knows_provider: bool = True

    def document(self) -> dict[str, Any]:
        return {
            "told_apart_by": self.apart.value,
            "read_since": iso(self.read_since),
            "browsers": dict(self.browsers),
            "last_browser": None if self.last_browser is None else iso(self.last_browser),
            "bridge": self.bridge,
            "unclear": self.unclear,
            "others": self.others,
            "bridge_addresses": sorted(self.addresses),
        }


class Verdict(StrEnum):
    """Whether a tenant is safe to retire."""

    SAFE = "safe"
    NOT_SAFE = "not_safe"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source says about it, and why. `source` is `bridge` or `tenant`."""

    source: str
    verdict: Verdict
    why: str

    def document(self) -> dict[str, str]:
        return {"source": self.source, "verdict": self.verdict.value, "why": self.why}


@dataclass(frozen=True, slots=True)
class Retirement:
    """Whether the JWT path of a tenant may be closed: a verdict is no better than its weakest evidence."""

    tenant: str
    since: float
    evidence: Sequence[Evidence]
    sessions: SessionReport | None = None

    @property
    def verdict(self) -> Verdict:
        found = {each.verdict for each in self.evidence}
        return next(each for each in (Verdict.NOT_SAFE, Verdict.CANNOT_TELL, Verdict.SAFE) if each in found)

    def document(self) -> dict[str, Any]:
        return {
            "tenant": self.tenant,
            "since": iso(self.since),
            "verdict": self.verdict.value,
            "evidence": [each.document() for each in self.evidence],
            "sessions": self.sessions.document() if self.sessions else None,
        }


@dataclass(frozen=True, slots=True)
class StragglerReport:
    """Who still uses the JWT path of a tenant, from where, since when; `uses` may hold the newest alone."""

    retirement: Retirement
    subjects: int
    origins: Sequence[OriginUse]
    uses: Sequence[JwtUse]

    def document(self) -> dict[str, Any]:
        return {
            **self.retirement.document(),
            "subjects": self.subjects,
            "origins": [each.document() for each in self.origins],
            "uses": [each.document() for each in self.uses],
        }


def event_document(event: AuditEvent) -> dict[str, Any]:
    """Return the form that people and programs get."""
    return {
        "at": iso(event.at),
        "actor": event.actor,
        "action": event.action,
        "tenant": event.tenant,
        "reason": event.reason,
        "before": _shown(event.before),
        "after": _shown(event.after),
        "request_id": event.request_id,
    }


def differences(shown: Mapping[str, Any], most: int) -> Iterator[tuple[str, str, str]]:
    """Yield each field that an event's document says was changed: name, before and after, in *most* characters each."""
    was, now = _flat(shown["before"] or {}), _flat(shown["after"] or {})
    for name in {**was, **now}:
        if was.get(name) != now.get(name):
            yield name, _short(was.get(name), most), _short(now.get(name), most)


def _flat(state: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return fields in fields as `outer.inner`."""
    flat: dict[str, Any] = {}
    for name, value in state.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def _short(value: object, most: int) -> str:
    """Return a value as it fits beside another; what is not there or empty is a dash."""
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _shown(state: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return what an event kept. Older ones hold whole addresses of webhooks, and no event is ever changed."""
    address = state.get(ADDRESS) if state else None
    return {**state, ADDRESS: shown_address(address)} if state and isinstance(address, str) else state
