"""One tenant: where it stands, the one next step, its people, its last changes; and what may be done there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bridge.errors import BadRequest, Conflict, StageRefused
from bridge.evidence import Outcome
from bridge.model import Stage
from bridge.plan import Order, read_steps
from bridge.roles import Role
from bridge.services.guardrails import STEP_BACK
from bridge.trail import AuditFilter
from bridge.web import current
from bridge.web.admin.frame import tenant_page
from bridge.web.admin.home import troubles
from bridge.web.api.people import look_up, person_answer, revoke
from bridge.web.api.proof import standing
from bridge.web.api.shapes import Because
from bridge.web.bodies import parsed_form
from bridge.web.csrf import FIELD
from bridge.web.moves import StageMove
from bridge.web.operator import Operator, changer, reader
from bridge.web.problems import STATUS

SHOWN_EVENTS = 10
STRAGGLERS = 50
SHOWN_RESULTS = 20


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something was refused, and what the form held: nobody types a reason twice."""

    action: str
    reasons: Sequence[str]
    fields: Mapping[str, str]


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>")(get_tenant)
    blueprint.get("/tenants/<slug>/doctor")(get_doctor)
    blueprint.get("/tenants/<slug>/parity")(get_parity)
    blueprint.get("/tenants/<slug>/stragglers")(get_stragglers)
    blueprint.post("/tenants/<slug>/<any(stage,ramp,pause,resume,stop,kill,revive,revoke):action>")(post_action)


def get_tenant(slug: str) -> ResponseReturnValue:
    return _page(slug, reader(slug))


def get_doctor(slug: str) -> ResponseReturnValue:
    """Examine the tenant now, and show what is to be mended first. It asks the tenant, so it is for operators."""
    who = reader(slug, Role.OPERATOR)
    state = current.tenant(slug)
    diagnosis = current.bridge().doctor.examine(slug)
    return tenant_page("console_doctor.html", who, state, diagnosis=diagnosis)


def get_parity(slug: str) -> ResponseReturnValue:
    who = reader(slug)
    state, asked = current.tenant(slug), request.args.get("outcome", "")
    outcome = Outcome(asked) if asked in set(Outcome) else None
    found = standing(state.tenant, outcome, SHOWN_RESULTS)
    return tenant_page("console_parity.html", who, state, found=found, asked=asked)


def get_stragglers(slug: str) -> ResponseReturnValue:
    who = reader(slug)
    state = current.tenant(slug)
    report = current.bridge().retirements.report(state.tenant, limit=STRAGGLERS).document()
    return tenant_page("console_stragglers.html", who, state, report=report)


def post_action(slug: str, action: str) -> ResponseReturnValue:
    """Do what a form asks for; a refusal is shown where the form is."""
    who = changer(slug)
    current.tenant(slug)
    fields = {name: value for name, value in request.form.items() if name != FIELD}
    try:
        ACTIONS[action](slug, who, fields)
    except (StageRefused, BadRequest, Conflict) as error:
        reasons = [each.message for each in error.unmet] if isinstance(error, StageRefused) else [error.message]
        return make_response(_page(slug, who, Refused(action, reasons, fields)), STATUS[type(error)])
    person = fields.get("subject") if action == "revoke" else None
    return redirect(url_for("admin.get_tenant", slug=slug, person=person), 303)


def _move(slug: str, who: Operator, fields: Mapping[str, str]) -> None:
    parsed_form(StageMove, fields).carry_out(slug, who)


def _start_ramp(slug: str, who: Operator, fields: Mapping[str, str]) -> None:
    try:
        steps = read_steps(fields.get("steps", ""))
    except ValueError as mistakes:
        raise BadRequest(f"This is no ramp: {mistakes}.") from None
    current.bridge().ramps.start(slug, steps, _order(who, fields))


def _revoke(slug: str, who: Operator, fields: Mapping[str, str]) -> None:
    person = look_up(slug, fields.get("subject", ""))
    revoke(slug, person.sub, who.actor, _order(who, fields).reason)


def _order(who: Operator, fields: Mapping[str, str]) -> Order:
    """Return who wants it and why. Raises BadRequest without a reason."""
    reason = parsed_form(Because, {"reason": fields.get("reason", "")}).reason
    return Order(who.actor, reason, current.request_id())


def _service(name: str, method: str) -> Callable[[str, Operator, Mapping[str, str]], None]:
    def act(slug: str, who: Operator, fields: Mapping[str, str]) -> None:
        getattr(getattr(current.bridge(), name), method)(slug, _order(who, fields))

    return act


ACTIONS: dict[str, Callable[[str, Operator, Mapping[str, str]], None]] = {
    "stage": _move,
    "ramp": _start_ramp,
    "pause": _service("ramps", "pause"),
    "resume": _service("ramps", "resume"),
    "stop": _service("ramps", "stop"),
    "kill": _service("kills", "kill"),
    "revive": _service("kills", "revive"),
    "revoke": _revoke,
}


def _page(slug: str, who: Operator, refused: Refused | None = None) -> str:
    bridge, state = current.bridge(), current.tenant(slug)
    entries = bridge.audit.page(AuditFilter(tenant=slug), limit=SHOWN_EVENTS)
    newest = next((each.event for each in entries if each.event.action.startswith("stage.")), None)
    back = {slug: newest.reason} if newest and newest.action == STEP_BACK else {}
    return tenant_page(
        "console_tenant.html",
        who,
        state,
        document=state.rollout_document(),
        clients=state.tenant.public_document(),
        troubles=troubles(state, back),
        plan=bridge.stages.plan(slug),
        stages=list(Stage),
        previous=list(Stage)[state.rollout.stage.position - 1] if state.rollout.stage.position else None,
        events=[entry.document() for entry in entries],
        refused=refused,
        fields=refused.fields if refused else {},
        **_person(slug),
    )


def _person(slug: str) -> dict[str, Any]:
    """Return the person whom the address asks for, or why there is none."""
    sub = request.args.get("person", "")
    if not sub:
        return {"person": None, "person_problem": ""}
    try:
        return {"person": person_answer(slug, look_up(slug, sub)), "person_problem": ""}
    except BadRequest as problem:
        return {"person": None, "person_problem": problem.message}
