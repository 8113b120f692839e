"""What a change of the encryption key needs from the store."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from bridge.sealing import SealedValue


class SealedValues(Protocol):
    """Everything that is stored sealed. Every method may raise StoreError."""

    @property
    def keys(self) -> int:
        """Return how many keys there are."""

    def count(self) -> int:
        """Return how many values there are."""

    def batches(self) -> Iterator[Sequence[SealedValue]]:
        """Yield every value, tokens before tenants' secrets, without holding many in memory or a transaction open."""

    def reseal(self, values: Sequence[SealedValue]) -> int:
        """Seal values with the first key, in one transaction; return how many.

        One that changed since it was read, or that somebody is changing now, stays as it is: whoever changes a value
        seals it.
        """

    def drop(self, values: Sequence[SealedValue]) -> int:
        """Forget tokens, unless they changed since they were read; return how many."""
