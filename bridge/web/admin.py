"""The page for operators: tenants, their stages, the last changes. Works without JavaScript."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from bridge.errors import BadRequest, Conflict, StageRefused
from bridge.model import Stage, TenantState
from bridge.trail import event_document
from bridge.web import current
from bridge.web.api.audit import audited
from bridge.web.bodies import parsed_form
from bridge.web.csrf import FIELD
from bridge.web.moves import StageMove
from bridge.web.operator import Operator, operator
from bridge.web.problems import STATUS

SHOWN_EVENTS = 20

blueprint = Blueprint("admin", __name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a move was refused, and what the form held: nobody types a reason twice."""

    reasons: Sequence[str]
    fields: Mapping[str, str]


@blueprint.get("/")
def index() -> ResponseReturnValue:
    return _page(operator())


@blueprint.post("/tenants/<slug>/stage")
def post_stage(slug: str) -> ResponseReturnValue:
    """Move the stage; a refusal is shown beside the tenant that it concerns."""
    who = operator()
    who.check_csrf()
    fields = {name: value for name, value in request.form.items() if name != FIELD}
    try:
        parsed_form(StageMove, fields).carry_out(slug, who)
    except (StageRefused, BadRequest, Conflict) as error:
        reasons = [each.message for each in error.unmet] if isinstance(error, StageRefused) else [error.message]
        return make_response(_page(who, {slug: Refused(reasons, fields)}), STATUS[type(error)])
    return redirect(url_for("admin.index"), 303)


def _page(who: Operator, refused: Mapping[str, Refused] | None = None) -> str:
    bridge = current.bridge()
    events = bridge.audit.latest(tenant=audited(who, None), limit=SHOWN_EVENTS)
    return render_template(
        "admin.html",
        actor=who.actor,
        is_demo=current.bridge().settings.is_demo,
        states=_visible(who),
        stages=list(Stage),
        refused=refused or {},
        events=[event_document(event) for event in events],
        csrf_token=who.csrf_token(),
        has_session=current.bridge().settings.has_sign_in_page and who.caller is not None,
    )


def _visible(who: Operator) -> list[TenantState]:
    return [state for slug, state in sorted(current.bridge().tenants.all().items()) if who.may_see(slug)]
