"""Shadow: in stage `shadow`, try the new path for some who sign in, beside what they get and out of its way."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog
from cachetools import TTLCache

from bridge.errors import BridgeError, TenantThrottled
from bridge.guarding import Shadowed
from bridge.model import BUCKETS, Identity, Stage, Tenant, TenantState, bucket
from bridge.ports import Clock, TenantStore
from bridge.services.background import Background
from bridge.services.measures import Measures
from bridge.telemetry import Metrics

log = structlog.get_logger()

ROOM = 200
"""So many people wait at most; who comes on top is dropped and counted, and may be taken at a later sign-in."""
AGAIN_AFTER_S = 3600
"""The same person is tried at most this often by one worker."""
REST_S = 1.0
"""The pause after each trial: its reads (Qlik: Tier 1, 1,000 a minute) are in no budget, as logins and tokens are."""
REMEMBERED = 20_000

Trial = Callable[[TenantState, Identity], str]
"""Runs sync, impersonation and comparison for one person and returns the outcome in a word. May raise a BridgeError."""


@dataclass(frozen=True, slots=True)
class _Case:
    slug: str
    identity: Identity


class Shadow:
    """Takes sampled sign-ins into a bounded queue and works them off, one after the other, on a thread of its own.

    It never changes what a person gets: `offer` neither waits nor raises, and nothing that it learns reaches a page.
    A tenant that throttles us, or whose budget others need, is left alone so long: ours is the last claim. Who was left
    out for that may be taken at their next sign-in.
    """

    def __init__(
        self,
        *,
        tenants: TenantStore,
        trial: Trial,
        sample: Callable[[Tenant], float],
        clock: Clock,
        metrics: Metrics,
        measures: Measures,
        room: int = ROOM,
    ) -> None:
        self._tenants = tenants
        self._trial = trial
        self._sample = sample
        self._clock = clock
        self._metrics = metrics
        self._measures = measures
        self._guard = threading.Lock()
        self._taken: TTLCache[tuple[str, str], Literal[True]] = TTLCache(REMEMBERED, AGAIN_AFTER_S, timer=clock)
        self._quiet_until: dict[str, float] = {}
        self._background = Background("shadow", self._run, room=room)
        self.waiting = self._background.waiting
        self.close = self._background.close

    def offer(self, state: TenantState, identity: Identity) -> None:
        """Take a sign-in, if the tenant is in `shadow`, the person in its sample, and there is room."""
        slug, sub = state.tenant.slug, identity.subject.sub
        if state.rollout.stage is not Stage.SHADOW or not self._is_sampled(state.tenant, sub):
            return
        with self._guard:
            if (slug, sub) in self._taken or self._clock() < self._quiet_until.get(slug, 0):
                return
            if self._background.offer(_Case(slug, identity)):
                self._taken[slug, sub] = True
                self._measures.note_shadowed(slug, Shadowed.TAKEN)
                return
        self._metrics.shadow_dropped.labels(slug).inc()
        self._measures.note_shadowed(slug, Shadowed.DROPPED)

    def _is_sampled(self, tenant: Tenant, sub: str) -> bool:
        """Tell by the stable bucket: the same people each time, those who will move first."""
        return bucket(tenant.slug, sub) < round(self._sample(tenant) / 100 * BUCKETS)

    def _run(self, case: _Case) -> None:
        outcome = self._outcome(case)
        self._metrics.shadow.labels(case.slug, outcome).inc()
        self._measures.note_shadowed(case.slug, Shadowed.ended(outcome))
        self._background.pause(REST_S)

    def _outcome(self, case: _Case) -> str:
        if self._clock() < self._quiet_until.get(case.slug, 0):
            self._leave_out(case)
            return "left_out"
        try:
            state = self._tenants.get(case.slug)
            if state.rollout.stage is not Stage.SHADOW:
                return "left_out"
            return self._trial(state, case.identity)
        except TenantThrottled as failure:
            self._quiet_until[case.slug] = self._clock() + (failure.retry_after_s or 1)
            self._leave_out(case)
            return failure.code()
        except BridgeError as error:
            log.info("shadow_failed", tenant=case.slug, error=error.code(), detail=error.detail)
            return error.code()

    def _leave_out(self, case: _Case) -> None:
        """Forget that this person was taken."""
        with self._guard:
            self._taken.pop((case.slug, case.identity.subject.sub), None)
