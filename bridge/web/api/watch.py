"""Who watches over a tenant: its guardrails, shadow, and whom the bridge impersonated there."""

from typing import Annotated, Literal

from flask import Blueprint, Response, jsonify
from pydantic import Field

from bridge import errors
from bridge.guarding import Shadowed, Standing
from bridge.model import Stage
from bridge.roles import Role
from bridge.services.guard_report import guard_report
from bridge.services.shadow_report import shadow_report
from bridge.trail import Joined
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import Limit, Shape
from bridge.web.bodies import parsed_query
from bridge.web.operator import reader

DAY_S = 86_400
LATEST_S = 253_402_300_799.0
"""The end of the year 9999: what comes later is no date."""


class EvidenceOfGuardrail(Shape):
    """The numbers of one guardrail: `value` of `samples`, counted from `since` on."""

    guardrail: str
    value: float
    unit: str
    threshold: float
    samples: int
    minimum: int
    window_s: int
    since: str
    action: Literal["step_back", "pause", "off"]


class GuardrailAnswer(EvidenceOfGuardrail):
    """What one guardrail sees now; `sample`: of what there are samples."""

    about: str
    standing: Standing
    sample: str


class HoldingAnswer(Shape):
    """What a guardrail did that holds until a person moves on, and what to do next, in sentences."""

    action: Literal["stage.step_back", "stage.pause"]
    at: str
    reason: str
    evidence: list[EvidenceOfGuardrail]
    next: list[str]


class WaitingNotice(Shape):
    """A notice that did not arrive yet; `problem`: why its last attempt failed, empty before one did."""

    id: str
    to: Literal["tenant", "all"]
    written_at: str
    attempts: int
    problem: str
    next_attempt_at: str


class NoticesAnswer(Shape):
    """Where notices go: of the tenant's webhook the host, of the one for all whether it is set."""

    host: str | None
    for_all: bool
    waiting: list[WaitingNotice]


class GuardrailsAnswer(Shape):
    """What guards a tenant now; `guarded`: in its present stage somebody acts on it."""

    tenant: str
    stage: Stage
    guarded: bool
    why: str
    stages: list[Stage]
    guardrails: list[GuardrailAnswer]
    holding: HoldingAnswer | None
    notices: NoticesAnswer


class QueueAnswer(Shape):
    """The people who wait in the worker that answers, and how many at most do."""

    waiting: int
    room: int


class ShadowAnswer(Shape):
    """How shadow does: `counts` of all workers within the last `window_s` seconds."""

    tenant: str
    stage: Stage
    on: bool
    why: str
    sample_percent: float
    window_s: int
    counts: dict[Shadowed, int]
    queue: QueueAnswer


class ImpersonationQuery(Shape):
    """How far to look back; `before` is the `next` of the page before, in unix seconds."""

    days: Annotated[int, Field(ge=1, le=90)] = 1
    joined: Joined | None = None
    before: Annotated[float, Field(ge=0, le=LATEST_S)] | None = None
    limit: Limit = 100


class ImpersonationAnswer(Shape):
    """One impersonation beside the tenant's own event; `why` says why the other side of it is not certain."""

    at: str
    joined: Joined
    why: str
    subject: str | None
    user_id: str | None
    client_id: str | None
    token_id: str | None
    request_id: str | None
    event_id: str | None
    event_at: str | None
    tenant_token_id: str | None
    address: str | None


class ImpersonationsAnswer(Shape):
    """Impersonations, the newest first. `counts` are of all from `read_since` to `until`.

    `whole` false: there were too many events, and none before `read_since` was read.
    """

    tenant: str
    read_since: str
    until: str
    whole: bool
    counts: dict[Joined, int]
    impersonations: list[ImpersonationAnswer]
    next: float | None


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>/guardrails")(get_guardrails)
    blueprint.get("/tenants/<slug>/shadow")(get_shadow)
    blueprint.get("/tenants/<slug>/impersonations")(get_impersonations)


@described("Read what the guardrails see", answer=GuardrailsAnswer)
def get_guardrails(slug: str) -> Response:
    """Give each guardrail's reading now, what holds the tenant, and which notices wait."""
    reader(slug)
    bridge = current.bridge()
    return jsonify(guard_report(bridge.guardrails, bridge.notices, current.tenant(slug)).document())


@described("Read how shadow does", answer=ShadowAnswer)
def get_shadow(slug: str) -> Response:
    """Give what became of sampled sign-ins; `qlik-bridge shadow plan` says beforehand what they create."""
    reader(slug)
    bridge = current.bridge()
    return jsonify(shadow_report(bridge.shadow, bridge.measures, current.tenant(slug), bridge.clock()).document())


@described(
    "Read whom the bridge impersonated",
    answer=ImpersonationsAnswer,
    query=ImpersonationQuery,
    role=Role.OPERATOR,
    raises=(
        errors.TenantRefused,
        errors.TenantThrottled,
        errors.TenantUnavailable,
        errors.TenantTimeout,
        errors.TenantGarbled,
        errors.BudgetSpent,
    ),
)
def get_impersonations(slug: str) -> Response:
    """Ask the tenant for its own events now, and lay them beside the bridge's."""
    reader(slug, Role.OPERATOR)
    query = parsed_query(ImpersonationQuery)
    return jsonify(impersonations(slug, query))


def impersonations(slug: str, query: ImpersonationQuery) -> dict[str, object]:
    """Return one page. Raises StoreError, or a TenantError when the tenant does not tell its events."""
    bridge = current.bridge()
    since = bridge.clock() - query.days * DAY_S
    report = bridge.impersonations.report(current.tenant(slug).tenant, since=since, until=query.before)
    return report.page(query.joined, query.limit)
