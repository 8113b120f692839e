"""The bounded queue: what it takes, what a failure costs, how it ends."""

import threading
from collections.abc import Iterator

import pytest

from bridge.errors import TenantTimeout
from bridge.services.background import Background

PATIENCE_S = 10


class Work:
    """Work that waits until it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.begun = threading.Semaphore(0)
        self.finished = threading.Semaphore(0)
        self.done: list[str] = []
        self.fail: list[Exception] = []

    def __call__(self, item: str) -> None:
        self.begun.release()
        assert self.may_go_on.wait(PATIENCE_S)
        self.done.append(item)
        self.finished.release()
        if self.fail:
            raise self.fail.pop(0)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.may_go_on.set()


def test_what_finds_no_room_is_not_taken(work: Work) -> None:
    background = Background("test", work, room=2)
    assert background.offer("one")
    assert work.begun.acquire(timeout=PATIENCE_S)

    assert [background.offer(item) for item in ("two", "three", "four")] == [True, True, False]
    assert background.waiting() == 2
    work.may_go_on.set()
    for _ in range(3):
        assert work.finished.acquire(timeout=PATIENCE_S)
    background.close()
    assert work.done == ["one", "two", "three"]


@pytest.mark.parametrize("problem", [TenantTimeout(), ValueError("a bug")])
def test_a_failure_costs_one_item(work: Work, problem: Exception) -> None:
    background = Background("test", work, room=5)
    work.fail = [problem]
    work.may_go_on.set()
    for item in ("one", "two"):
        background.offer(item)
        assert work.finished.acquire(timeout=PATIENCE_S)
    background.close()

    assert work.done == ["one", "two"]


def test_closing_drops_what_waits_and_a_later_offer_begins_anew(work: Work) -> None:
    background = Background("test", work, room=5)
    background.offer("one")
    background.offer("two")
    assert work.begun.acquire(timeout=PATIENCE_S)
    threading.Timer(0.05, work.may_go_on.set).start()
    background.close()
    background.close()
    assert work.done == ["one"]

    background.offer("three")
    assert work.finished.acquire(timeout=PATIENCE_S)
    assert work.finished.acquire(timeout=PATIENCE_S)
    background.close()
    assert work.done == ["one", "three"]


def test_a_rest_ends_when_it_is_closed() -> None:
    rested: list[bool] = []
    began = threading.Event()

    def rest(_: str) -> None:
        began.set()
        rested.append(background.pause(PATIENCE_S))

    background = Background("test", rest, room=1)
    background.offer("one")
    assert began.wait(PATIENCE_S)
    background.close()

    assert rested == [False]
