"""Move a tenant between stages; refuse unsafe moves; leave an audit event for each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import structlog

from bridge.budgeting import QLIKS_OWN, Limit
from bridge.errors import BadRequest, BridgeError, Conflict, StageRefused, UnmetCondition
from bridge.model import AuditEvent, Cohorts, Rollout, Stage, Tenant, TenantState
from bridge.plan import Order
from bridge.ports import Clock, SigningKeys, TenantStore
from bridge.sealing import LOCKED
from bridge.services.forecast import Forecast, People, forecast, over_budget
from bridge.telemetry import Metrics

log = structlog.get_logger()

T = TypeVar("T")

Condition = Callable[[TenantState, Stage], Iterable[UnmetCondition]]
"""Tells what a tenant still lacks before more of its people may get the OAuth path. It may raise any BridgeError."""

Count = Callable[[], Forecast]
"""Counts the people whom a change moves. It may raise StoreError."""

NOBODY = Cohorts()
NOT_CHECKED = "not_checked"
ATTEMPTS = 25
"""Of so many who change one tenant at once, each is served: in every round one of them wins."""


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
    seen: int | None = None

    @property
    def order(self) -> Order:
        return Order(self.actor, self.reason, self.request_id, self.force, self.seen)


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What a move would change, and what it still lacks."""

    slug: str
    before: Rollout
    after: Rollout
    unmet: tuple[UnmetCondition, ...]
    effects: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the form that the API and `--json` show."""
        return {
            "slug": self.slug,
            "before": self.before.document(),
            "after": self.after.document(),
            "effects": list(self.effects),
            "unmet": [each.document() for each in self.unmet],
        }


class Stages:
    """The audited plan of each tenant: one step forward at a time, any number back.

    *conditions* are those of evidence; they are asked before each change that moves more people. *people* tells who
    is known, for the forecast. *ours* is False where another flag provider decides who moves, but for tenants with
    `own_flags`.
    """

    def __init__(  # noqa: PLR0913 - what it takes to plan, by name
        self,
        tenants: TenantStore,
        keys: SigningKeys,
        clock: Clock,
        metrics: Metrics,
        conditions: Sequence[Condition] = (),
        people: People | None = None,
        *,
        ours: bool = True,
        limit: Limit = QLIKS_OWN,
    ) -> None:
        self._tenants = tenants
        self._keys = keys
        self._clock = clock
        self._metrics = metrics
        self._conditions = tuple(conditions)
        self._people = people
        self._ours = ours
        self._limit = limit

    def plan(self, slug: str, to: Stage | None = None, percentage: float | None = None) -> MovePlan:
        """Return what a move would do, by default the next one. Raises BadRequest, UnknownTenant, StoreError."""
        state = self._tenants.get(slug)
        move = Move(to or following(state.rollout.stage), actor="", percentage=percentage)
        _check_shape(move)
        after = _after(state.rollout, move)
        count = self._counter(state, after)
        effects = [*_effects(state, after, ours=self._is_ours(state)), *([count().sentence()] if count else [])]
        return MovePlan(slug, state.rollout, after, self._unmet(state, after, count), tuple(effects))

    def move(self, slug: str, move: Move) -> TenantState:
        """Return the tenant after the move.

        Raises StageRefused with every unmet condition, BadRequest, UnknownTenant, Conflict, StoreError.
        A rollback that names no version is never refused. It revokes no token: ten thousand revocations are a
        hundred minutes of the tenant's rate limit.
        """
        _check_shape(move)
        if move.to.position < self._tenants.get(slug, fresh=True).rollout.stage.position:
            return insist(lambda: self._move(slug, move))
        return self._move(slug, move)

    def standing(self, slug: str, order: Order) -> TenantState:
        """Return the tenant as it stands, past any copy. Raises Conflict when *order* was made for another version.

        What is written over that state conflicts in the store itself, so nobody comes in between.
        """
        state = self._tenants.get(slug, fresh=True)
        if order.seen not in {None, state.rollout.revision}:
            raise Conflict
        return state

    def _move(self, slug: str, move: Move) -> TenantState:
        state = self.standing(slug, move.order)
        moved = self._change(state, _after(state.rollout, move), move.order)
        self._metrics.stage_moves.labels(slug, move.to.value).inc()
        return moved

    def recast(self, slug: str, order: Order, *, add: Cohorts = NOBODY, remove: Cohorts = NOBODY) -> TenantState:
        """Change who moves first, name by name. Raises as `move` does, BadRequest when nobody is named.

        What is so already is not written: it is no sign that a person moved on. It does not lose races, unless
        *order* names a version.
        """
        check_order(order)
        if add | remove == NOBODY:
            raise BadRequest("Name a subject or a group.")

        def change() -> TenantState:
            state = self.standing(slug, order)
            cohorts = (state.rollout.cohorts - remove) | add
            if cohorts == state.rollout.cohorts:
                return state
            return self._change(state, replace(state.rollout, cohorts=cohorts), order)

        return insist(change)

    def _change(self, state: TenantState, after: Rollout, order: Order) -> TenantState:
        overridden = self.check(state, after, order)
        action = "stage.force" if order.force else "stage.move"
        return self.write(state, after, order, action=action, overridden=overridden)

    def check(self, state: TenantState, after: Rollout, order: Order) -> tuple[UnmetCondition, ...]:
        """Return the unmet conditions that *order* passes by. Raises StageRefused with those that it may not."""
        unmet = self._unmet(state, after, self._counter(state, after))
        if blocking := [each for each in unmet if not (order.force and each.forceable)]:
            raise StageRefused(blocking)
        return unmet

    def write(
        self,
        state: TenantState,
        after: Rollout,
        order: Order,
        *,
        action: str,
        overridden: Sequence[UnmetCondition] = (),
    ) -> TenantState:
        """Replace the rollout, with its audit event. Raises Conflict when *state* is old, StoreError."""
        passed_by = {"overridden": [each.document() for each in overridden]} if overridden else {}
        event = AuditEvent(
            at=self._clock(),
            actor=order.actor,
            action=action,
            tenant=state.tenant.slug,
            reason=order.reason,
            before=state.rollout.document(),
            after=after.document() | passed_by,
            request_id=order.request_id,
        )
        moved = self._tenants.move(state.tenant.slug, before=state.rollout, after=after, event=event)
        return replace(state, rollout=moved)

    def _unmet(self, state: TenantState, after: Rollout, count: Count | None) -> tuple[UnmetCondition, ...]:
        if not moves_more_people(state.rollout, after):
            return ()

        def fits_in(state: TenantState, _to: Stage) -> Iterable[UnmetCondition]:
            return over_budget(count().on_oauth, state.tenant, self._limit) if count else ()

        conditions = [*self._conditions, fits_in]
        evidence = (each for condition in conditions for each in _asked(condition, state, after.stage))
        return (*self._firm(state, after.stage), *evidence)

    def _counter(self, state: TenantState, after: Rollout) -> Count | None:
        """Return what counts the people whom a change moves; it reads them all, and once."""
        people = self._people if self._is_ours(state) else None
        return cache(lambda: forecast(state, replace(state, rollout=after), people)) if people else None

    def _is_ours(self, state: TenantState) -> bool:
        return self._ours or state.tenant.own_flags

    def _firm(self, state: TenantState, to: Stage) -> Iterator[UnmetCondition]:
        """Yield what no reason can pass by: the result could not work, or would undo a kill switch."""
        now = state.rollout.stage
        if to.position - now.position > 1:
            message = f"From {now} the next stage is {following(now)}, not {to}."
            yield UnmetCondition("next_stage", message, forceable=False)
        for each in missing_parts(state.tenant, self._keys):
            yield UnmetCondition("tenant_complete", each, forceable=False)
        if state.kill is not None:
            whom = "--all" if state.kill.everywhere else state.tenant.slug
            message = f"The kill switch is on: switch it off with `qlik-bridge stage revive {whom}`."
            yield UnmetCondition("kill_switch", message, forceable=False)


def insist(change: Callable[[], T]) -> T:
    """Make a change that must not lose a race, such as a way back: again on what stands now. Conflict in the end."""
    for _ in range(ATTEMPTS - 1):
        with suppress(Conflict):
            return change()
    return change()


def missing_parts(tenant: Tenant, keys: SigningKeys) -> Iterator[str]:
    """Say what a tenant lacks for any stage after `legacy`."""
    if tenant.issuing_client is None:
        yield "The tenant has no issuing client: give it an `issuing_client` and apply."
    if tenant.web_integration_id is None:
        yield "The tenant has no web integration id, which a rollback needs: give it one and apply."
    for name in tenant.locked():
        yield f"The secret of `{name}` is locked. {LOCKED}"
    for name in tenant.key_files():
        yield from unusable_key(name, keys)


def unusable_key(name: str, keys: SigningKeys) -> Iterator[str]:
    """Say why a key file cannot be used, where it cannot."""
    try:
        keys.load(name)
    except BridgeError as error:
        yield f"The key {name} cannot be used: {error.message}"


def following(stage: Stage) -> Stage:
    """Return the next stage; the last one is followed by itself."""
    return list(Stage)[min(stage.position + 1, Stage.RETIRED.position)]


def moves_more_people(before: Rollout, after: Rollout) -> bool:
    """Tell whether a change is one forward: a later stage, or in `rollout` more people."""
    if after.stage is not before.stage:
        return after.stage.position > before.stage.position
    new_first = after.cohorts.subjects - before.cohorts.subjects or after.cohorts.groups - before.cohorts.groups
    return after.stage is Stage.ROLLOUT and (after.percentage > before.percentage or bool(new_first))


def _asked(condition: Condition, state: TenantState, to: Stage) -> Iterator[UnmetCondition]:
    """Yield what is unmet; a condition that cannot be checked is not met."""
    try:
        yield from condition(state, to)
    except BridgeError as error:
        log.warning("condition_not_checked", tenant=state.tenant.slug, problem=error.code(), detail=error.detail)
        yield UnmetCondition(NOT_CHECKED, f"A condition could not be checked: {error.message}")


def _check_shape(move: Move) -> None:
    check_order(move.order)
    if move.percentage is not None and not 0 <= move.percentage <= 100:  # noqa: PLR2004 - per cent
        raise BadRequest("The percentage must lie between 0 and 100.")


def check_order(order: Order) -> None:
    if order.force and not order.reason.strip():
        raise BadRequest("A forced move needs a reason: say why.")


def _after(before: Rollout, move: Move) -> Rollout:
    """Return the rollout after the move; a tenant that is not rolling out starts its next rollout at 0 %.

    Who sets a stage or percentage by hand takes over from the ramp.
    """
    back_to_start = move.to.position < Stage.ROLLOUT.position
    kept = 0 if back_to_start else before.percentage
    takes_over = move.to is not before.stage or move.percentage is not None
    return replace(
        before,
        stage=move.to,
        percentage=kept if move.percentage is None else move.percentage,
        cohorts=before.cohorts if move.cohorts is None else move.cohorts,
        ramp=None if takes_over else before.ramp,
    )


_LEGACY_PAGES = {
    Stage.OAUTH: "Legacy pages (`/token`) are served on, and counted as stragglers.",
    Stage.RETIRED: "Legacy pages (`/token`) get `410 jwt_retired`: the browser's JWT path is closed.",
}


def _effects(state: TenantState, after: Rollout, *, ours: bool) -> Iterator[str]:
    """Say what a move would change for people, in whole sentences."""
    if after.document() == state.rollout.document():
        yield "Nothing changes."
        return
    yield _who_gets_what(replace(state, rollout=after), ours=ours)
    yield _LEGACY_PAGES.get(after.stage, "Legacy pages (`/token`) are served as ever.")
    if moves_more_people(state.rollout, after) and state.tenant.management_client is None:
        yield "Nobody can examine how the tenant is set up first: it has no `management_client`."
    if state.rollout.ramp and not after.ramp:
        yield f"The ramp `{state.rollout.ramp}` ends."
    yield "Open pages follow without a reload; every worker knows within 2 s; no token is revoked."


def _who_gets_what(state: TenantState, *, ours: bool) -> str:
    if state.settled_path is not None:
        why = "while the kill switch is on" if state.is_killed else f"in stage {state.rollout.stage}"
        return f"Everybody gets the path {state.settled_path} {why}."
    if not ours:
        return "The provider that BRIDGE_FLAGS names decides who gets the path oauth."
    first = state.rollout.cohorts
    named = f"{len(first.subjects)} subjects and {len(first.groups)} groups named first"
    return f"{state.rollout.percentage:g} % of the people, and {named}, get the path oauth; all others jwt."
