"""What renewing tokens ahead of their end needs from the outside world."""

from collections.abc import Sequence
from typing import Protocol

from bridge.history import Notes
from bridge.model import Expiring

Seen = Notes[tuple[str, str]]
"""When people on the path `oauth` were last seen, by tenant and `sub`."""


class RenewalStore(Protocol):
    """When people with a token were last seen, and who renews it. Every method may raise StoreError."""

    def add(self, seen: Seen) -> None:
        """Note when people were seen with the tokens they have; who has none is not noted."""

    def due(self, tenant: str, *, now: float, before: float, seen_since: float, limit: int) -> Sequence[Expiring]:
        """Return tokens that live and end *before* then, of people seen since, that nobody renews: the next first."""

    def claim(self, expiring: Expiring, *, until: float) -> bool:
        """Tell whether the caller is the one to renew it until then (unix seconds); False when another was first."""
