"""Move a tenant between stages; refuse unsafe moves; leave an audit event for each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.errors import BadRequest, BridgeError, StageRefused, UnmetCondition
from bridge.model import AuditEvent, Cohorts, Rollout, Stage, Tenant, TenantState
from bridge.ports import Clock, SigningKeys, TenantStore
from bridge.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class Move:
    """What an operator asks for. None leaves percentage or cohorts as they are."""

    to: Stage
    actor: str
    reason: str = ""
    percentage: float | None = None
    cohorts: Cohorts | None = None
    force: bool = False
    request_id: str = ""


class Stages:
    """The audited plan of each tenant: one step forward at a time, any number back."""

    def __init__(self, tenants: TenantStore, keys: SigningKeys, clock: Clock, metrics: Metrics) -> None:
        self._tenants = tenants
        self._keys = keys
        self._clock = clock
        self._metrics = metrics

    def move(self, slug: str, move: Move) -> TenantState:
        """Return the tenant after the move.

        Raises StageRefused with every unmet condition, BadRequest, UnknownTenant, Conflict, StoreError.
        A rollback is never refused and revokes no token: ten thousand revocations are a hundred minutes of
        the tenant's rate limit.
        """
        _check_shape(move)
        state = self._tenants.get(slug)
        unmet = tuple(self._unmet(state, move.to))
        if unmet:
            raise StageRefused(unmet)
        before, after = state.rollout, _after(state.rollout, move)
        event = AuditEvent(
            at=self._clock(),
            actor=move.actor,
            action="stage.force" if move.force else "stage.move",
            tenant=slug,
            reason=move.reason,
            before=before.document(),
            after=after.document(),
            request_id=move.request_id,
        )
        moved = self._tenants.move(slug, before=before, after=after, event=event)
        self._metrics.stage_moves.labels(slug, move.to.value).inc()
        return TenantState(state.tenant, moved)

    def _unmet(self, state: TenantState, to: Stage) -> Iterator[UnmetCondition]:
        steps = to.position - state.rollout.stage.position
        if steps > 1:
            following = list(Stage)[state.rollout.stage.position + 1]
            yield UnmetCondition("next_stage", f"From {state.rollout.stage} the next stage is {following}, not {to}.")
        if steps > 0:
            yield from (UnmetCondition("tenant_complete", each) for each in missing_parts(state.tenant, self._keys))


def missing_parts(tenant: Tenant, keys: SigningKeys) -> Iterator[str]:
    """Say what a tenant lacks for any stage after `legacy`."""
    if tenant.issuing_client is None:
        yield "The tenant has no issuing client: give it an `issuing_client` and apply."
    if tenant.web_integration_id is None:
        yield "The tenant has no web integration id, which a rollback needs: give it one and apply."
    for name in tenant.key_files():
        try:
            keys.load(name)
        except BridgeError as error:
            yield f"The key {name} cannot be used: {error.message}"


def _check_shape(move: Move) -> None:
    if move.force and not move.reason.strip():
        raise BadRequest("A forced move needs a reason. Say why in `reason`.")
    if move.percentage is not None and not 0 <= move.percentage <= 100:  # noqa: PLR2004 - per cent
        raise BadRequest("The percentage must lie between 0 and 100.")


def _after(before: Rollout, move: Move) -> Rollout:
    """Return the rollout after the move; a tenant that is not rolling out starts its next rollout at 0 %."""
    back_to_start = move.to.position < Stage.ROLLOUT.position
    kept = 0 if back_to_start else before.percentage
    return replace(
        before,
        stage=move.to,
        percentage=kept if move.percentage is None else move.percentage,
        cohorts=before.cohorts if move.cohorts is None else move.cohorts,
    )
