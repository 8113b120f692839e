"""Tenants: list, read, change, move."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify

from bridge.errors import NeedsIfMatch, StageRefused
from bridge.model import TenantState
from bridge.roles import Role
from bridge.services.tenant_changes import Author
from bridge.web import current, etags
from bridge.web.api.operations import described
from bridge.web.api.shapes import TenantAnswer, TenantChange, TenantPage, TenantQuery
from bridge.web.bodies import parsed, parsed_query
from bridge.web.moves import StageMove
from bridge.web.operator import Operator, changer, operator, reader


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants")(get_tenants)
    blueprint.get("/tenants/<slug>")(get_tenant)
    blueprint.put("/tenants/<slug>")(put_tenant)
    blueprint.post("/tenants/<slug>/stage")(post_stage)


@described("List tenants", answer=TenantPage, query=TenantQuery)
def get_tenants() -> Response:
    who = operator()
    query = parsed_query(TenantQuery)
    found = [state for state in visible(who) if matches(state, query.search, query.stage)]
    rest = [state for state in found if state.tenant.slug > query.after]
    page = rest[: query.limit]
    following = page[-1].tenant.slug if len(rest) > len(page) else None
    return jsonify(tenants=[tenant_document(state, who) for state in page], total=len(found), next=following)


@described("Read a tenant", answer=TenantAnswer, answers_etag=True)
def get_tenant(slug: str) -> Response:
    who = reader(slug)
    state = current.tenant(slug)
    return etags.tagged(tenant_document(state, who), state)


@described(
    "Create or replace a tenant",
    answer=TenantAnswer,
    body=TenantChange,
    role=Role.ADMIN,
    answers_etag=True,
    takes_if_match=True,
    raises=(NeedsIfMatch,),
)
def put_tenant(slug: str) -> Response:
    """Its stage stays as it is. The same tenant again changes nothing and leaves no audit event.

    For admins of all tenants alone: hosts, key files and portal hosts reach beyond one tenant.
    """
    who = changer(None, Role.ADMIN)
    change = parsed(TenantChange)
    seen = etags.require(current.bridge().tenants.all().get(slug))
    author = Author(who.actor, change.reason, current.request_id())
    state = current.bridge().tenant_changes.put(slug, change.fields(), seen=seen, author=author)
    return etags.tagged(tenant_document(state, who), state)


@described(
    "Move a tenant to a stage",
    answer=TenantAnswer,
    body=StageMove,
    role=Role.OPERATOR,
    answers_etag=True,
    takes_if_match=True,
    raises=(StageRefused,),
)
def post_stage(slug: str) -> Response:
    """One step forward at a time, any number back. What is so already is not done again."""
    who = changer(slug)
    move = parsed(StageMove)
    current.tenant(slug)
    state = move.carry_out(slug, who, seen=etags.expected(slug))
    return etags.tagged(tenant_document(state, who), state)


def visible(who: Operator) -> list[TenantState]:
    """Return the tenants that *who* may see, by slug."""
    return [state for slug, state in sorted(current.bridge().tenants.all().items()) if who.may_see(slug)]


def matches(state: TenantState, search: str, stage: str | None) -> bool:
    text = f"{state.tenant.slug}\n{state.tenant.name}\n{state.tenant.host}".casefold()
    return search.casefold() in text and stage in {None, state.rollout.stage}


def tenant_document(state: TenantState, who: Operator) -> Mapping[str, Any]:
    """Return a tenant as *who* may see it. Of secrets only the presence shows."""
    rollout = state.rollout_document() | {"kill": who.shown(state.kill), "revision": state.rollout.revision}
    return {**state.tenant.shown_document(), **rollout}
