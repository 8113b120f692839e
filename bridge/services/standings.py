"""How every tenant stands, looked at now and then for its history: parity and stragglers."""

from collections.abc import Iterator

from bridge.history import Series
from bridge.model import Stage, TenantState
from bridge.ports import Clock, JwtUses, ParityStore, TenantStore
from bridge.ports.watching import HistoryStore

EVERY_S = 300
SWEPT_AT_ONCE = 2_000
"""Rows that one transaction removes: it holds up those who write for milliseconds."""


class Standings:
    """Looks at all tenants once in five minutes, whichever worker comes first, and sweeps from then on bite by bite."""

    def __init__(
        self, *, tenants: TenantStore, parity: ParityStore, uses: JwtUses, history: HistoryStore, clock: Clock
    ) -> None:
        self._tenants = tenants
        self._parity = parity
        self._uses = uses
        self._history = history
        self._clock = clock
        self._looked = 0
        self._is_sweeping = False

    def look(self) -> None:
        """Look, unless somebody did in these five minutes; between looks, sweep a little. Raises StoreError."""
        turn = int(self._clock() // EVERY_S)
        if turn == self._looked:
            self._sweep()
            return
        is_ours = self._history.claim(turn)
        self._looked = turn
        if is_ours:
            states = self._tenants.all().values()
            self._history.put(self._clock(), {key: n for state in states for key, n in self._of(state)})
            self._is_sweeping = True

    def _of(self, state: TenantState) -> Iterator[tuple[tuple[str, str], int]]:
        """Yield the standings of one tenant. Before it moved on, its people on the JWT path are no stragglers."""
        tenant, now = state.tenant, self._clock()
        counts = self._parity.counts(tenant.slug, fresh_since=now, basis="")
        yield (tenant.slug, Series.PROVEN.value), counts.proven
        yield (tenant.slug, Series.MISMATCHED.value), counts.mismatch
        yield (tenant.slug, Series.UNPROVEN.value), counts.unproven
        if state.rollout.stage.position >= Stage.OAUTH.position:
            since = now - tenant.quiet_days * 86_400
            yield (tenant.slug, Series.STRAGGLERS.value), self._uses.subjects(tenant.slug, since=since)

    def _sweep(self) -> None:
        """Remove some of what is no longer kept; those who write have the time in between."""
        if self._is_sweeping:
            self._is_sweeping = self._history.sweep(self._clock(), most=SWEPT_AT_ONCE)
