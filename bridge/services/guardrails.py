"""Guardrails: when what was measured crosses a rule of the tenant, pause its rollout or step it back to `shadow`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from bridge.errors import Conflict, UnmetCondition
from bridge.guarding import KINDS, Reading, Rule, reading
from bridge.model import AuditEvent, Rollout, Stage, TenantState
from bridge.plan import Pause
from bridge.ports import AuditLog, Clock, TenantStore
from bridge.ports.watching import MeasureStore
from bridge.services.notices import Notices
from bridge.telemetry import Metrics
from bridge.trail import AuditFilter

log = structlog.get_logger()

ACTOR = "guardrail"
CONDITION = "guardrails"
PAUSE, STEP_BACK = "stage.pause", "stage.step_back"
ACTS_READ = 100
"""So many of the guardrails' newest acts may hold a tenant."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """Which event changed the rollout last, as of a revision."""

    revision: int
    event: AuditEvent | None

    @property
    def since(self) -> float:
        """Return since when the rollout is as it is (unix seconds)."""
        return self.event.at if self.event else 0.0

    @property
    def is_ours(self) -> bool:
        return self.event is not None and self.event.actor == ACTOR


class Guardrails:
    """Watches every tenant that is rolling out.

    What was measured before a person last changed the rollout never counts again: once they moved on, a tenant is not
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
        guarded = [each for each in self._tenants.all().values() if is_guarded(each)]
        crossed: dict[str, list[Reading]] = defaultdict(list)
        for slug, each in self._read(guarded):
            if each.is_crossed:
                crossed[slug].append(each)
        for state in guarded:
            if found := crossed[state.tenant.slug]:
                self._act(state, found)

    def readings(self, slug: str) -> Sequence[Reading]:
        """Return what each guardrail of a tenant sees now, in whatever stage. Raises UnknownTenant, StoreError."""
        order = list(KINDS)
        found = (each for _, each in self._read([self._tenants.get(slug)]))
        return sorted(found, key=lambda each: order.index(each.guardrail))

    def conditions(self, state: TenantState, _to: Stage) -> Iterator[UnmetCondition]:
        """Yield each rule that is crossed in its whole window, so that no more people follow into trouble.

        Also what a guardrail acted on already: a step back does not mend its cause. Raises StoreError.
        """
        for _, each in self._read([state], anew=False):
            if each.is_crossed:
                how = (
                    f"Find its cause, then wait until {each.rule.window_s} s went well (docs/how-to/guard-a-tenant.md)."
                )
                yield UnmetCondition(CONDITION, f"{each.sentence()}. {how}")

    def holding(self, slug: str) -> AuditEvent | None:
        """Return the guardrail's event when it was the last to change the rollout: it holds until a person moves on.

        Raises UnknownTenant, StoreError.
        """
        standing = self._standing(self._tenants.get(slug))
        return standing.event if standing.is_ours else None

    def holds(self, states: Iterable[TenantState]) -> Mapping[str, AuditEvent]:
        """Return by tenant what `holding` says, where it says something. Raises StoreError.

        One question for all; then one for each tenant that a guardrail moved, once after each change there.
        """
        entries = self._audit.page(AuditFilter(actor=ACTOR), limit=ACTS_READ)
        moved = {entry.event.tenant for entry in entries}
        found = {each.tenant.slug: self._standing(each) for each in states if each.tenant.slug in moved}
        return {slug: each.event for slug, each in found.items() if each.event and each.is_ours}

    def _read(self, states: Sequence[TenantState], *, anew: bool = True) -> Iterator[tuple[str, Reading]]:
        """Yield what is seen, with *anew* since the last change alone.

        Tenants that look back equally far share one question to the store.
        """
        questions: dict[float, list[tuple[str, str, Rule]]] = defaultdict(list)
        now, all_since = self._clock(), self._all_since() if anew and states else 0.0
        for state in states:
            slug = state.tenant.slug
            earliest = max(self._standing(state).since, all_since) if anew else 0.0
            for name, rule in state.tenant.guardrails.rules().items():
                questions[max(now - rule.window_s, earliest)].append((slug, name, rule))
        for since, asked in questions.items():
            tallies = self._measures.tallies({slug for slug, _, _ in asked}, since)
            for slug, name, rule in asked:
                yield slug, reading(name, rule, tallies.get(slug, {}), since)

    def _standing(self, state: TenantState) -> _Standing:
        """Read from the audit, once a revision, what changed the rollout last."""
        slug, revision = state.tenant.slug, state.rollout.revision
        known = self._standings.get(slug)
        if known is None or known.revision != revision:
            known = self._standings[slug] = _Standing(revision, self._audit.last_change(slug))
        return known

    def _all_since(self) -> float:
        """Return when all tenants were last switched: while the switch was on, nobody was on the new path.

        Asked each time: no tenant's revision tells of it, and this process may not have run then.
        """
        event = self._audit.last_change(None)
        return event.at if event else 0.0

    def _act(self, state: TenantState, crossed: Sequence[Reading]) -> None:
        """Step back when any rule that is crossed says so; else pause, unless a pause holds already."""
        back = [each for each in crossed if each.rule.action == "step_back"]
        if back:
            back_in_shadow = replace(state.rollout, stage=Stage.SHADOW, percentage=0, ramp=None)
            self._move(state, back_in_shadow, STEP_BACK, back)
        elif not self._standing(state).is_ours:
            pause = Pause(ACTOR, _reason(crossed), self._clock())
            self._move(state, state.rollout.paused(pause), PAUSE, crossed)

    def _move(self, state: TenantState, after: Rollout, action: str, crossed: Sequence[Reading]) -> None:
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
        told = {"event": action, "reason": reason, "before": _plan(state.rollout), "after": _plan(after)}
        notice_id = f"{slug}-{state.rollout.revision + 1}"
        notices = self._notices.written(state.tenant, notice_id, {**told, "evidence": evidence})
        try:
            self._tenants.move(slug, before=state.rollout, after=after, event=event, notices=notices)
        except Conflict:
            return  # a person, the ramp or another worker was first: look again next time
        self._count(slug, after, action, crossed)
        log.error("guardrail_crossed", tenant=slug, action=action, reason=reason)

    def _count(self, slug: str, after: Rollout, action: str, crossed: Iterable[Reading]) -> None:
        for each in crossed:
            self._metrics.guardrails.labels(slug, each.guardrail, each.rule.action).inc()
        if action == STEP_BACK:
            self._metrics.stage_moves.labels(slug, after.stage.value).inc()


def is_guarded(state: TenantState) -> bool:
    """Tell whether the tenant is watched in its stage. With the kill switch on nobody is on the new path."""
    return state.rollout.stage.value in state.tenant.guardrails.stages and not state.is_killed


def _reason(crossed: Iterable[Reading]) -> str:
    return "; ".join(each.sentence() for each in crossed)


def _plan(rollout: Rollout) -> dict[str, object]:
    """Return what a notice may say of a rollout: cohorts name people."""
    return {"stage": rollout.stage.value, "percent": rollout.percentage}
