"""Which path for this subject now: asks the flag, and knows the safe side when the flag has no answer."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FlagTooSlow

import structlog
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

from bridge.decisions import Decision
from bridge.model import FLAG, Path, Subject, TenantState
from bridge.services.decisions import Decisions
from bridge.telemetry import Metrics
from bridge.texts import CONTROL_CHARACTERS

PATIENCE_S = 0.25
"""How long a flag provider of somebody else may think before its answer no longer counts."""

LONGEST = 200
"""Characters of a variant or a reason that are kept."""

log = structlog.get_logger()


class Rollouts:
    """Evaluate the flag `embed-path` through OpenFeature.

    The flag decides in stage `rollout` alone: the other stages have one answer each, so that a flag service
    cannot pass by the audited stage moves. It fails to the stage's safe side, counted. *own* is our own provider, for
    the tenants that keep to it beside another one.
    """

    def __init__(
        self,
        flags: OpenFeatureClient,
        metrics: Metrics,
        *,
        may_block: bool,
        decisions: Decisions | None = None,
        own: OpenFeatureClient | None = None,
    ) -> None:
        self._flags = flags
        self._own = own
        self._metrics = metrics
        self._decisions = decisions
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="flags") if may_block else None

    def path(self, state: TenantState, subject: Subject) -> Path:
        """Return the path of *subject*, and note who decided it where that is not our own provider; never raises."""
        if self._decisions is None and state.settled_path is not None:
            return state.settled_path
        decision = self.decide(state, subject)
        decisions = None if state.tenant.own_flags else self._decisions
        if decisions is not None and decision.reason != Reason.ERROR:  # no answer is no change of mind
            decisions.note(state, subject.sub, decision)
        return decision.path

    def is_on_oauth_at_once(self, state: TenantState, subject: Subject) -> bool:
        """Tell whether `path` would say `oauth` where nobody else has a say; False where it must be asked."""
        is_ours = self._pool is None or state.tenant.own_flags
        return is_ours and state.path_for(subject.sub, subject.groups) is Path.OAUTH

    def flush(self) -> None:
        """Write what was noted of decisions. Raises StoreError: then it is tried again."""
        if self._decisions is not None:
            self._decisions.flush()

    def close(self) -> None:
        if self._decisions is not None:
            self._decisions.close()

    def decide(self, state: TenantState, subject: Subject) -> Decision:
        """Return the path of *subject* and by which rule, without a trace; never raises."""
        if (settled := state.settled_path) is not None:
            why = Reason.DISABLED if state.is_killed else Reason.STATIC
            return Decision(settled, why.value, state.rollout.stage.value)
        slug = state.tenant.slug
        flags = self._own if self._own and state.tenant.own_flags else self._flags
        provider = _told(flags.provider.get_metadata().name)
        context = EvaluationContext(subject.sub, {"tenant": slug, "groups": sorted(subject.groups)})
        try:
            details = self._evaluate(flags, context)
            reason = _told(details.reason or Reason.UNKNOWN.value)
            variant = None if details.variant is None else _told(details.variant)
            return Decision(Path(details.value), reason, variant, provider)
        except (ValueError, LookupError, FlagTooSlow, RuntimeError) as problem:  # RuntimeError: no thread to be had
            self._metrics.flag_fallbacks.labels(slug).inc()
            log.warning("flag_not_evaluated", tenant=slug, problem=type(problem).__name__)
            return Decision(state.rollout.stage.safe_path, Reason.ERROR.value, None, provider)

    def _evaluate(self, flags: OpenFeatureClient, context: EvaluationContext) -> FlagEvaluationDetails[str]:
        if self._pool is None or flags is self._own:
            return _answer(flags, context)
        answer = self._pool.submit(_answer, flags, context)
        try:
            return answer.result(PATIENCE_S)
        finally:
            answer.cancel()  # or a provider that hangs would find every question still waiting when it comes back


def _told(text: object) -> str:
    """Return a word of somebody else's as the store can keep it: one that it refuses would hold up all that follow."""
    return CONTROL_CHARACTERS.sub("?", str(text))[:LONGEST]


def _answer(flags: OpenFeatureClient, context: EvaluationContext) -> FlagEvaluationDetails[str]:
    """Return the flag's answer. Raises LookupError where OpenFeature fell back to the default."""
    details = flags.get_string_details(FLAG, "", context)
    if details.error_code is not None:
        raise LookupError(details.error_code)
    return details
