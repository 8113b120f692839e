"""What another flag provider decided for each subject: noted when it changes, audited when the path does."""

import threading

import structlog
from cachetools import TTLCache

from bridge.decisions import Decision, NotedDecision
from bridge.errors import StoreError
from bridge.model import AuditEvent, Stage, TenantState
from bridge.ports import Clock, DecisionStore

CAPACITY = 20_000
LOOK_AGAIN_S = 60.0
"""How long a worker trusts that no other one noted something else of a subject."""

log = structlog.get_logger()


class Decisions:
    """Keep the newest decision of each subject.

    Our own provider decides by stage, percentage and cohorts, and every change of those is audited already. Another one
    changes its mind outside, so the change of a subject's path is the only trace that can be had.
    """

    def __init__(self, store: DecisionStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._guard = threading.Lock()
        self._known: TTLCache[tuple[str, str], Decision] = TTLCache(CAPACITY, LOOK_AGAIN_S, timer=clock)

    def note(self, state: TenantState, sub: str, decision: Decision) -> None:
        """Remember what *sub* got. Never raises: what cannot be noted now is noted at the next request."""
        key = (state.tenant.slug, sub)
        with self._guard:
            known = self._known.get(key)
        if known is not None and known.is_like(decision):
            return
        try:
            self._write(state, sub, decision)
        except StoreError as problem:
            log.warning("decision_not_noted", tenant=state.tenant.slug, detail=problem.detail)
            return
        with self._guard:
            self._known[key] = decision

    def newest(self, tenant: str, sub: str) -> NotedDecision | None:
        """Return the newest decision, None where none was noted. Raises StoreError."""
        return self._store.get(tenant, sub)

    def _write(self, state: TenantState, sub: str, decision: Decision) -> None:
        """Write unless it stands already; whoever is overtaken by another worker leaves the event to that one."""
        before = self._store.get(state.tenant.slug, sub)
        if before is not None and before.decision.is_like(decision):
            return
        noted = NotedDecision(state.tenant.slug, sub, decision, self._clock())
        self._store.note(noted, instead_of=before, event=_event(state, noted, before))


def _event(state: TenantState, noted: NotedDecision, before: NotedDecision | None) -> AuditEvent | None:
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
        tenant=state.tenant.slug,
        reason=f"{decision.reason}, variant {decision.variant}" if decision.variant else decision.reason,
        before={"subject": noted.sub, **facts},
        after={"subject": noted.sub, **decision.document()},
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
    )
