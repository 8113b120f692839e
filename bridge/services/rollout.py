"""Which path for this subject now: asks the flag, and knows the safe side when the flag has no answer."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FlagTooSlow

import structlog
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext

from bridge.model import FLAG, Path, Subject, TenantState
from bridge.telemetry import Metrics

PATIENCE_S = 0.25
"""How long a flag provider of somebody else may think before its answer no longer counts."""

log = structlog.get_logger()


class Rollouts:
    """Evaluate the flag `embed-path` through OpenFeature.

    The flag decides in stage `rollout` alone: the other stages have one answer each, so that a flag service
    cannot pass by the audited stage moves. It fails to the stage's safe side, counted.
    """

    def __init__(self, flags: OpenFeatureClient, metrics: Metrics, *, may_block: bool) -> None:
        self._flags = flags
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="flags") if may_block else None

    def path(self, state: TenantState, subject: Subject) -> Path:
        """Return the path of *subject*; never raises."""
        if (settled := state.settled_path) is not None:
            return settled
        slug = state.tenant.slug
        context = EvaluationContext(subject.sub, {"tenant": slug, "groups": sorted(subject.groups)})
        try:
            return Path(self._evaluate(context))
        except (ValueError, LookupError, FlagTooSlow, RuntimeError) as problem:  # RuntimeError: no thread to be had
            self._metrics.flag_fallbacks.labels(slug).inc()
            log.warning("flag_not_evaluated", tenant=slug, problem=type(problem).__name__)
            return state.rollout.stage.safe_path

    def _evaluate(self, context: EvaluationContext) -> str:
        if self._pool is None:
            return self._ask(context)
        answer = self._pool.submit(self._ask, context)
        try:
            return answer.result(PATIENCE_S)
        finally:
            answer.cancel()  # or a provider that hangs would find every question still waiting when it comes back

    def _ask(self, context: EvaluationContext) -> str:
        """Return the flag's value. Raises LookupError where OpenFeature fell back to the default."""
        details = self._flags.get_string_details(FLAG, "", context)
        if details.error_code is not None:
            raise LookupError(details.error_code)
        return details.value
