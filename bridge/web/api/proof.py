"""Evidence about a tenant: what the doctor finds in its set-up, and how parity stands."""

from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import Field

from bridge.diagnosis import Light
from bridge.errors import (
    BudgetSpent,
    TenantGarbled,
    TenantRefused,
    TenantThrottled,
    TenantTimeout,
    TenantUnavailable,
)
from bridge.evidence import Area, Outcome, ParityResult, Verdict
from bridge.model import AuditEvent, Tenant
from bridge.roles import Role
from bridge.texts import iso
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import PAGE, Comparison, Shape
from bridge.web.bodies import parsed, parsed_query
from bridge.web.operator import Operator, changer, reader


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
    blueprint.post("/tenants/<slug>/parity")(post_parity)


@described("Examine a tenant's set-up", answer=DiagnosisAnswer, role=Role.OPERATOR)
def get_doctor(slug: str) -> Response:
    """Ask the tenant now; nothing is changed there."""
    reader(slug, Role.OPERATOR)
    current.tenant(slug)
    diagnosis = current.bridge().doctor.examine(slug)
    return jsonify(diagnosis.document() | {"at": iso(diagnosis.at)})


@described("Read how parity stands", answer=ParityAnswer, query=ParityQuery)
def get_parity(slug: str) -> Response:
    """Give the newest comparison of each subject; `qlik-bridge parity` makes them, or a `POST` for one person."""
    reader(slug)
    query = parsed_query(ParityQuery)
    found = standing(current.tenant(slug).tenant, query.outcome, query.limit)
    return jsonify(found.model_dump(mode="json"))


@described(
    "Compare a person now",
    answer=ParityOfOne,
    body=Comparison,
    role=Role.OPERATOR,
    raises=(BudgetSpent, TenantRefused, TenantThrottled, TenantUnavailable, TenantTimeout, TenantGarbled),
)
def post_parity(slug: str) -> Response:
    """Look as them by OAuth, and by JWT where they are on that path and have no baseline yet.

    Their groups are those that their portal said last. When the tenant does not answer, what was known stays.
    """
    who = changer(slug)
    current.tenant(slug)
    return jsonify(of_one(compare(slug, parsed(Comparison), who)).model_dump(mode="json"))


def compare(slug: str, wanted: Comparison, who: Operator) -> ParityResult:
    """Compare somebody whom the bridge knows, and say so in the audit. Raises as `Parity.compare`, BadRequest."""
    bridge = current.bridge()
    result = bridge.parity.compare(slug, bridge.roster.known(slug, wanted.subject), must_see=True)
    after = {"subject": result.sub, "outcome": result.outcome.value}
    bridge.audit.append(
        AuditEvent(bridge.clock(), who.actor, "parity.run", slug, wanted.reason, None, after, current.request_id())
    )
    return result


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
        results=[of_one(each) for each in parity.latest(tenant.slug, outcome=outcome, limit=limit)],
    )


def of_one(result: ParityResult) -> ParityOfOne:
    fields = list(CheckAnswer.model_fields)
    return ParityOfOne(
        sub=result.sub,
        outcome=result.outcome,
        compared_at=iso(result.compared_at),
        baseline_at=None if result.baseline_at is None else iso(result.baseline_at),
        checks=[CheckAnswer(**{name: getattr(each, name) for name in fields}) for each in result.checks],
    )
