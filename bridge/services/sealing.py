"""A change of the encryption key: everything stored is sealed anew with the first one, beside running workers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridge.model import AuditEvent
from bridge.ports import AuditLog, Clock
from bridge.ports.sealing import SealedValues
from bridge.sealing import Census, Holding, Resealed, SealedValue

PASSES = 3
"""Workers write beside us: what one of them sealed with an old key behind our back is met in the next pass."""

Step = Callable[[int], object]
"""Is told how many values were done since it was last told."""


@dataclass(frozen=True, slots=True)
class Resealing:
    """Tell which keys are in use, and seal anew. Interrupted, it is begun again: what is done is passed by."""

    store: SealedValues
    audit: AuditLog
    clock: Clock

    def census(self) -> Census:
        """Return how many values each key opens. Raises StoreError."""
        return Census.of(self._values(), keys=self.store.keys)

    def run(self, *, actor: str, reason: str, step: Step) -> Resealed:
        """Seal everything with the first key, and forget tokens that no key opens. Raises StoreError."""
        before = now = self.census()
        resealed = 0
        for _ in range(PASSES):
            if not now.old:
                break
            resealed += self._one_pass(step)
            now = self.census()
        dropped = self._drop(now)
        done = Resealed(resealed, dropped, self.census() if dropped else now)
        if resealed or dropped:
            self._note(before, done, actor, reason)
        return done

    def _note(self, before: Census, done: Resealed, actor: str, reason: str) -> None:
        after = {"resealed": done.resealed, "dropped": done.dropped, "old": done.now.old}
        self.audit.append(AuditEvent(self.clock(), actor, "secrets.rotate", None, reason, {"old": before.old}, after))

    def _values(self) -> Iterator[SealedValue]:
        for batch in self.store.batches():
            yield from batch

    def _one_pass(self, step: Step) -> int:
        resealed = 0
        for batch in self.store.batches():
            old = [value for value in batch if value.is_old]
            resealed += self.store.reseal(old) if old else 0
            step(len(batch))
        return resealed

    def _drop(self, census: Census) -> int:
        """Drop locked tokens; not while a tenant is locked too, for then a key is missing, and they can be saved."""
        if census.locked_tenants or not census.locked_tokens:
            return 0
        batches = self.store.batches()
        return sum(self.store.drop([each for each in batch if _is_locked_token(each)]) for batch in batches)


def _is_locked_token(value: SealedValue) -> bool:
    return value.holding is Holding.TOKEN and value.place is None
