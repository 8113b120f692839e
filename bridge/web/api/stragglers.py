"""Who still uses the JWT path, and whether a tenant is safe to retire."""

from typing import Annotated, Any

from flask import Blueprint, Response, jsonify
from pydantic import Field

from bridge.trail import Verdict
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import PAGE, Limit, Shape
from bridge.web.bodies import parsed_query
from bridge.web.operator import reader


class StragglerQuery(Shape):
    """How far to look back, and how much to show."""

    days: Annotated[int, Field(ge=1, le=90)] | None = None
    limit: Limit = PAGE


class EvidenceAnswer(Shape):
    """What one source says: the bridge's own notes, or the tenant's audit."""

    source: str
    verdict: Verdict
    why: str


class UseAnswer(Shape):
    """One subject who still used the JWT path, from where."""

    subject: str
    origin: str
    agent: str
    first_seen: str
    last_seen: str
    hours: int


class OriginAnswer(Shape):
    """One page origin whose readers still use it."""

    origin: str
    subjects: int
    first_seen: str
    last_seen: str


class StragglerAnswer(Shape):
    """The verdict with its evidence, who and from where; the newest uses first."""

    tenant: str
    since: str
    verdict: Verdict
    evidence: list[EvidenceAnswer]
    sessions: dict[str, Any] | None
    subjects: int
    origins: list[OriginAnswer]
    uses: list[UseAnswer]


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>/stragglers")(get_stragglers)


@described("Tell who still uses the JWT path", answer=StragglerAnswer, query=StragglerQuery)
def get_stragglers(slug: str) -> Response:
    reader(slug)
    query = parsed_query(StragglerQuery)
    state = current.tenant(slug)
    return jsonify(current.bridge().retirements.report(state.tenant, days=query.days, limit=query.limit).document())
