"""What the budget needs from the outside world."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bridge.budgeting import Account, Spent

Decide = Callable[[Sequence[Spent], float], Spent]
"""Takes what was spent, and until when Tier 2 is closed (0: it is not); returns what to write down."""


class BudgetStore(Protocol):
    """What every worker spent, and which tiers are closed to all. Every method may raise StoreError."""

    def claim(self, account: Account, decide: Decide, *, since: float) -> None:
        """Write down what *decide* says of the slots from *since* on; nobody else of this tenant decides meanwhile."""

    def give_back(self, account: Account, unused: Spent) -> None:
        """Take calls back out of their lane and slot."""

    def spent(self, since: float) -> Mapping[Account, Sequence[Spent]]:
        """Return what every account spent in the slots from then on."""

    def close(self, tenant: str, tier: int, until: float) -> None:
        """Close a tier to everybody; what is closed for longer stays so."""

    def closed(self) -> Mapping[tuple[str, int], float]:
        """Return until when each tier is, or was, closed."""

    def keep(self, since: float, until: float) -> None:
        """Remove slots that began before *since*, or after *until* (unix seconds), where no clock can be."""
