"""The morning that is worked out, against the one that was simulated call by call: 100 calls a minute, no margin."""

from statistics import NormalDist

import pytest

from bridge.budgeting import Limit
from bridge.services.rush import Rush, rush, rushes

WHOLE = Limit(margin_percent=0)
CROWD = 10_000
AT_ONCE = [0.0] * CROWD
SPREAD = sorted(NormalDist(0, 5 * 60).inv_cdf((number + 0.5) / CROWD) for number in range(CROWD))


@pytest.mark.parametrize(
    ("calls", "kept_percent", "at_once", "spread"),
    [
        (2, 0, (105, 195, 195), (90, 168, 172)),
        (1, 0, (50, 95, 95), (35, 72, 76)),
        (1, 80, (0, 15, 20), (0, 1, 4)),
        (1, 95, (0, 0, 5), (0, 0, 0)),
        (1, 99, (0, 0, 0), (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("arrivals", [AT_ONCE, SPREAD], ids=["at once", "spread"])
def test_ten_thousand_at_nine(
    arrivals: list[float], calls: int, kept_percent: int, at_once: tuple[int, ...], spread: tuple[int, ...]
) -> None:
    """In minutes; a window more or less, because ours serves whole people, and holds a slot a little longer."""
    found = rush(arrivals, calls, kept_percent, WHOLE)

    expected = at_once if arrivals is AT_ONCE else spread
    for ours, theirs in zip((found.p50_s, found.p95_s, found.max_s), expected, strict=True):
        assert ours / 60 == pytest.approx(theirs, rel=0.05, abs=5.5)


def test_whoever_fits_waits_for_nobody() -> None:
    assert rushes(200, 0, Limit())[0] == Rush(2, 0, 0, 0, 0)
    assert rushes(201, 0, Limit())[0].max_s == 310


def test_every_variant_is_told() -> None:
    told = [each.document() for each in rushes(5_000, 60, Limit())]

    assert [(each["calls"], each["kept_percent"]) for each in told] == [
        (calls, kept) for calls in (2, 1) for kept in (0, 50, 80, 95)
    ]
    assert told[0]["max_s"] > told[1]["max_s"] > told[2]["max_s"] == 0
    assert told[0]["p50_s"] < told[0]["p95_s"] <= told[0]["max_s"]


def test_one_person_is_a_crowd() -> None:
    assert rushes(1, 0, Limit(1, 1, 90))[0].max_s == 0
