"""The kill switch: at once, nobody of a tenant (or of any) gets the OAuth path."""

from dataclasses import replace
from functools import partial

from bridge.errors import BadRequest
from bridge.model import AuditEvent, Rollout, TenantState
from bridge.plan import Kill, Order, Pause
from bridge.ports import Clock, TenantStore
from bridge.services.stages import Stages, insist
from bridge.trail import RAMP

KILLED = "The kill switch is on."


class Kills:
    """Switch the OAuth path off and on again. Stage, percentage, cohorts and tokens stay as they are; ramps pause.

    What it does not change is a retired tenant, which has no JWT path to fall back on: move it back first.
    """

    def __init__(self, tenants: TenantStore, stages: Stages, clock: Clock) -> None:
        self._tenants = tenants
        self._stages = stages
        self._clock = clock

    def kill(self, slug: str, order: Order) -> TenantState:
        """Switch one tenant off; never refused. Raises BadRequest without a reason, UnknownTenant, StoreError.

        Conflict too, for an order that names a version.
        """
        return self._switch(slug, order, self._kill(order))

    def revive(self, slug: str, order: Order) -> TenantState:
        """Switch one tenant's own kill switch back. That of all tenants stays. Raises as `kill` does."""
        _need_reason(order)
        return self._switch(slug, order, None)

    def kill_all(self, order: Order) -> Kill:
        """Switch every tenant off, those too that are yet to come. Raises BadRequest without a reason, StoreError."""
        kill = replace(self._kill(order), everywhere=True)
        return insist(lambda: self._tenants.kill_all() or self._switch_all(order, None, kill)) or kill

    def revive_all(self, order: Order) -> None:
        """Switch the kill switch of all tenants back; a tenant's own stays. Raises as `kill_all` does.

        A ramp that nobody looked at meanwhile pauses now: none goes on by itself after a kill switch.
        """
        _need_reason(order)
        if self._tenants.kill_all():
            for slug, state in self._tenants.all().items():
                if state.rollout.ramp and not state.rollout.ramp.pause:
                    insist(partial(self._pause, slug))
        insist(lambda: (on := self._tenants.kill_all()) and self._switch_all(order, on, None))

    def _pause(self, slug: str) -> None:
        state, order = self._tenants.get(slug, fresh=True), Order(RAMP, KILLED)
        paused = self._paused(state.rollout, order)
        if paused is not state.rollout:
            self._stages.write(state, paused, order, action="ramp.pause")

    def _paused(self, rollout: Rollout, order: Order) -> Rollout:
        return rollout.paused(Pause(order.actor, KILLED, self._clock()))

    def _kill(self, order: Order) -> Kill:
        _need_reason(order)
        return Kill(order.actor, order.reason, self._clock())

    def _switch(self, slug: str, order: Order, kill: Kill | None) -> TenantState:
        """Write the switch, and the ramp's pause with it, unless it stands so already: who was first is kept."""

        def change() -> TenantState:
            state = self._stages.standing(slug, order)
            if (state.rollout.kill is None) is (kill is None):
                return state
            action = "stage.kill" if kill else "stage.revive"
            rollout = self._paused(state.rollout, order) if kill else state.rollout
            return self._stages.write(state, replace(rollout, kill=kill), order, action=action)

        return insist(change)

    def _switch_all(self, order: Order, before: Kill | None, after: Kill | None) -> Kill | None:
        """Return what stands then. Raises Conflict when somebody else was faster."""
        event = self._event(order, "stage.kill" if after else "stage.revive", before, after)
        self._tenants.set_kill_all(after, before=before, event=event)
        return after

    def _event(self, order: Order, action: str, before: Kill | None, after: Kill | None) -> AuditEvent:
        return AuditEvent(
            at=self._clock(),
            actor=order.actor,
            action=action,
            tenant=None,
            reason=order.reason,
            before={"kill": before.document() if before else None},
            after={"kill": after.document() if after else None},
            request_id=order.request_id,
        )


def _need_reason(order: Order) -> None:
    if not order.reason.strip():
        raise BadRequest("The kill switch needs a reason: say why.")
