"""Until when a thread's work must end."""

import threading
import time
from math import inf

import pytest

from bridge.deadline import at_most, begin, left_s, over, within


def test_without_one_there_is_all_the_time() -> None:
    assert left_s() == inf
    assert at_most(8) == 8


def test_what_is_within_ends_no_later_than_what_is_around() -> None:
    with within(5):
        with within(100):
            assert 4 < left_s() <= 5
        with within(1):
            assert left_s() <= 1
            assert at_most(0.2) == 0.2
        assert 4 < at_most(100) <= 5
    assert left_s() == inf


def test_time_that_is_up_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    token = begin(1)
    now = time.monotonic()
    monkeypatch.setattr("bridge.deadline.time.monotonic", lambda: now + 2)
    assert left_s() < 0
    assert at_most(8) == 0
    over(token)


def test_other_threads_have_their_own() -> None:
    seen: list[float] = []
    with within(5):
        other = threading.Thread(target=lambda: seen.append(left_s()))
        other.start()
        other.join()
    assert seen == [inf]
