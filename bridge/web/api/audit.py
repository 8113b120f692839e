"""The audit: who changed what, and why."""

from flask import Blueprint, Response, jsonify

from bridge.errors import NotAllowed
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import AuditPage, AuditQuery
from bridge.web.bodies import parsed_query
from bridge.web.operator import Operator, operator


def install(blueprint: Blueprint) -> None:
    blueprint.get("/audit")(get_audit)


@described("Read the audit", answer=AuditPage, query=AuditQuery)
def get_audit() -> Response:
    who = operator()
    query = parsed_query(AuditQuery)
    narrowed = query.narrowed(audited(who, query.tenant))
    # One more than asked for tells whether there is another page.
    found = current.bridge().audit.page(narrowed, before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].id if len(found) > len(shown) else None
    return jsonify(events=[entry.document() for entry in shown], next=following)


def audited(who: Operator, tenant: str | None) -> str | None:
    """Return whose events *who* gets when asking for those of *tenant* (None: all). Raises NotAllowed.

    Events of no tenant name operators of all of them: they are not for an operator of one.
    """
    own = who.tenants()
    if tenant is None and own is not None:
        if len(own) != 1:
            raise NotAllowed("You see single tenants alone: name one with `tenant`.")
        (tenant,) = own
    if not who.may_see(tenant):
        raise NotAllowed
    return tenant
