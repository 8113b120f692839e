"""Evidence about a tenant: what the doctor finds in its set-up, and how parity stands."""

from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import Field

from bridge.diagnosis import Light
from bridge.evidence import Area, Outcome, ParityResult, Verdict
from bridge.model import Tenant
from bridge.roles import Role
from bridge.texts import iso
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import PAGE, Shape
from bridge.web.bodies import parsed_query
from bridge.web.operator import reader


class FindingAnswer(Shape):
    """One line of a diagnosis; `because` names the check that must be mended first."""

    check: str
    about: str
    light: Light
    cause: str
    fix: str
    because: str


class DiagnosisAnswer(Shape):
    """All findings, causes before symptoms; `away`: the tenant did not answer everything."""

    tenant: str
    at: str
    light: Light
    away: bool
    findings: list[FindingAnswer]


class CheckAnswer(Shape):
    """One line of evidence: what the portal says, what JWT gave, what OAuth gives."""

    area: Area
    item: str
    verdict: Verdict
    expected: str
    baseline: str
    oauth: str
    why: str
    ignored: str
    needed: bool


class ParityOfOne(Shape):
    """The newest comparison of one subject."""

    sub: str
    outcome: Outcome
    compared_at: str
    baseline_at: str | None
    checks: list[CheckAnswer]


class ParityAnswer(Shape):
    """How many subjects are proven, differ or could not be checked (`fresh`: proven lately enough), and the newest."""

    proven: int
    mismatch: int
    unproven: int
    fresh: int
    needed: int
    results: list[ParityOfOne]


class ParityQuery(Shape):
    """What narrows the results."""

    outcome: Outcome | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE)] = 20


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>/doctor")(get_doctor)
    blueprint.get("/tenants/<slug>/parity")(get_parity)


@described("Examine a tenant's set-up", answer=DiagnosisAnswer, role=Role.OPERATOR)
def get_doctor(slug: str) -> Response:
    """Ask the tenant now; nothing is changed there."""
    reader(slug, Role.OPERATOR)
    current.tenant(slug)
    diagnosis = current.bridge().doctor.examine(slug)
    return jsonify(diagnosis.document() | {"at": iso(diagnosis.at)})


@described("Read how parity stands", answer=ParityAnswer, query=ParityQuery)
def get_parity(slug: str) -> Response:
    """Give the newest comparison of each subject; `qlik-bridge parity` makes them."""
    reader(slug)
    query = parsed_query(ParityQuery)
    found = standing(current.tenant(slug).tenant, query.outcome, query.limit)
    return jsonify(found.model_dump(mode="json"))


def standing(tenant: Tenant, outcome: Outcome | None, limit: int) -> ParityAnswer:
    """Return how the parity of a tenant stands. Raises StoreError."""
    parity = current.bridge().parity
    counts = parity.counts(tenant)
    return ParityAnswer(
        proven=counts.proven,
        mismatch=counts.mismatch,
        unproven=counts.unproven,
        fresh=counts.fresh,
        needed=tenant.parity.subjects_needed,
        results=[_of_one(each) for each in parity.latest(tenant.slug, outcome=outcome, limit=limit)],
    )


def _of_one(result: ParityResult) -> ParityOfOne:
    fields = list(CheckAnswer.model_fields)
    return ParityOfOne(
        sub=result.sub,
        outcome=result.outcome,
        compared_at=iso(result.compared_at),
        baseline_at=None if result.baseline_at is None else iso(result.baseline_at),
        checks=[CheckAnswer(**{name: getattr(each, name) for name in fields}) for each in result.checks],
    )
