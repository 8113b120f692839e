"""What a tenant must have proven before more people get the new path."""

from collections.abc import Iterator, Sequence

from bridge.errors import UnmetCondition
from bridge.evidence import ParityCounts
from bridge.model import Stage, TenantState
from bridge.services.parity import Parity
from bridge.services.stages import Condition

HOW = "Run `qlik-bridge parity {slug} --subjects people.csv --report report.html`."


def parity_conditions(parity: Parity) -> Sequence[Condition]:
    return [fresh_parity(parity), no_open_mismatch(parity)]


def fresh_parity(parity: Parity) -> Condition:
    """Ask for enough people whose parity was proven lately, in `rollout` and beyond."""

    def unmet(state: TenantState, to: Stage) -> Iterator[UnmetCondition]:
        plan = state.tenant.parity
        if to.position < Stage.ROLLOUT.position:
            return
        counts = parity.counts(state.tenant)
        if counts.fresh < plan.subjects_needed:
            days = plan.fresh_for_s / 86_400
            yield UnmetCondition(
                "fresh_parity",
                f"Parity is proven for {counts.fresh} of {plan.subjects_needed} people in the last {days:g} days."
                f"{_stale(counts)} {HOW.format(slug=state.tenant.slug)}",
            )

    return unmet


def _stale(counts: ParityCounts) -> str:
    """Say why proofs that are there do not count."""
    stale = counts.proven - counts.fresh
    why = "are older, or made under other probes, ignores, host, client or scope"
    return f" {stale} more {why}." if stale else ""


def no_open_mismatch(parity: Parity) -> Condition:
    """Ask that no comparison found a difference that nobody mended or explained, however old it is."""

    def unmet(state: TenantState, to: Stage) -> Iterator[UnmetCondition]:
        if to.position < Stage.ROLLOUT.position:
            return
        mismatch = parity.counts(state.tenant).mismatch
        if mismatch:
            who = "1 person has" if mismatch == 1 else f"{mismatch} people have"
            yield UnmetCondition(
                "no_open_mismatch",
                f"{who} another access by OAuth than by JWT. Mend each difference in the tenant, or explain it in"
                f" `parity.ignores`; then compare again. {HOW.format(slug=state.tenant.slug)}",
            )

    return unmet
