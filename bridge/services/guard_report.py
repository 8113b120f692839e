"""What guards a tenant now, for people: what each guardrail sees, what holds, and which notices wait."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.guarding import Reading
from bridge.model import AuditEvent, TenantState
from bridge.services.guardrails import STEP_BACK, Guardrails, is_guarded
from bridge.services.notices import NoticeReport, Notices
from bridge.texts import iso


@dataclass(frozen=True, slots=True)
class GuardReport:
    """`held` is the guardrail's event that holds until a person moves on."""

    state: TenantState
    readings: Sequence[Reading]
    held: AuditEvent | None
    notices: NoticeReport

    def sentence(self) -> str:
        """Say whether anybody watches in the present stage, and if not, why."""
        stage, guarded = self.state.rollout.stage, self.state.tenant.guardrails.stages
        if is_guarded(self.state):
            return f"Stage `{stage}` is guarded: every worker looks each second, and acts by itself."
        if self.state.is_killed:
            return "Nothing is guarded now: the kill switch is on, so nobody is on the new path."
        listed = " and ".join(f"`{each}`" for each in guarded) or "no stage"
        return f"Stage `{stage}` is not guarded, {listed} is: here you see what is measured, and nobody acts on it."

    def document(self) -> dict[str, Any]:
        return {
            "tenant": self.state.tenant.slug,
            "stage": self.state.rollout.stage.value,
            "guarded": is_guarded(self.state),
            "why": self.sentence(),
            "stages": list(self.state.tenant.guardrails.stages),
            "guardrails": [_told(each) for each in self.readings],
            "holding": holding_document(self.held, self.state) if self.held else None,
            "notices": self.notices.document(),
        }


def guard_report(guardrails: Guardrails, notices: Notices, state: TenantState) -> GuardReport:
    """Return what guards a tenant. Raises UnknownTenant, StoreError."""
    slug = state.tenant.slug
    return GuardReport(state, guardrails.readings(slug), guardrails.holding(slug), notices.report(state.tenant))


def holding_document(held: AuditEvent, state: TenantState) -> dict[str, Any]:
    evidence = (held.after or {}).get("evidence", [])
    return {
        "action": held.action,
        "at": iso(held.at),
        "reason": held.reason,
        "evidence": [{**each, "since": iso(each["since"])} for each in evidence],
        "next": list(_next_steps(held, state)),
    }


def _told(seen: Reading) -> dict[str, Any]:
    facts = {"about": seen.kind.about, "standing": seen.standing.value, "sample": seen.kind.sample}
    return {**seen.document(), "since": iso(seen.since), **facts}


def _next_steps(held: AuditEvent, state: TenantState) -> Iterator[str]:
    """Say what a person does about it; where it happened, and in which order."""
    slug, evidence = state.tenant.slug, (held.after or {}).get("evidence", [])
    if held.action == STEP_BACK:
        yield "Everybody is on the JWT path again. Nothing moves on by itself."
    else:
        yield "People stay where they are, and the ramp stands still if there is one. Nothing moves on by itself."
    yield f"Find the cause: `qlik-bridge doctor {slug}` examines the set-up, and the log names the error codes."
    window_s = max((each["window_s"] for each in evidence), default=0)
    yield f"Mend it, and wait until {window_s} s went well; a move before that needs `--force` with a reason."
    if held.action == STEP_BACK:
        yield f"Then move on: `qlik-bridge stage move {slug} rollout --percent 5`."
    elif state.rollout.ramp:
        yield f"Then move on: `qlik-bridge stage ramp resume {slug}`, or any other change of the rollout."
    else:
        yield "Then move on: any change of the rollout by a person ends the pause."
    yield "What was measured before that does not count again."
