"""The JSON API for operators."""

from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from bridge.errors import NotAllowed
from bridge.model import TenantState
from bridge.texts import moment
from bridge.trail import AuditFilter
from bridge.web import current
from bridge.web.bodies import parsed, parsed_form
from bridge.web.moves import StageMove
from bridge.web.operator import operator

Moment = Annotated[float, BeforeValidator(moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Id = Annotated[int, Field(ge=1, le=2**31 - 1)]

blueprint = Blueprint("api", __name__)


class AuditQuery(BaseModel):
    """What narrows the audit."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tenant: str | None = None
    actor: str | None = None
    action: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: Id | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100

    def narrowed(self, tenant: str | None) -> AuditFilter:
        return AuditFilter(tenant, self.actor, self.action, self.since, self.until)


class StragglerQuery(BaseModel):
    """How far to look back, and how much to show."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    days: Annotated[int, Field(ge=1, le=90)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


@blueprint.get("/tenants")
def get_tenants() -> Response:
    who = operator()
    states = current.bridge().tenants.all().values()
    return jsonify(tenants=[tenant_document(state) for state in states if who.may_see(state.tenant.slug)])


@blueprint.get("/tenants/<slug>")
def get_tenant(slug: str) -> Response:
    operator().check(slug)
    return jsonify(tenant_document(current.tenant(slug)))


@blueprint.get("/tenants/<slug>/stragglers")
def get_stragglers(slug: str) -> Response:
    operator().check(slug)
    query = parsed_form(StragglerQuery, request.args.to_dict())
    state = current.tenant(slug)
    return jsonify(current.bridge().retirements.report(state.tenant, days=query.days, limit=query.limit).document())


@blueprint.post("/tenants/<slug>/stage")
def post_stage(slug: str) -> Response:
    who = operator()
    who.check_csrf()
    return jsonify(tenant_document(parsed(StageMove).carry_out(slug, who)))


@blueprint.get("/audit")
def get_audit() -> Response:
    who = operator()
    query = parsed_form(AuditQuery, request.args.to_dict())
    tenant = query.tenant or who.tenant
    if tenant is not None and not who.may_see(tenant):
        raise NotAllowed
    # One more than asked for tells whether there is another page. Events of no tenant name operators of all of them:
    # they are not for an operator of one.
    found = current.bridge().audit.page(query.narrowed(tenant), before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].id if len(found) > len(shown) else None
    return jsonify(events=[entry.document() for entry in shown], next=following)


def tenant_document(state: TenantState) -> dict[str, Any]:
    """Return a tenant without its secrets: of those, only the presence shows."""
    return {**state.tenant.public_document(), **state.rollout_document(), "revision": state.rollout.revision}
