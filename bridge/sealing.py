"""What is stored sealed, and which of the encryption keys opens it. Frozen, no I/O. Words: docs/glossary.md."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

LOCKED = (
    "No key of BRIDGE_ENCRYPTION_KEYS opens it: put the key back at the end of the list, or set the secret again"
    " (`qlik-bridge tenants apply`, or the console)."
)
"""What to do about a secret that is locked."""


class Holding(StrEnum):
    """What is sealed: the secrets of a tenant, together, or an issued token."""

    SECRETS = "secrets"
    TOKEN = "token"  # noqa: S105 - a word, not a token


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One sealed value in the store, as it was read.

    `name` is the tenant's slug or the Token-Id, never the value; `place` that of the key in BRIDGE_ENCRYPTION_KEYS
    that opens it (the first is 0), None where none of them does: then it is *locked*.
    """

    holding: Holding
    row: str
    name: str
    sealed: bytes = field(repr=False)
    place: int | None

    @property
    def is_old(self) -> bool:
        return self.place is not None and self.place > 0


@dataclass(frozen=True, slots=True)
class Census:
    """How many values each of BRIDGE_ENCRYPTION_KEYS opens, in their order, and the names of those that none opens."""

    by_key: tuple[int, ...]
    locked_tenants: tuple[str, ...] = ()
    locked_tokens: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Iterable[SealedValue], *, keys: int) -> Self:
        counts = [0] * keys
        locked: dict[Holding, list[str]] = {holding: [] for holding in Holding}
        for value in values:
            if value.place is None:
                locked[value.holding].append(value.name)
            else:
                counts[value.place] += 1
        return cls(tuple(counts), tuple(locked[Holding.SECRETS]), tuple(locked[Holding.TOKEN]))

    @property
    def old(self) -> int:
        """Return how many values need another key than the first."""
        return sum(self.by_key[1:])

    @property
    def idle_keys(self) -> Sequence[int]:
        """Return the places of the keys after the first that open nothing: these may go."""
        return [place for place, count in enumerate(self.by_key) if place and not count]

    def document(self) -> dict[str, Any]:
        return {
            "values_by_key": list(self.by_key),
            "keys_that_may_go": [place + 1 for place in self.idle_keys],
            "locked_tenants": list(self.locked_tenants),
            "locked_tokens": list(self.locked_tokens),
        }


@dataclass(frozen=True, slots=True)
class Resealed:
    """What a change of the key did: values sealed anew, locked tokens dropped, and how it stands now."""

    resealed: int
    dropped: int
    now: Census

    def document(self) -> dict[str, Any]:
        return {"resealed": self.resealed, "dropped": self.dropped, **self.now.document()}
