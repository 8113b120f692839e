"""A change of the encryption key."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes import FakeAudit, FakeClock, FakeSealedValues

from bridge.sealing import Census, Holding, Resealed, SealedValue
from bridge.services.sealing import PASSES, Resealing


def token(name: str, place: int | None) -> SealedValue:
    return SealedValue(Holding.TOKEN, name, name, b"sealed", place)


def secrets(slug: str, place: int | None) -> SealedValue:
    return SealedValue(Holding.SECRETS, slug, slug, b"sealed", place)


class Change:
    """A change of key over a fake store."""

    def __init__(self, *values: SealedValue, store: FakeSealedValues | None = None) -> None:
        self.store = store or FakeSealedValues(*values)
        self.audit = FakeAudit()
        self.service = Resealing(self.store, self.audit, FakeClock())
        self.steps: list[int] = []

    def run(self) -> Resealed:
        return self.service.run(actor="cli:erin", reason="yearly", step=self.steps.append)


def test_everything_is_sealed_with_the_first_key_and_the_old_one_may_go() -> None:
    change = Change(token("a", 1), token("b", 0), secrets("acme", 1))
    assert change.service.census().idle_keys == []
    done = change.run()
    assert (done.resealed, done.dropped, done.now) == (2, 0, Census((3, 0)))
    assert done.now.idle_keys == [1]
    assert sum(change.steps) == 3
    (event,) = change.audit.events
    assert (event.actor, event.action, event.tenant, event.reason) == ("cli:erin", "secrets.rotate", None, "yearly")
    assert (event.before, event.after) == ({"old": 2}, {"resealed": 2, "dropped": 0, "old": 0})


def test_a_second_run_does_nothing_and_leaves_no_event() -> None:
    change = Change(token("a", 1))
    change.run()
    assert change.run().resealed == 0
    assert len(change.audit.events) == 1


def test_what_was_interrupted_goes_on() -> None:
    class Killed(FakeSealedValues):
        """Ends the process at the third value."""

        left = 2

        def reseal(self, values: Sequence[SealedValue]) -> int:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            return super().reseal(values)

    store = Killed(*(token(str(number), 1) for number in range(5)))
    change = Change(store=store)
    with pytest.raises(KeyboardInterrupt):
        change.run()
    assert change.service.census() == Census((2, 3))
    store.left = 9
    assert change.run().resealed == 3
    assert change.service.census() == Census((5, 0))


def test_locked_tokens_are_dropped_and_the_others_go_on() -> None:
    change = Change(token("a", 1), token("lost", None), secrets("acme", 1))
    done = change.run()
    assert (done.resealed, done.dropped, done.now) == (2, 1, Census((2, 0)))


def test_while_a_tenant_is_locked_too_no_token_is_dropped() -> None:
    """It looks as if a key were missing from the list: with it, ten thousand tokens open again."""
    change = Change(token("a", 1), token("b", None), secrets("acme", None), secrets("globex", 1))
    done = change.run()
    assert (done.resealed, done.dropped) == (2, 0)
    assert (done.now.locked_tenants, done.now.locked_tokens) == (("acme",), ("b",))


def test_a_worker_that_seals_with_the_old_key_is_told_and_does_not_hold_us_for_ever() -> None:
    class Written(FakeSealedValues):
        """A worker with the old key in front seals each value again at once."""

        passes = 0

        def reseal(self, values: Sequence[SealedValue]) -> int:
            done = super().reseal(values)
            self.passes += 1
            for value in values:
                self.values[value.holding, value.row] = replace(value, sealed=value.sealed + b"!")
            return done

    store = Written(token("a", 1))
    done = Change(store=store).run()
    assert store.passes == PASSES
    assert (done.now.old, done.now.idle_keys) == (1, [])
