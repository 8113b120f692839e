"""Ramps: percentages that rise by themselves, step by step, until they are through or somebody pauses them."""

from collections.abc import Sequence
from dataclasses import replace

from bridge.errors import BadRequest, BridgeError, Conflict, StageRefused, UnmetCondition
from bridge.model import Rollout, Stage, TenantState
from bridge.plan import Order, Pause, Ramp, RampStep, Wait, checked_steps
from bridge.ports import Clock, TenantStore
from bridge.services.kills import KILLED
from bridge.services.stages import NOT_CHECKED, Stages, check_order, insist
from bridge.telemetry import Metrics
from bridge.trail import RAMP

RETRY_S = 60.0
"""How long until a step is tried again whose conditions could not be checked."""

PATIENCE_S = 900.0
"""So long a due step waits for that, then the ramp pauses: a short outage needs no person, a long one does."""

NOT_OURS = "BRIDGE_FLAGS names another provider, which decides who moves."


class Ramps:
    """Start, pause, resume and stop ramps; take the steps that are due.

    Every worker looks; whoever writes first takes the step, and the others lose by the rollout's revision. *ours* is
    False where another flag provider decides, to whom our percentage means nothing, but for tenants with `own_flags`.
    """

    def __init__(
        self, tenants: TenantStore, stages: Stages, clock: Clock, metrics: Metrics, *, ours: bool = True
    ) -> None:
        self._ours = ours
        self._not_before: dict[str, float] = {}
        self._tenants = tenants
        self._stages = stages
        self._clock = clock
        self._metrics = metrics

    def start(self, slug: str, steps: Sequence[RampStep], order: Order) -> TenantState:
        """Take the first step now and the others when they are due; a ramp that is under way is replaced.

        The ramp that runs already, with no step taken since its start, runs on: nothing is written.
        Raises BadRequest for steps that make no ramp, StageRefused outside stage `rollout` and for unmet conditions,
        UnknownTenant, Conflict, StoreError.
        """
        state = self._stages.standing(slug, order)
        self._need_rollout(state)
        ramp = Ramp(_checked(state, steps), since=self._clock())
        check_order(order)
        return state if _runs_already(state.rollout, ramp) else self._step(state, ramp, order, action="ramp.start")

    def pause(self, slug: str, order: Order) -> TenantState:
        """Stand still at the present percentage until somebody resumes; one that stands still already stays so.

        Raises StageRefused when there is no ramp, UnknownTenant, StoreError. It does not lose races, unless *order*
        names a version: then Conflict.
        """

        def change() -> TenantState:
            state = self._stages.standing(slug, order)
            return state if _ramp(state).pause else self._pause(state, order)

        return insist(change)

    def resume(self, slug: str, order: Order) -> TenantState:
        """Go on: hold what was left of the hold, then ask the next step's conditions. Raises as `move` does."""
        state = self._stages.standing(slug, order)
        ramp = _ramp(state)
        self._need_own_flags(state)
        if ramp.pause is None:
            return state
        after = replace(state.rollout, ramp=ramp.resumed(self._clock()))
        return self._stages.write(state, after, order, action="ramp.resume")

    def stop(self, slug: str, order: Order) -> TenantState:
        """Forget the ramp; the percentage stays. Raises as `pause` does."""

        def change() -> TenantState:
            state = self._stages.standing(slug, order)
            _ramp(state)
            return self._stages.write(state, replace(state.rollout, ramp=None), order, action="ramp.stop")

        return insist(change)

    def run_due(self) -> None:
        """Take every step that is due; a failure does not hold up other tenants. Raises the last one."""
        failure: BridgeError | None = None
        for state in self._tenants.all().values():
            try:
                self._look_at(state)
            except Conflict:
                continue  # another worker, or a person, was first
            except BridgeError as error:
                failure = error
        if failure is not None:
            raise failure

    def _look_at(self, state: TenantState) -> None:
        ramp = state.rollout.ramp
        if ramp is None or ramp.pause is not None:
            return
        if state.kill is not None:
            self._pause(state, Order(RAMP, KILLED))
        elif not self._decides(state):
            self._pause(state, Order(RAMP, NOT_OURS))
        elif ramp.is_due(self._clock()) and self._clock() >= self._not_before.get(state.tenant.slug, 0):
            self._take_next(state, ramp)

    def _take_next(self, state: TenantState, ramp: Ramp) -> None:
        """Take a step, or pause where its conditions are not met: a person looks at why, and resumes."""
        order = Order(RAMP, f"step {ramp.taken + 1} of {len(ramp.steps)}: {ramp.next_step}")
        try:
            self._step(state, ramp, order, action="ramp.step")
        except StageRefused as refusal:
            unmet = " ".join(each.message for each in refusal.unmet)
            nobody_knows = all(each.condition == NOT_CHECKED for each in refusal.unmet)
            if nobody_knows and not (ramp.wait and self._clock() - ramp.wait.since >= PATIENCE_S):
                self._wait(state, ramp, replace(order, reason=f"{order.reason} waits. {unmet}"))
            else:
                self._pause(state, replace(order, reason=f"{order.reason} was not taken. {unmet}"))

    def _wait(self, state: TenantState, ramp: Ramp, order: Order) -> None:
        """Try again later; asking each second would not help a tenant in trouble. Said once, for all workers."""
        self._not_before[state.tenant.slug] = self._clock() + RETRY_S
        if ramp.wait is None:
            waiting = replace(ramp, wait=Wait(order.reason, self._clock()))
            self._stages.write(state, replace(state.rollout, ramp=waiting), order, action="ramp.wait")

    def _step(self, state: TenantState, ramp: Ramp, order: Order, *, action: str) -> TenantState:
        after = replace(state.rollout, percentage=ramp.next_step.percent, ramp=ramp.stepped(self._clock()))
        overridden = self._stages.check(state, after, order)
        stepped = self._stages.write(state, after, order, action=action, overridden=overridden)
        self._metrics.ramp_steps.labels(state.tenant.slug).inc()
        return stepped

    def _need_rollout(self, state: TenantState) -> None:
        slug, now = state.tenant.slug, state.rollout.stage
        if now is not Stage.ROLLOUT:
            message = f"{slug} is in stage {now}; a ramp runs in stage rollout. Move it there first."
            raise StageRefused([UnmetCondition("stage_rollout", message, forceable=False)])
        self._need_own_flags(state)

    def _need_own_flags(self, state: TenantState) -> None:
        if not self._decides(state):
            message = f"{NOT_OURS} Let the percentage rise there, or give the tenant `own_flags`."
            raise StageRefused([UnmetCondition("own_flags", message, forceable=False)])

    def _decides(self, state: TenantState) -> bool:
        """Tell whether our percentage says who moves."""
        return self._ours or state.tenant.own_flags

    def _pause(self, state: TenantState, order: Order) -> TenantState:
        paused = state.rollout.paused(Pause(order.actor, order.reason, self._clock()))
        return self._stages.write(state, paused, order, action="ramp.pause")


def _runs_already(now: Rollout, asked: Ramp) -> bool:
    """Tell whether *asked* was started before, and stands where its start would put it."""
    running = now.ramp and replace(now.ramp, since=asked.since, wait=None)
    return (now.percentage, running) == (asked.next_step.percent, asked.stepped(asked.since))


def _ramp(state: TenantState) -> Ramp:
    if state.rollout.ramp is None:
        message = f"{state.tenant.slug} has no ramp: start one with `qlik-bridge stage ramp start`."
        raise StageRefused([UnmetCondition("ramp", message, forceable=False)])
    return state.rollout.ramp


def _checked(state: TenantState, steps: Sequence[RampStep]) -> tuple[RampStep, ...]:
    try:
        whole = checked_steps(steps)
    except ValueError as mistakes:
        raise BadRequest(f"This is no ramp: {mistakes}.") from None
    if whole[0].percent < state.rollout.percentage:
        now = f"{state.rollout.percentage:g} %"
        raise BadRequest(f"A ramp takes nobody back: start it at {now} or more, which is where the tenant is.")
    return whole
