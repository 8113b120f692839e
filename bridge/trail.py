"""The nouns of the trail: what was changed, by whom and why. Frozen, no I/O. Words: docs/glossary.md."""

from dataclasses import dataclass
from typing import Any

from bridge.model import AuditEvent
from bridge.texts import iso


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An event with its place in the audit: ids grow, and none is ever given twice."""

    id: int
    event: AuditEvent

    def document(self) -> dict[str, Any]:
        """Return the form that the API shows and the export writes."""
        return {"id": self.id, **event_document(self.event)}


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


def event_document(event: AuditEvent) -> dict[str, Any]:
    return {
        "at": iso(event.at),
        "actor": event.actor,
        "action": event.action,
        "tenant": event.tenant,
        "reason": event.reason,
        "before": event.before,
        "after": event.after,
        "request_id": event.request_id,
    }
