"""The morning that is worked out, against one that is served person by person, and one simulated call by call."""

import sys
from collections.abc import Callable, Sequence
from statistics import NormalDist
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.budgeting import Limit
from bridge.services.rush import ONE_IN, Rush, rush, rushes

WHOLE = Limit(margin_percent=0)
CROWD = 10_000
AT_ONCE = [0.0] * CROWD
SPREAD = sorted(NormalDist(0, 5 * 60).inv_cdf((number + 0.5) / CROWD) for number in range(CROWD))


def served(arrivals: Sequence[float], calls: int, one_in: int, limit: Limit) -> tuple[float, float, float]:
    """Serve them one by one as they come (seconds, in order), as soon as the window has room."""
    room, turns, waits = max(1, limit.budget // calls), list[float](), list[float]()
    for number, at in enumerate(arrivals):
        if number % one_in:
            waits.append(0)
            continue
        turn = max(at, turns[-room] + limit.held_s) if len(turns) >= room else at
        turns.append(turn)
        waits.append(turn - at)
    waits.sort()
    median, late, last = (waits[min(len(waits) - 1, len(waits) * percent // 100)] for percent in (50, 95, 100))
    return median, late, last


@pytest.mark.parametrize(
    ("calls", "one_in", "at_once", "spread"),
    [
        (2, 1, (105, 195, 195), (90, 168, 172)),
        (1, 1, (50, 95, 95), (35, 72, 76)),
        (1, 5, (0, 15, 20), (0, 1, 4)),
        (1, 20, (0, 0, 5), (0, 0, 0)),
        (1, 100, (0, 0, 0), (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("arrivals", [AT_ONCE, SPREAD], ids=["at once", "spread"])
def test_ten_thousand_at_nine(
    arrivals: list[float], calls: int, one_in: int, at_once: tuple[int, ...], spread: tuple[int, ...]
) -> None:
    """In minutes; a window more or less, because ours serves whole people, and holds a slot a little longer."""
    expected = at_once if arrivals is AT_ONCE else spread

    for ours, theirs in zip(served(arrivals, calls, one_in, WHOLE), expected, strict=True):
        assert ours / 60 == pytest.approx(theirs, rel=0.05, abs=5.5)


@given(
    st.integers(1, 3000), st.sampled_from([0, 0.5, 7, 31, 60, 1440]), st.sampled_from([1, 2]), st.sampled_from(ONE_IN)
)
@pytest.mark.parametrize("limit", [Limit(), Limit(1, 60, 0)])
def test_it_is_what_serving_them_one_by_one_gives(
    limit: Limit, people: int, minutes: float, calls: int, one_in: int
) -> None:
    found = rush(people, minutes, calls, one_in, limit)

    one_by_one = served([60 * minutes * number / people for number in range(people)], calls, one_in, limit)
    assert (found.p50_s, found.p95_s, found.max_s) == pytest.approx(one_by_one, abs=0.01)


def test_the_largest_crowd_costs_no_more_than_the_smallest() -> None:
    """A viewer may ask for it in every request: it is worked out, not walked through."""
    lines = list[int]()

    def count(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        lines.extend([frame.f_lineno] if event == "line" else ())
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        rushes(100_000, 1440, Limit())
    finally:
        sys.settrace(before)

    assert 0 < len(lines) < 1000


def test_whoever_fits_waits_for_nobody() -> None:
    assert rushes(200, 0, Limit())[0] == Rush(2, 0, 0, 0, 0)
    assert rushes(201, 0, Limit())[0].max_s == 304


def test_every_variant_is_told() -> None:
    told = [each.document() for each in rushes(5_000, 60, Limit())]

    assert [(each["calls"], each["kept_percent"]) for each in told] == [
        (calls, kept) for calls in (2, 1) for kept in (0, 50, 80, 95)
    ]
    assert told[0]["max_s"] > told[1]["max_s"] > told[2]["max_s"] == 0
    assert told[0]["p50_s"] < told[0]["p95_s"] <= told[0]["max_s"]


def test_one_person_is_a_crowd() -> None:
    assert rushes(1, 0, Limit(1, 1, 90))[0].max_s == 0
