"""Parity: prove for one person after the other that OAuth gives what the portal expects and what JWT gave.

Two credentials of one user read alike at the same moment. So the JWT side is a baseline that was stored while the
person was on the JWT path, and the portal's own word stands beside both.
"""

from collections.abc import Sequence

import structlog

from bridge.budgeting import Lane
from bridge.errors import BridgeError, StoreError, SubjectNotProvisioned, SyncRefused, TenantRefused, TenantThrottled
from bridge.evidence import Access, Area, Baseline, Check, Outcome, ParityCounts, ParityResult, Verdict
from bridge.model import Identity, SubjectRecord, Tenant
from bridge.ports import Clock, ParityStore, TenantStore
from bridge.services.broker import Broker
from bridge.services.budget import claiming
from bridge.services.bulkhead import take_place
from bridge.services.measures import Measures
from bridge.services.parity_baselines import Baselines
from bridge.services.parity_checks import compared, without_token
from bridge.services.parity_look import Looks
from bridge.telemetry import Metrics

log = structlog.get_logger()

UNAUTHORIZED = 401


class Parity:
    """Compare, and keep the newest comparison of each subject."""

    def __init__(  # noqa: PLR0913 - what it takes to compare, by name
        self,
        *,
        looks: Looks,
        baselines: Baselines,
        broker: Broker,
        tenants: TenantStore,
        store: ParityStore,
        clock: Clock,
        metrics: Metrics,
        measures: Measures,
    ) -> None:
        self._looks = looks
        self._baselines = baselines
        self._broker = broker
        self._tenants = tenants
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._measures = measures

    def compare(self, slug: str, identity: Identity, *, run: float = 0, must_see: bool = False) -> ParityResult:
        """Compare one person now, keep and return the result; *run* (unix seconds) names those made together, 0 none.

        The facts of the newest identity row count, never older ones. On the JWT path a baseline is taken first where
        there is none that fits. Its calls are claimed in the lowest lane. Raises UnknownTenant, NotAllowed, StoreError,
        and TenantThrottled: ask again then. With *must_see* it raises every TenantError too, where else the result says
        "not checked".
        """
        take_place(slug)
        with claiming(Lane.SHADOW):
            return self._compare(slug, identity, run, must_see=must_see)

    def _compare(self, slug: str, identity: Identity, run: float, *, must_see: bool) -> ParityResult:
        state = self._tenants.get(slug)
        record = self._baselines.admitted(state.tenant, identity)
        baseline, why = self._baselines.fitting(state, record)
        checks = self._checks(state.tenant, record, baseline, why, must_see=must_see)
        now = self._clock()
        result = ParityResult(
            tenant=slug,
            sub=record.subject.sub,
            run=run,
            compared_at=now,
            baseline_at=baseline.taken_at if baseline else None,
            fingerprint=record.subject.fingerprint(),
            checks=checks,
            basis=state.tenant.parity_basis(),
        )
        self._count(result)
        self._keep(result)
        return result

    def take_baseline(self, slug: str, identity: Identity) -> Baseline:
        """Log the person in by JWT, as a sync does, and keep what that session has in place of any older baseline.

        Raises as `compare` does, and SyncRefused, SubjectNotProvisioned or the TenantError of the login.
        """
        tenant = self._tenants.get(slug).tenant
        with claiming(Lane.SHADOW):
            return self._baselines.take(tenant, self._baselines.admitted(tenant, identity))

    def latest(self, slug: str, *, outcome: Outcome | None = None, limit: int = 100) -> Sequence[ParityResult]:
        """Return the newest comparisons first. Raises StoreError."""
        return self._store.results(slug, outcome=outcome, limit=limit)

    def result(self, slug: str, sub: str) -> ParityResult | None:
        """Return the newest comparison of one subject. Raises StoreError."""
        return self._store.result(slug, sub)

    def latest_run(self, slug: str) -> float | None:
        """Return which run is the newest, to go on with it. Raises StoreError."""
        return self._store.latest_run(slug)

    def counts(self, tenant: Tenant) -> ParityCounts:
        """Return the tenant's subjects by outcome, and how many are freshly proven. Raises StoreError."""
        since = self._clock() - tenant.parity.fresh_for_s
        return self._store.counts(tenant.slug, fresh_since=since, basis=tenant.parity_basis())

    def _checks(
        self, tenant: Tenant, record: SubjectRecord, baseline: Baseline | None, no_baseline: str, *, must_see: bool
    ) -> Sequence[Check]:
        try:
            access = self._by_token(tenant, record, baseline)
        except (TenantThrottled, StoreError):
            raise
        except (SyncRefused, SubjectNotProvisioned) as refusal:
            return without_token(Verdict.MISSING, f"{refusal.code()}: {refusal.message}")
        except BridgeError as failure:
            if must_see:
                raise
            return without_token(Verdict.NOT_CHECKED, f"{failure.code()}: {failure.message}")
        jwt = baseline.access if baseline else None
        return compared(tenant.parity, record.subject, jwt, access, no_baseline)

    def _by_token(self, tenant: Tenant, record: SubjectRecord, baseline: Baseline | None) -> Access:
        """Look with the token that the person's page would get; a dead one is replaced once."""
        identity = Identity(record.subject, "parity", "", record.asserted_at)
        token = self._broker.obtain(tenant, identity)
        try:
            return self._looks.by_token(tenant, token.value, baseline)
        except TenantRefused as refusal:
            if refusal.status != UNAUTHORIZED:
                raise
        token = self._broker.obtain(tenant, identity, rejected=token.token_id)
        return self._looks.by_token(tenant, token.value, baseline)

    def _count(self, result: ParityResult) -> None:
        """Tell metrics, and guardrails of what was seen: a person of whom nothing is known says nothing."""
        self._metrics.parity.labels(result.tenant, result.outcome.value).inc()
        if result.outcome is not Outcome.UNPROVEN:
            is_mismatch = result.outcome is Outcome.MISMATCH
            self._measures.note_parity(result.tenant, result.sub, mismatch=is_mismatch)

    def _keep(self, result: ParityResult) -> None:
        """Keep a result, unless it says nothing: an outage must neither hide a mismatch nor undo a proof."""
        old = self._store.result(result.tenant, result.sub)
        if result.outcome is Outcome.UNPROVEN and old is not None:
            saw_nothing = any(check.area is Area.TOKEN and check.is_gap for check in result.checks)
            if saw_nothing or old.outcome is Outcome.MISMATCH:
                log.warning("parity_unproven_not_kept", tenant=result.tenant)
                return
        self._store.keep_result(result)
