"""Guardrails: when what was measured crosses a rule of the tenant, pause its rollout or step it back to `shadow`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import structlog

from bridge.errors import Conflict
from bridge.guarding import Crossing, crossing
from bridge.model import AuditEvent, Rollout, Stage, TenantState
from bridge.plan import Pause
from bridge.ports import AuditLog, Clock, MeasureStore, TenantStore
from bridge.services.notices import Notices
from bridge.telemetry import Metrics

log = structlog.get_logger()

ACTOR = "guardrail"
PAUSE, STEP_BACK = "stage.pause", "stage.step_back"
EVENTS_READ = 100


@dataclass(frozen=True, slots=True)
class _Standing:
    """Since when (unix seconds) the rollout is as it is, and whether a guardrail's pause holds it so."""

    revision: int
    since: float
    is_held: bool


class Guardrails:
    """Watches every tenant that is rolling out.

    What was measured before the last change of the rollout never counts again: once a person moved on, a tenant is not
    stepped back for what it was stepped back for before. Every worker watches; the first to write wins.
    """

    def __init__(
        self,
        *,
        tenants: TenantStore,
        measures: MeasureStore,
        audit: AuditLog,
        notices: Notices,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._tenants = tenants
        self._measures = measures
        self._audit = audit
        self._notices = notices
        self._clock = clock
        self._metrics = metrics
        self._standings: dict[str, _Standing] = {}

    def watch(self) -> None:
        """Look at every guarded tenant once, and act. Raises StoreError."""
        states = [each for each in self._tenants.all().values() if _is_guarded(each)]
        crossed: dict[str, list[Crossing]] = defaultdict(list)
        for slug, each in self._crossings(states):
            crossed[slug].append(each)
        for state in states:
            if found := crossed[state.tenant.slug]:
                self._act(state, found)

    def _crossings(self, states: Sequence[TenantState]) -> Iterator[tuple[str, Crossing]]:
        """Yield what is crossed; tenants that look back equally far share one question to the store."""
        questions: dict[float, list[tuple[TenantState, str]]] = defaultdict(list)
        now = self._clock()
        for state in states:
            for name, rule in state.tenant.guardrails.rules().items():
                questions[max(now - rule.window_s, self._standing(state).since)].append((state, name))
        for since, asked in questions.items():
            tallies = self._measures.tallies({state.tenant.slug for state, _ in asked}, since)
            for state, name in asked:
                rule, tally = state.tenant.guardrails.rules()[name], tallies.get(state.tenant.slug, {})
                if found := crossing(name, rule, tally, since):
                    yield state.tenant.slug, found

    def _standing(self, state: TenantState) -> _Standing:
        """Read from the audit, once a revision, who changed the rollout last, and when."""
        slug, revision = state.tenant.slug, state.rollout.revision
        known = self._standings.get(slug)
        if known is None or known.revision != revision:
            event = _last_change(self._audit.latest(tenant=slug, limit=EVENTS_READ))
            known = _Standing(revision, event.at, event.action == PAUSE) if event else _Standing(revision, 0.0, False)
            self._standings[slug] = known
        return known

    def _act(self, state: TenantState, crossed: Sequence[Crossing]) -> None:
        """Step back when any rule that is crossed says so; else pause, unless a pause holds already."""
        back = [each for each in crossed if each.rule.action == "step_back"]
        if back:
            back_in_shadow = replace(state.rollout, stage=Stage.SHADOW, percentage=0, ramp=None)
            self._move(state, back_in_shadow, STEP_BACK, back)
        elif not self._standing(state).is_held:
            pause = Pause(ACTOR, _reason(crossed), self._clock())
            self._move(state, state.rollout.paused(pause), PAUSE, crossed)

    def _move(self, state: TenantState, after: Rollout, action: str, crossed: Sequence[Crossing]) -> None:
        slug, evidence = state.tenant.slug, [each.document() for each in crossed]
        reason = _reason(crossed)
        event = AuditEvent(
            at=self._clock(),
            actor=ACTOR,
            action=action,
            tenant=slug,
            reason=reason,
            before=state.rollout.document(),
            after={**after.document(), "evidence": evidence},
        )
        try:
            moved = self._tenants.move(slug, before=state.rollout, after=after, event=event)
        except Conflict:
            return  # a person, the ramp or another worker was first: look again next time
        self._count(slug, after, action, crossed)
        log.error("guardrail_crossed", tenant=slug, action=action, reason=reason)
        told = {"event": action, "reason": reason, "before": _plan(state.rollout), "after": _plan(moved)}
        self._notices.tell(state.tenant, f"{slug}-{moved.revision}", {**told, "evidence": evidence})

    def _count(self, slug: str, after: Rollout, action: str, crossed: Iterable[Crossing]) -> None:
        for each in crossed:
            self._metrics.guardrails.labels(slug, each.guardrail, each.rule.action).inc()
        if action == STEP_BACK:
            self._metrics.stage_moves.labels(slug, after.stage.value).inc()


def _is_guarded(state: TenantState) -> bool:
    return state.rollout.stage.value in state.tenant.guardrails.stages


def _reason(crossed: Iterable[Crossing]) -> str:
    return "; ".join(each.sentence() for each in crossed)


def _plan(rollout: Rollout) -> dict[str, object]:
    """Return what a notice may say of a rollout: cohorts name people."""
    return {"stage": rollout.stage.value, "percent": rollout.percentage}


def _last_change(events: Iterable[AuditEvent]) -> AuditEvent | None:
    """Return the newest change of a rollout."""
    return next((event for event in events if event.action.startswith(("stage.", "ramp."))), None)
