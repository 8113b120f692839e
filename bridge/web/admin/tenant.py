"""One tenant: where it stands, the one next step, its people, its last changes; and what may be done there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bridge.errors import BadRequest, BridgeError, BudgetSpent, Conflict, NotAllowed, StageRefused, TenantError
from bridge.evidence import Outcome
from bridge.model import Stage
from bridge.roles import Role
from bridge.trail import AuditFilter
from bridge.web import current
from bridge.web.admin.actions import ABOUT_A_PERSON, ACTIONS, DONE, Sent
from bridge.web.admin.frame import tenant_page
from bridge.web.admin.home import troubles
from bridge.web.admin.trends import glance
from bridge.web.admin.versions import REVISION, seen_revision
from bridge.web.api.people import look_up, person_answer
from bridge.web.api.proof import of_one, standing
from bridge.web.csrf import FIELD
from bridge.web.operator import Operator, changer, reader
from bridge.web.problems import STATUS, whole_seconds

SHOWN_EVENTS = 10
STRAGGLERS = 50
SHOWN_RESULTS = 20
MISSED = 50
TOLD = (StageRefused, BadRequest, Conflict, NotAllowed, BudgetSpent, TenantError)
"""Refusals that are told where the form is, with what was typed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something was refused, and what the form held: nobody types a reason twice.

    `missed` are the changes that made it too late.
    """

    action: str
    reasons: Sequence[str]
    fields: Mapping[str, str]
    can_force: bool = False
    missed: Sequence[Mapping[str, Any]] = ()


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>")(get_tenant)
    blueprint.get("/tenants/<slug>/doctor")(get_doctor)
    blueprint.get("/tenants/<slug>/parity")(get_parity)
    blueprint.get("/tenants/<slug>/stragglers")(get_stragglers)
    blueprint.post(f"/tenants/<slug>/<any({','.join(ACTIONS)}):action>")(post_action)


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
    fields = {name: value for name, value in request.form.items() if name not in {FIELD, REVISION}}
    sent = Sent(slug, who, fields, seen_revision())
    try:
        done = ACTIONS[action](sent)
    except TOLD as error:
        return _refusal(sent, action, error)
    person = fields.get("subject") if action in ABOUT_A_PERSON else None
    return redirect(url_for("admin.get_tenant", slug=slug, person=person, done=done or None), 303)


def _refusal(sent: Sent, action: str, error: BridgeError) -> ResponseReturnValue:
    unmet = error.unmet if isinstance(error, StageRefused) else ()
    refused = Refused(
        action,
        [each.message for each in unmet] or [error.message],
        sent.fields,
        can_force=bool(unmet) and all(each.forceable for each in unmet),
        missed=_missed(sent) if isinstance(error, Conflict) else (),
    )
    answer = make_response(_page(sent.slug, sent.who, refused), STATUS[type(error)])
    if error.retry_after_s is not None:
        answer.headers["Retry-After"] = whole_seconds(error.retry_after_s)
    return answer


def _missed(sent: Sent) -> Sequence[Mapping[str, Any]]:
    """Return what changed the rollout since the page was made: each change of it is one revision and one event."""
    revision = current.tenant(sent.slug).rollout.revision
    count = max(0, revision - (revision if sent.seen is None else sent.seen))
    entries = current.bridge().audit.page(AuditFilter(tenant=sent.slug), limit=MISSED)
    changes = [each.document() for each in entries if each.event.action.startswith(("stage.", "ramp."))]
    return changes[:count]


def _page(slug: str, who: Operator, refused: Refused | None = None) -> str:
    bridge, state = current.bridge(), current.tenant(slug)
    entries = bridge.audit.page(AuditFilter(tenant=slug), limit=SHOWN_EVENTS)
    return tenant_page(
        "console_tenant.html",
        who,
        state,
        document=state.rollout_document(),
        troubles=troubles(state, is_held=bridge.guardrails.holding(slug) is not None),
        glance=glance(slug),
        plan=bridge.stages.plan(slug),
        stages=list(Stage),
        previous=list(Stage)[state.rollout.stage.position - 1] if state.rollout.stage.position else None,
        events=[entry.document() for entry in entries],
        refused=refused,
        fields=refused.fields if refused else {},
        done=DONE.get(request.args.get("done", ""), ""),
        **_person(slug, request.args.get("person") or (refused.fields.get("subject", "") if refused else "")),
    )


def _person(slug: str, sub: str) -> dict[str, Any]:
    """Return the person whom the address or a form asks for, or why there is none."""
    found: dict[str, Any] = {"asked_for": sub, "person": None, "compared": None, "person_problem": ""}
    if not sub:
        return found
    try:
        person = person_answer(slug, look_up(slug, sub))
    except BadRequest as problem:
        return found | {"person_problem": problem.message}
    newest = current.bridge().parity.result(slug, person.sub)
    return found | {"person": person, "compared": of_one(newest) if newest else None}
