"""What the budget needs from the outside world."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bridge.budgeting import Account, Lease, Spent

Decide = Callable[[Sequence[Spent], float], Spent]
"""Takes what was spent, and until when Tier 2 is closed (0: it is not); returns what to write down."""


class BudgetStore(Protocol):
    """What every worker spent, whom each works for, and which tiers are closed. Every method may raise StoreError."""

    def claim(self, account: Account, decide: Decide, *, since: float, lease: Lease | None = None) -> bool:
        """Write down what *decide* says of the slots from *since* on; nobody else of this tenant decides meanwhile.

        With calls that were granted goes the *lease*; it replaces one of the same holder, and one that ended. While
        another worker has one, nothing is decided, and the answer is False.
        """

    def lease(self, tenant: str, sub: str) -> Lease | None:
        """Return the last lease on a person; one that led to a token is gone."""

    def end_lease(self, lease: Lease, problem: str = "") -> None:
        """Let go of a lease that is still its holder's; with a problem, those who wait for it find that."""

    def give_back(self, account: Account, unused: Spent) -> None:
        """Take calls back out of their lane and slot."""

    def spent(self, since: float) -> Mapping[Account, Sequence[Spent]]:
        """Return what every account spent in the slots from then on."""

    def close(self, tenant: str, tier: int, until: float, *, now: float) -> None:
        """Close a tier to everybody; what is closed for longer stays so."""

    def closed(self) -> Mapping[tuple[str, int], float]:
        """Return until when each tier is, or was, closed."""

    def keep(self, since: float, until: float) -> None:
        """Remove slots that began, and leases that ended, before *since*, or after *until*, where no clock can be."""
