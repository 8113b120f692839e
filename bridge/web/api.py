"""The JSON API for operators."""

from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field

from bridge.errors import NotAllowed
from bridge.model import AuditEvent, TenantState
from bridge.web import current
from bridge.web.bodies import parsed, parsed_form
from bridge.web.moves import StageMove
from bridge.web.operator import operator
from bridge.web.times import iso

blueprint = Blueprint("api", __name__)


class AuditQuery(BaseModel):
    """What narrows the audit."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tenant: str | None = None
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
    events = current.bridge().audit.latest(tenant=tenant, limit=query.limit)
    return jsonify(events=[event_document(event) for event in events])


def tenant_document(state: TenantState) -> dict[str, Any]:
    """Return a tenant without its secrets: of those, only the presence shows."""
    return {**state.tenant.public_document(), **state.rollout.document(), "revision": state.rollout.revision}


def event_document(event: AuditEvent) -> dict[str, Any]:
    return {
        "at": iso(event.at),
        "actor": event.actor,
        "action": event.action,
        "tenant": event.tenant,
        "reason": event.reason,
        "before": event.before,
        "after": event.after,
        "request_id": event.request_id,
    }
