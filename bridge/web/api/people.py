"""People at a tenant: path and why, groups, tokens."""

from flask import Blueprint, Response, jsonify

from bridge.errors import BadRequest
from bridge.model import AuditEvent
from bridge.roles import Role
from bridge.services.broker import Revocations
from bridge.services.lookup import Person
from bridge.texts import iso
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import Decision, HeldToken, NotedDecision, PersonAnswer, Revocation, Revoked
from bridge.web.bodies import parsed
from bridge.web.operator import changer, reader
from bridge.web.subjects import checked_string


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>/people/<path:sub>")(get_person)
    blueprint.post("/tenants/<slug>/revocations")(post_revocations)


@described("Look a person up", answer=PersonAnswer)
def get_person(slug: str, sub: str) -> Response:
    """Say which path they are on and why, what their groups are, and whether a token is kept for them."""
    reader(slug)
    return jsonify(person_answer(slug, look_up(slug, sub)).model_dump(mode="json"))


@described("Revoke a person's tokens", answer=Revoked, body=Revocation, role=Role.OPERATOR)
def post_revocations(slug: str) -> Response:
    """Take them out of use here at once, and end them at the tenant. The next page they open gets a new one."""
    who = changer(slug)
    current.tenant(slug)
    wanted = parsed(Revocation)
    done = revoke(slug, checked_sub(wanted.subject), who.actor, wanted.reason)
    return jsonify(Revoked(revoked=done.revoked, failed=done.failed).model_dump())


def look_up(slug: str, sub: str) -> Person:
    """Return what is known of a person. Raises UnknownTenant, BadRequest, StoreError."""
    return current.bridge().lookup.person(current.tenant(slug), checked_sub(sub))


def checked_sub(sub: str) -> str:
    try:
        return checked_string(sub, "sub")
    except ValueError as problem:
        raise BadRequest(f"The request is not valid: {problem}.") from None


def revoke(slug: str, sub: str, actor: str, reason: str) -> Revocations:
    bridge = current.bridge()
    done = bridge.broker.revoke(tenant=slug, sub=sub)
    after = {"subject": sub, "revoked": done.revoked, "failed": done.failed}
    bridge.audit.append(
        AuditEvent(bridge.clock(), actor, "tokens.revoke", slug, reason, None, after, current.request_id())
    )
    return done


def person_answer(slug: str, person: Person) -> PersonAnswer:
    record, token, why = person.record, person.token, person.decision
    return PersonAnswer(
        tenant=slug,
        sub=person.sub,
        known=record is not None,
        decision=Decision.model_validate(why.document()),
        noted=_noted(person),
        groups=sorted(record.subject.groups) if record else [],
        asserted_at=iso(record.asserted_at) if record else None,
        user_id=record.user_id if record else None,
        synced_groups=sorted(record.synced_groups) if record else [],
        synced_at=iso(record.synced_at) if record and record.synced_at is not None else None,
        token=HeldToken(token_id=token.token_id, issued_at=iso(token.issued_at), expires_at=iso(token.expires_at))
        if token
        else None,
        logged_as=current.logged_as(slug, person.sub),
    )


def _noted(person: Person) -> NotedDecision | None:
    noted = person.noted
    return NotedDecision(**noted.decision.document(), since=iso(noted.since)) if noted else None
