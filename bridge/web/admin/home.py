"""Home: every tenant with its stage and the share of its paths today, those in trouble first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from bridge.history import PathShare
from bridge.model import AuditEvent, Stage, TenantState
from bridge.services.guardrails import STEP_BACK
from bridge.services.stages import missing_parts
from bridge.web import current
from bridge.web.admin.frame import page
from bridge.web.api.tenants import matches, visible
from bridge.web.operator import Operator, operator

PAGE = 25
SORTS = {"trouble": "trouble first", "name": "name", "stage": "stage", "oauth": "most on oauth", "jwt": "most on jwt"}


@dataclass(frozen=True, slots=True)
class Row:
    """A tenant, what is wrong with it, the worst first, and who used which path today."""

    state: TenantState
    troubles: tuple[str, ...]
    urgency: int
    share: PathShare


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; what makes no sense in it counts as not asked."""

    search: str
    stage: str
    sort: str
    page: int


def install(blueprint: Blueprint) -> None:
    blueprint.get("/")(index)


def index() -> ResponseReturnValue:
    return show(operator())


def show(who: Operator, **more: Any) -> str:  # noqa: ANN401 - whatever the template shows
    """Return the page. Raises StoreError."""
    asked = _asked()
    everything = visible(who)
    held = current.bridge().guardrails.holds(everything)
    shares = current.bridge().history.shares([state.tenant.slug for state in everything])
    found = [
        _row(state, held.get(state.tenant.slug), shares[state.tenant.slug])
        for state in everything
        if matches(state, asked.search, asked.stage or None)
    ]
    found.sort(key=lambda row: _order(row, asked.sort))
    last = max(1, -(-len(found) // PAGE))
    number = min(asked.page, last)
    return page(
        "console_home.html",
        who,
        rows=found[(number - 1) * PAGE : number * PAGE],
        found=len(found),
        asked=asked,
        number=number,
        last=last,
        sorts=SORTS,
        stages=list(Stage),
        counts=_counts(everything),
        unreadable={slug: each for slug, each in current.bridge().tenants.unreadable().items() if who.may_see(slug)},
        share=PathShare(*map(sum, zip(*shares.values(), strict=True))),
        **more,
    )


def _row(state: TenantState, held: AuditEvent | None, share: PathShare) -> Row:
    told = [f"{'Stepped back' if held.action == STEP_BACK else 'Paused'}: {held.reason}"] if held else []
    others = troubles(state, is_held=held is not None)
    return Row(state, (*told, *others), _urgency(state, is_held=held is not None, is_troubled=bool(others)), share)


def _urgency(state: TenantState, *, is_held: bool, is_troubled: bool) -> int:
    """Return how soon somebody should look: first what was stopped, last what was never finished.

    How many troubles there are says little: a tenant that is only being set up lacks several parts.
    """
    ramp = state.rollout.ramp
    stands_still = ramp is not None and (ramp.pause is not None or ramp.wait is not None)
    has_begun = is_troubled and state.rollout.stage is not Stage.LEGACY
    signs = (is_troubled, has_begun, stands_still, state.rollout.kill is not None, is_held)
    return sum(2**weight for weight, is_so in enumerate(signs) if is_so)


def troubles(state: TenantState, *, is_held: bool) -> list[str]:
    """Say what else is wrong with a tenant than what a guardrail holds. Asks nothing of the store."""
    found = []
    if state.kill is not None:
        of_all = "The kill switch of all tenants is on."  # the head of the page says why, to those who may know
        found.append(of_all if state.kill.everywhere else f"The kill switch is on: {state.kill.reason}")
    ramp = state.rollout.ramp
    if ramp is not None and ramp.pause is not None and not is_held:
        found.append(f"The ramp is paused: {ramp.pause.reason}")
    if ramp is not None and ramp.wait is not None:
        found.append(f"The ramp waits: {ramp.wait.reason}")
    return [*found, *missing_parts(state.tenant, current.bridge().keys)]


def _asked() -> Asked:
    given = request.args
    number = given.get("page", "")
    stage, sort = given.get("stage", ""), given.get("sort", "")
    return Asked(
        search=given.get("search", "")[:200],
        stage=stage if stage in set(Stage) else "",
        sort=sort if sort in SORTS else "trouble",
        page=max(1, int(number)) if number.isascii() and number.isdigit() and len(number) < len("10000") else 1,
    )


def _order(row: Row, sort: str) -> tuple[float, str, str]:
    """Return what to sort by; where nobody came today there is no share, and the tenant comes last."""
    tenant, percent, nobody = row.state.tenant, row.share.percent, 101.0
    first = {
        "trouble": -row.urgency,
        "stage": row.state.rollout.stage.position,
        "oauth": nobody if percent is None else -percent,
        "jwt": nobody if percent is None else percent,
    }.get(sort, 0)
    return first, tenant.name.casefold(), tenant.slug


def _counts(states: Sequence[TenantState]) -> dict[Stage, int]:
    return {stage: sum(state.rollout.stage is stage for state in states) for stage in Stage}


def own_tenants(who: Operator) -> list[str]:
    """Return the slugs of the tenants that *who* may see."""
    return [state.tenant.slug for state in visible(who)]
