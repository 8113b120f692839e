"""What another flag provider decided for each subject: noted when it changes, audited when the path does."""

import threading

import structlog
from cachetools import TTLCache

from bridge.decisions import Decision, NotedDecision
from bridge.model import AuditEvent, Stage, TenantState
from bridge.ports import Clock, DecisionStore
from bridge.services.later import Later
from bridge.telemetry import Metrics

CAPACITY = 20_000
LOOK_AGAIN_S = 60.0
"""How long a worker trusts that no other one noted something else of a subject."""


class Decisions:
    """Keep the newest decision of each subject.

    Our own provider decides by stage, percentage and cohorts, and every change of those is audited already. Another one
    changes its mind outside, so the change of a subject's path is the only trace that can be had.
    """

    def __init__(self, store: DecisionStore, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._guard = threading.Lock()
        self._known: TTLCache[tuple[str, str], Decision] = TTLCache(CAPACITY, LOOK_AGAIN_S, timer=clock)
        self._later = Later(self._write, metrics)

    def note(self, state: TenantState, sub: str, decision: Decision) -> None:
        """Remember what *sub* got. Never raises, and waits for no store: a chore writes it soon after."""
        key = (state.tenant.slug, sub)
        request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
        with self._guard:
            known = self._known.get(key)
            if known is not None and known.is_like(decision):
                return
            if self._later.note((NotedDecision(*key, decision, self._clock()), request_id)):
                self._known[key] = decision

    def flush(self) -> None:
        """Write what was noted since the last time. Raises StoreError: then it is tried again."""
        self._later.flush()

    def close(self) -> None:
        self._later.close()

    def newest(self, tenant: str, sub: str) -> NotedDecision | None:
        """Return the newest decision, None where none was noted. Raises StoreError."""
        return self._store.get(tenant, sub)

    def _write(self, note: tuple[NotedDecision, str]) -> None:
        """Write unless it stands already; whoever is overtaken by another worker leaves the event to that one."""
        noted, request_id = note
        before = self._store.get(noted.tenant, noted.sub)
        if before is not None and (before.decision.is_like(noted.decision) or before.since > noted.since):
            return
        self._store.note(noted, instead_of=before, event=_event(noted, before, request_id))


def _event(noted: NotedDecision, before: NotedDecision | None, request_id: str) -> AuditEvent | None:
    """Return the event of a path that a flag changed; what stages and kill switches change has events of its own."""
    path_before = before.decision.path if before else Stage.ROLLOUT.safe_path
    decision = noted.decision
    if not decision.provider or path_before is decision.path:
        return None
    facts = before.decision.document() if before else {"path": path_before.value}
    return AuditEvent(
        at=noted.since,
        actor=f"flags:{decision.provider}",
        action="path.change",
        tenant=noted.tenant,
        reason=f"{decision.reason}, variant {decision.variant}" if decision.variant else decision.reason,
        before={"subject": noted.sub, **facts},
        after={"subject": noted.sub, **decision.document()},
        request_id=request_id,
    )
