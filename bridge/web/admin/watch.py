"""Who watches over a tenant: what its guardrails see, how shadow does, and whom the bridge impersonated there."""

from typing import Any

from flask import Blueprint, make_response, request
from flask.typing import ResponseReturnValue

from bridge.errors import BadRequest, TenantError
from bridge.guarding import Shadowed
from bridge.roles import Role
from bridge.services.guard_report import guard_report
from bridge.services.shadow_report import shadow_report
from bridge.trail import Joined
from bridge.web import current
from bridge.web.admin.frame import tenant_page
from bridge.web.api.watch import ImpersonationQuery, impersonations
from bridge.web.bodies import parsed_form
from bridge.web.operator import reader
from bridge.web.problems import STATUS

SHOWN = 50
LIMIT_AT = 200 / 3
"""Where a bar marks the threshold: what is above it has room to show by how much."""
FULL = 100.0
DAYS = (1, 7, 30, 90)


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>/guardrails")(get_guardrails)
    blueprint.get("/tenants/<slug>/impersonations")(get_impersonations)


def get_guardrails(slug: str) -> ResponseReturnValue:
    who = reader(slug)
    bridge, state = current.bridge(), current.tenant(slug)
    return tenant_page(
        "console_guardrails.html",
        who,
        state,
        report=guard_report(bridge.guardrails, bridge.notices, state).document(),
        bar=bar,
        shadow=shadow_report(bridge.shadow, bridge.measures, state, bridge.clock()).document(),
        outcomes=[each.value for each in Shadowed],
    )


def bar(value: float, threshold: float) -> dict[str, float]:
    """Return how far a bar is filled and where its threshold is, of 100."""
    if not threshold:
        return {"filled": FULL if value else 0.0, "limit": 0.0}
    return {"filled": round(min(FULL, value / threshold * LIMIT_AT), 1), "limit": round(LIMIT_AT, 1)}


def get_impersonations(slug: str) -> ResponseReturnValue:
    """Ask the tenant for its own events now, so it is for operators; a tenant that tells nothing is no broken page."""
    who = reader(slug, Role.OPERATOR)
    state, asked = current.tenant(slug), request.args.to_dict()
    found, problem, status = _asked(slug, asked)
    shown = {"found": found, "problem": problem, "asked": asked, "days": DAYS, "kinds": list(Joined)}
    return make_response(tenant_page("console_impersonations.html", who, state, **shown), status)


def _asked(slug: str, asked: dict[str, str]) -> tuple[dict[str, Any] | None, str, int]:
    try:
        query = parsed_form(ImpersonationQuery, {"limit": SHOWN, **asked})
        return impersonations(slug, query), "", 200
    except (BadRequest, TenantError) as error:
        return None, error.message, STATUS[type(error)]
