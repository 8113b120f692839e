"""The JSON API for what is planned: what a move would do, ramps, cohorts, kill switches."""

from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field

from bridge.errors import BadRequest, NotAllowed
from bridge.model import Cohorts, Stage, TenantState
from bridge.plan import Order, RampStep, read_steps
from bridge.web import current
from bridge.web.api import tenant_document
from bridge.web.bodies import parsed, parsed_form
from bridge.web.moves import Names
from bridge.web.operator import Operator, operator

blueprint = Blueprint("plan_api", __name__)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PlanQuery(_Body):
    """The move to look at; by default the next one."""

    to: Stage | None = None
    percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None


class Reasoned(_Body):
    """A change and why."""

    reason: Annotated[str, Field(max_length=1000)] = ""

    def order(self, who: Operator, *, force: bool = False) -> Order:
        return Order(who.actor, self.reason, current.request_id(), force)


class StepBody(_Body):
    """One step: a percentage, and the seconds that it is held; the last has none."""

    percent: float
    hold_s: Annotated[int, Field(ge=0, le=2**31)] = 0


class RampStart(Reasoned):
    """A ramp, as text (`5 % for 1 h, 25 % for 1 day, 100 %`) or step by step."""

    steps: Annotated[str, Field(max_length=2000)] | Annotated[list[StepBody], Field(max_length=100)]
    force: bool = False

    def read(self) -> tuple[RampStep, ...]:
        """Return the steps. Raises BadRequest."""
        if not isinstance(self.steps, str):
            return tuple(RampStep(each.percent, each.hold_s) for each in self.steps)
        try:
            return read_steps(self.steps)
        except ValueError as mistakes:
            raise BadRequest(f"This is no ramp: {mistakes}.") from None


class CohortChange(Reasoned):
    """Names to add to those who move first, or to take out."""

    add: Names = Names()
    remove: Names = Names()
    force: bool = False


@blueprint.get("/tenants/<slug>/plan")
def get_plan(slug: str) -> Response:
    """Answer what a move would do, and what it lacks."""
    operator().check(slug)
    query = parsed_form(PlanQuery, request.args.to_dict())
    current.tenant(slug)
    return jsonify(current.bridge().stages.plan(slug, query.to, query.percent).document())


@blueprint.post("/tenants/<slug>/cohorts")
def post_cohorts(slug: str) -> Response:
    """Add and remove names, one change for both."""
    who = _changer(slug)
    change = parsed(CohortChange)
    add = Cohorts(change.add.subjects, change.add.groups)
    remove = Cohorts(change.remove.subjects, change.remove.groups)
    order = change.order(who, force=change.force)
    return _answer(current.bridge().stages.recast(slug, order, add=add, remove=remove))


@blueprint.post("/tenants/<slug>/ramp")
def post_ramp(slug: str) -> Response:
    who = _changer(slug)
    start = parsed(RampStart)
    return _answer(current.bridge().ramps.start(slug, start.read(), start.order(who, force=start.force)))


@blueprint.post("/tenants/<slug>/ramp/pause")
def post_ramp_pause(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().ramps.pause(slug, parsed(Reasoned).order(who)))


@blueprint.post("/tenants/<slug>/ramp/resume")
def post_ramp_resume(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().ramps.resume(slug, parsed(Reasoned).order(who)))


@blueprint.post("/tenants/<slug>/ramp/stop")
def post_ramp_stop(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().ramps.stop(slug, parsed(Reasoned).order(who)))


@blueprint.post("/tenants/<slug>/kill")
def post_kill(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().kills.kill(slug, parsed(Reasoned).order(who)))


@blueprint.post("/tenants/<slug>/revive")
def post_revive(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().kills.revive(slug, parsed(Reasoned).order(who)))


@blueprint.get("/kill")
def get_kill() -> Response:
    """Answer whether the kill switch of all tenants is on."""
    operator()
    return jsonify(_kill_all())


@blueprint.post("/kill")
def post_kill_all() -> Response:
    who = _changer(None)
    current.bridge().kills.kill_all(parsed(Reasoned).order(who))
    return jsonify(_kill_all())


@blueprint.post("/revive")
def post_revive_all() -> Response:
    who = _changer(None)
    current.bridge().kills.revive_all(parsed(Reasoned).order(who))
    return jsonify(_kill_all())


def _changer(slug: str | None) -> Operator:
    """Return the operator who may change this tenant; None means all tenants."""
    who = operator()
    who.check_csrf()
    if slug is None:
        if who.tenant is not None:
            raise NotAllowed("You are signed in for one tenant alone. All of them need an operator of all.")
        return who
    who.check(slug)
    current.tenant(slug)
    return who


def _kill_all() -> dict[str, Any]:
    kill = current.bridge().tenants.kill_all()
    return {"kill": kill.document() if kill else None}


def _answer(state: TenantState) -> Response:
    return jsonify(tenant_document(state))
