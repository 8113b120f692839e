"""What is planned: what a move would do, ramps, cohorts, kill switches."""

from typing import Annotated, Any

from flask import Blueprint, Response, jsonify
from pydantic import Field

from bridge.errors import BadRequest, StageRefused
from bridge.model import Cohorts, Stage, TenantState
from bridge.plan import Order, RampStep, read_steps
from bridge.roles import Role
from bridge.web import current, etags
from bridge.web.api.operations import described
from bridge.web.api.shapes import Because, Names, PlanAnswer, Shape, SwitchAnswer, TenantAnswer
from bridge.web.api.tenants import tenant_document
from bridge.web.bodies import parsed, parsed_query
from bridge.web.operator import Operator, changer, operator, reader


class PlanQuery(Shape):
    """The move to look at; by default the next one."""

    to: Stage | None = None
    percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None


class Reasoned(Because):
    """A change and why."""

    def order(self, who: Operator, *, slug: str | None = None, force: bool = False) -> Order:
        """Return who wants it and why, of one tenant with the version that it was made for. Raises Conflict."""
        seen = None if slug is None else etags.expected(slug)
        return Order(who.actor, self.reason, current.request_id(), force, seen)


class StepBody(Shape):
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


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>/plan")(get_plan)
    blueprint.post("/tenants/<slug>/cohorts")(post_cohorts)
    blueprint.post("/tenants/<slug>/ramp")(post_ramp)
    blueprint.post("/tenants/<slug>/ramp/pause")(post_ramp_pause)
    blueprint.post("/tenants/<slug>/ramp/resume")(post_ramp_resume)
    blueprint.post("/tenants/<slug>/ramp/stop")(post_ramp_stop)
    blueprint.post("/tenants/<slug>/kill")(post_kill)
    blueprint.post("/tenants/<slug>/revive")(post_revive)
    blueprint.get("/kill")(get_kill)
    blueprint.post("/kill")(post_kill_all)
    blueprint.post("/revive")(post_revive_all)


CHANGE: dict[str, Any] = {
    "answer": TenantAnswer,
    "role": Role.OPERATOR,
    "answers_etag": True,
    "takes_if_match": True,
    "raises": (StageRefused,),
}


@described("Show what a move would do", answer=PlanAnswer, query=PlanQuery)
def get_plan(slug: str) -> Response:
    """Answer what a move would do, and what it lacks."""
    reader(slug)
    query = parsed_query(PlanQuery)
    current.tenant(slug)
    return jsonify(current.bridge().stages.plan(slug, query.to, query.percent).document())


@described("Change who moves first", body=CohortChange, **CHANGE)
def post_cohorts(slug: str) -> Response:
    """Add and remove names, one change for both."""
    who = _changer(slug)
    change = parsed(CohortChange)
    add = Cohorts(change.add.subjects, change.add.groups)
    remove = Cohorts(change.remove.subjects, change.remove.groups)
    order = change.order(who, slug=slug, force=change.force)
    return _answer(current.bridge().stages.recast(slug, order, add=add, remove=remove), who)


@described("Start a ramp", body=RampStart, **CHANGE)
def post_ramp(slug: str) -> Response:
    who = _changer(slug)
    start = parsed(RampStart)
    return _answer(
        current.bridge().ramps.start(slug, start.read(), start.order(who, slug=slug, force=start.force)), who
    )


@described("Pause the ramp", body=Reasoned, **CHANGE)
def post_ramp_pause(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().ramps.pause(slug, parsed(Reasoned).order(who, slug=slug)), who)


@described("Resume the ramp", body=Reasoned, **CHANGE)
def post_ramp_resume(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().ramps.resume(slug, parsed(Reasoned).order(who, slug=slug)), who)


@described("Stop the ramp", body=Reasoned, **CHANGE)
def post_ramp_stop(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().ramps.stop(slug, parsed(Reasoned).order(who, slug=slug)), who)


@described("Switch the OAuth path of a tenant off", body=Reasoned, **CHANGE)
def post_kill(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().kills.kill(slug, parsed(Reasoned).order(who, slug=slug)), who)


@described("Switch the OAuth path of a tenant on again", body=Reasoned, **CHANGE)
def post_revive(slug: str) -> Response:
    who = _changer(slug)
    return _answer(current.bridge().kills.revive(slug, parsed(Reasoned).order(who, slug=slug)), who)


@described("Say whether the kill switch of all tenants is on", answer=SwitchAnswer)
def get_kill() -> Response:
    """Answer whether the kill switch of all tenants is on."""
    who = operator()
    return jsonify(_kill_all(who))


@described("Switch the OAuth path of all tenants off", answer=SwitchAnswer, body=Reasoned, role=Role.OPERATOR)
def post_kill_all() -> Response:
    who = changer()
    current.bridge().kills.kill_all(parsed(Reasoned).order(who))
    return jsonify(_kill_all(who))


@described("Switch the OAuth path on again", answer=SwitchAnswer, body=Reasoned, role=Role.OPERATOR)
def post_revive_all() -> Response:
    who = changer()
    current.bridge().kills.revive_all(parsed(Reasoned).order(who))
    return jsonify(_kill_all(who))


def _changer(slug: str) -> Operator:
    who = changer(slug)
    current.tenant(slug)
    return who


def _kill_all(who: Operator) -> dict[str, Any]:
    return {"kill": who.shown(current.bridge().tenants.kill_all())}


def _answer(state: TenantState, who: Operator) -> Response:
    return etags.tagged(tenant_document(state, who), state)
