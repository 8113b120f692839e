"""A run keeps its pace, waits when it is told to, and leaves out whom it cannot compare."""

from collections.abc import Callable

from fakes import FakeClock

from bridge.errors import BridgeError, NotAllowed, TenantThrottled, TenantUnavailable
from bridge.model import Identity, Subject
from bridge.services.parity_people import LeftOut
from bridge.services.parity_runs import TRIES, Pace, PacedRun


def people(*subs: str) -> list[Identity]:
    return [Identity(Subject(sub, sub, "", frozenset()), "test", "", 1.0) for sub in subs]


def walk(ask: Callable[[Identity], str], *subs: str) -> tuple[list[str | LeftOut], list[float]]:
    clock, naps = FakeClock(), list[float]()

    def sleep(seconds: float) -> None:
        naps.append(round(seconds, 3))
        clock.advance(seconds)

    return list(PacedRun(ask, Pace(30, clock, sleep)).over(people(*subs))), naps


def test_thirty_a_minute_means_two_seconds_each() -> None:
    found, naps = walk(lambda each: each.subject.sub, "ada", "bob", "carol")

    assert (found, naps) == (["ada", "bob", "carol"], [0, 2, 2])


def test_a_throttled_one_is_asked_again_when_it_is_time() -> None:
    failures: list[BridgeError] = [TenantThrottled(retry_after_s=13), TenantThrottled()]

    def ask(identity: Identity) -> str:
        if failures:
            raise failures.pop(0)
        return identity.subject.sub

    assert walk(ask, "ada") == (["ada"], [0, 13, 1])


def test_who_cannot_be_compared_is_left_out_with_the_reason() -> None:
    failures = {"ada": NotAllowed(), "bob": TenantUnavailable(), "carol": TenantThrottled(retry_after_s=1)}
    asked: list[str] = []

    def ask(identity: Identity) -> str:
        asked.append(identity.subject.sub)
        raise failures[identity.subject.sub]

    found, _ = walk(ask, "ada", "bob", "carol")

    left = [each for each in found if isinstance(each, LeftOut)]
    assert [(each.sub, each.why.partition(":")[0], each.is_upstream) for each in left] == [
        ("ada", "not_allowed", False),
        ("bob", "tenant_unavailable", True),
        ("carol", "tenant_throttled", True),
    ]
    assert asked.count("carol") == TRIES
