"""The shapes of what the API takes and answers."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation, WithJsonSchema

from bridge.errors import BadRequest
from bridge.model import Slug, Stage, Tenant
from bridge.roles import TOKEN_NAME, Role
from bridge.texts import moment
from bridge.trail import AuditFilter
from bridge.web.moves import Names, StageMove
from bridge.web.written import MaybeReason, Named, Reason, Written

__all__ = ["Names", "Reason", "StageMove"]

PAGE = 100
LARGEST_PAGE = 1000

Moment = Annotated[float, BeforeValidator(moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Limit = Annotated[int, Field(ge=1, le=LARGEST_PAGE)]
Name = Annotated[str, Field(pattern=TOKEN_NAME.pattern)]


class Shape(BaseModel):
    """What all of them have in common; wrong values are never repeated in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Unmet(Shape):
    """One condition of a stage move that does not hold."""

    condition: str
    message: str
    forceable: bool = Field(description="Whether `force`, with a reason, passes it by.")


class Problem(Shape):
    """Every refusal: a stable code, a sentence that says what to do, and the id to quote."""

    error: str
    message: str
    request_id: str
    unmet: list[Unmet] = Field(default=[], description="With `stage_refused`: each condition that does not hold.")


class KillAnswer(Shape):
    """A kill switch that is on. `everywhere`: that of all tenants; who and why are null for operators of some alone."""

    actor: str | None
    reason: str | None
    at: str
    everywhere: bool


class PauseAnswer(Shape):
    """A ramp stands still until a person resumes it."""

    actor: str
    reason: str
    at: str


class RampStepAnswer(Shape):
    """A percentage, and the seconds that it is held."""

    percent: float
    hold_s: int


class WaitAnswer(Shape):
    """Why a step that is due is not taken yet, and since when."""

    reason: str
    since: str


class RampAnswer(Shape):
    """Percentages that follow one another by themselves; `taken` of them took effect."""

    text: str
    steps: list[RampStepAnswer]
    taken: int
    since: str
    next_at: str | None
    pause: PauseAnswer | None
    wait: WaitAnswer | None


class RolloutAnswer(Shape):
    """Stage, percent and cohorts, with the ramp and the kill switch where there is one."""

    stage: Stage
    percent: float
    cohorts: Names
    ramp: RampAnswer | None
    kill: KillAnswer | None


class PlanAnswer(Shape):
    """What a move would do, in sentences, and each condition that it does not meet."""

    slug: str
    before: RolloutAnswer
    after: RolloutAnswer
    effects: list[str]
    unmet: list[Unmet]


class SwitchAnswer(Shape):
    """The kill switch of all tenants, null while it is off."""

    kill: KillAnswer | None


class TenantAnswer(Tenant):
    """A tenant with its rollout. Secrets show as `**********` where they are set."""

    stage: Stage
    percent: float
    cohorts: Names
    ramp: RampAnswer | None
    kill: KillAnswer | None = Field(description="The tenant's own kill switch, or that of all.")
    revision: int = Field(description="Grows with each change of stage, percent or cohorts.")


class TenantPage(Shape):
    """Tenants by slug. `next` is the `after` of the page that follows, null on the last one."""

    tenants: list[TenantAnswer]
    total: int
    next: str | None


class TenantQuery(Shape):
    """What narrows the tenants."""

    search: Annotated[str, Field(max_length=200, description="A part of slug, name or host.")] = ""
    stage: Stage | None = None
    after: Annotated[str, Field(max_length=200)] = ""
    limit: Limit = PAGE


class TenantChange(Shape):
    """The whole tenant as it shall be. Secrets are write-only: leave one out to keep it, unless the host changes."""

    reason: Reason
    tenant: SkipValidation[Tenant]  # the service checks it, once it has filled in the secrets that stay

    def fields(self) -> dict[str, Any]:
        """Return what was sent as the tenant. Raises BadRequest."""
        sent: object = self.tenant
        if not isinstance(sent, dict):
            raise BadRequest("The request is not valid: tenant: must be an object.")
        return sent


class Decision(Shape):
    """Which path a person is on now, by which rule (OpenFeature: reason, variant)."""

    path: str
    reason: str
    variant: str | None
    provider: str = Field(description="The flag service that was asked; empty: the stage or a kill switch decided.")


class NotedDecision(Decision):
    """What a person got at their last request where another flag provider decides, and since when."""

    since: str


class HeldToken(Shape):
    """An impersonation token that the bridge keeps for a person: its random name and times, never its value."""

    token_id: str
    issued_at: str
    expires_at: str


class PersonAnswer(Shape):
    """What the bridge knows of a person at a tenant; `known` false: they were never there."""

    tenant: str
    sub: str
    known: bool
    decision: Decision
    noted: NotedDecision | None = Field(description="What they got last; null: our own provider decides, or never.")
    groups: list[str] = Field(description="As the portal said last.")
    asserted_at: str | None
    user_id: str | None = Field(description="Who they are to the tenant.")
    synced_groups: list[str] = Field(description="Groups that the tenant may have of them.")
    synced_at: str | None = Field(description="When those were last made to match; null: not known.")
    token: HeldToken | None
    logged_as: str = Field(description="The `subject` of their lines in the log.")


class Because(Shape):
    """A change that needs nothing but its reason."""

    reason: Reason


class Comparison(Shape):
    """Whom to compare now; a reason is kept in the audit."""

    subject: Named
    reason: MaybeReason = ""


class Revocation(Shape):
    """Whose tokens shall end."""

    subject: Annotated[str, Field(min_length=1, max_length=512)]
    reason: Reason


class Revoked(Shape):
    """How many tokens were ended at the tenant, and how many are out of use here but could not be ended there."""

    revoked: int
    failed: int


class AuditQuery(Shape):
    """What narrows the audit."""

    tenant: Slug | None = None
    actor: Written | None = None
    action: Written | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: Annotated[int, Field(ge=1, le=2**31 - 1, description="The `next` of the page before.")] | None = None
    limit: Limit = PAGE

    def narrowed(self, tenant: str | None) -> AuditFilter:
        return AuditFilter(tenant, self.actor, self.action, self.since, self.until)


class Event(Shape):
    """Who changed what, why, from what to what."""

    id: int
    at: str
    actor: str
    action: str
    tenant: str | None
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str


class AuditPage(Shape):
    """Events, the newest first. `next` is the `before` of the page that follows, null on the last one."""

    events: list[Event]
    next: int | None


class TokenRequest(Shape):
    """A new operator token."""

    name: Name
    role: Role
    tenant: Slug | None = None
    reason: Reason


class TokenFacts(Shape):
    """An operator token as it is listed."""

    name: str
    role: Role
    tenant: str | None
    created_at: str


class TokenMade(TokenFacts):
    """A new operator token, with its value: shown this once."""

    token: str


class TokenList(Shape):
    """Operator tokens, the oldest first."""

    tokens: list[TokenFacts]


class Granted(Shape):
    """A role, at one tenant or (null) at all."""

    role: Role
    tenant: str | None


class WhoAmI(Shape):
    """Who asks, and what they may do."""

    actor: str
    grants: list[Granted]


class SettingsAnswer(Shape):
    """The settings of this process by name; secrets are masked."""

    settings: dict[str, Any]
