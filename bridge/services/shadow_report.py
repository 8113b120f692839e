"""How shadow does at a tenant, for people: what all workers counted, and what waits in this one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.guarding import Shadowed
from bridge.model import Stage, TenantState
from bridge.services.measures import Measures
from bridge.services.shadow import ROOM, Shadow

WINDOW_S = 3600


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """`counts` are of the last hour and of all workers; `waiting` are people in the queue of this worker alone."""

    state: TenantState
    counts: Mapping[Shadowed, int]
    waiting: int

    @property
    def sample_percent(self) -> float:
        return self.state.tenant.parity.sample_percent

    @property
    def is_on(self) -> bool:
        return self.state.rollout.stage is Stage.SHADOW and self.sample_percent > 0

    def sentence(self) -> str:
        """Say whether anybody is tried, and if not, why."""
        if self.state.rollout.stage is not Stage.SHADOW:
            return f"Nobody is tried: this is stage `{self.state.rollout.stage}`, and shadow belongs to stage `shadow`."
        if not self.sample_percent:
            return "Nobody is tried: `sample_percent` under `[tenants.parity]` is 0."
        return f"{self.sample_percent:g} % of the people who sign in are tried, each once an hour and worker."

    def document(self) -> dict[str, Any]:
        return {
            "tenant": self.state.tenant.slug,
            "stage": self.state.rollout.stage.value,
            "on": self.is_on,
            "why": self.sentence(),
            "sample_percent": self.sample_percent,
            "window_s": WINDOW_S,
            "counts": {each.value: count for each, count in self.counts.items()},
            "queue": {"waiting": self.waiting, "room": ROOM},
        }


def shadow_report(shadow: Shadow, measures: Measures, state: TenantState, now: float) -> ShadowReport:
    """Return how shadow does. *now* in unix seconds. Raises StoreError."""
    return ShadowReport(state, measures.shadowed(state.tenant.slug, now - WINDOW_S), shadow.waiting())
