"""Which of a tenant's tiers a 429 has closed, to every worker: told to the store at once, heard from it in passing."""

import threading

import structlog

from bridge.budgeting import closed_for_s
from bridge.errors import StoreError, TenantThrottled
from bridge.ports import Clock
from bridge.ports.budget import BudgetStore

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
"""How old our picture of other workers' 429s may be when a tenant is called."""


class Tiers:
    """Until when which tier is closed. Without a store, or with it away, a worker knows of its own 429s alone."""

    def __init__(self, clock: Clock, store: BudgetStore | None = None) -> None:
        self._clock = clock
        self._store = store
        self._guard = threading.Lock()
        self._looking = threading.Lock()
        self._looked_at = float("-inf")
        self._until: dict[tuple[str, int], float] = {}

    def check(self, slug: str, tiers: tuple[int, ...]) -> None:
        """Raise TenantThrottled while one of the tiers is closed."""
        self._look()
        now = self._clock()
        for tier in tiers:
            wait_s = closed_for_s(self._until.get((slug, tier), 0), now)
            if wait_s > 0:
                raise TenantThrottled(detail=f"tier {tier} is closed to us", retry_after_s=wait_s, tier=tier)

    def note(self, slug: str, tier: int, until: float) -> None:
        """Take over what the store said in passing."""
        with self._guard:
            now, known = self._clock(), self._until.get((slug, tier), 0)
            if closed_for_s(until, now) > closed_for_s(known, now):
                self._until[slug, tier] = until

    def close(self, slug: str, tier: int, until: float) -> None:
        """Close a tier here, and to the other workers."""
        self.note(slug, tier, until)
        if self._store is None:
            return
        try:
            self._store.close(slug, tier, until, now=self._clock())
        except StoreError as failure:
            log.warning("closed_tier_not_shared", tenant=slug, tier=tier, detail=failure.detail)

    def _look(self) -> None:
        """Ask the store what the others heard; one thread asks, the others go on with what is known."""
        if self._store is None or not self._is_due() or not self._looking.acquire(blocking=False):
            return
        try:
            for (slug, tier), until in self._store.closed().items():
                self.note(slug, tier, until)
        except StoreError as failure:
            log.info("closed_tiers_not_read", detail=failure.detail)
        finally:
            self._looked_at = self._clock()
            self._looking.release()

    def _is_due(self) -> bool:
        return not 0 <= self._clock() - self._looked_at < LOOK_EVERY_S
