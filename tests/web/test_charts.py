"""Where a chart puts what it shows."""

import pytest

from bridge.web.charts import (
    LABEL_GAP,
    Drawing,
    Frame,
    Marks,
    Panel,
    Trace,
    compact,
    draw,
    is_known,
    spread,
    ticks_up_to,
)

FRAME = Frame(width=100, left=0, right=0, top=0)


def drawing(*values: list[int | None], marks: Marks = Marks.COLUMNS, limit: int | None = None) -> Drawing:
    traces = [Trace(f"t{number}", "full", each) for number, each in enumerate(values)]
    return draw([Panel(marks, traces, 100, limit)], [""] * len(values[0]), FRAME)


# --- scale -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (5, [0, 2, 4, 6]),
        (9, [0, 5, 10]),
        (97, [0, 50, 100]),
        (1204, [0, 500, 1000, 1500]),
        (6000, [0, 2000, 4000, 6000]),
        (10**15, [0, 5 * 10**14, 10**15]),
    ],
)
def test_ticks_are_few_and_round(top: int, ticks: list[int]) -> None:
    assert list(ticks_up_to(top)) == ticks


def test_ticks_reach_the_top() -> None:
    scales = {top: ticks_up_to(top) for top in range(2000)}

    assert {top for top, ticks in scales.items() if ticks[-1] < top or not 2 <= len(ticks) <= 5} == set()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (1204, "1,204"),
        (9999, "9,999"),
        (12_345, "12.3k"),
        (999_999, "1,000k"),
        (4_000_000, "4M"),
        (10**15, "1,000T"),
    ],
)
def test_long_numbers_are_shortened(number: int, text: str) -> None:
    assert compact(number) == text


def test_where_no_number_has_room_the_highest_value_fills_the_panel() -> None:
    low = draw([Panel(Marks.COLUMNS, [Trace("t", "full", [1240, 7])], 28)], ["", ""], FRAME).panels[0]

    assert (low.columns[0].y, low.columns[0].height) == (0, 28)
    assert [list(ticks_up_to(top, 0)) for top in (0, 7)] == [[0, 1], [0, 7]]


# --- columns ---------------------------------------------------------------------------------------------


def test_a_stack_stands_on_the_ground_and_reaches_its_sum() -> None:
    low, high = drawing([30], [70]).panels[0].columns

    assert (low.y, low.height, high.y, high.height) == (70, 30, 0, 70)
    assert low.x == high.x
    assert 0 < low.x < low.x + low.width < 100


def test_what_is_not_known_is_a_gap_and_zero_is_not() -> None:
    panel = drawing([None, None, 0, 4], [None, None, None, 2]).panels[0]

    assert [(each.x, each.width) for each in panel.gaps] == [(0, 50)]
    assert [each.x > 75 for each in panel.columns] == [True, True]


def test_the_slot_that_goes_on_is_marked() -> None:
    assert [each.is_running for each in drawing([1, 1, 1]).panels[0].columns] == [False, False, True]


def test_one_among_thousands_is_seen() -> None:
    most, one = drawing([100_000], [1]).panels[0].columns

    assert one.height == 1.5
    assert one.y == pytest.approx(most.y - 1.5)


@pytest.mark.parametrize("marks", Marks)
@pytest.mark.parametrize("values", [[0, 0, 0], [None, None, None], [None, 0, None], [10**18, 0, 1]])
def test_nothing_leaves_the_panel(marks: Marks, values: list[int | None]) -> None:
    found = drawing(values, marks=marks)
    panel = found.panels[0]

    assert found.height == 124
    assert all(0 <= tick.at <= 100 for tick in panel.ticks)
    assert all(each.y >= 0 and each.y + each.height <= 100.1 for each in panel.columns)
    assert all(0 <= float(each.split(",")[1]) <= 100 for line in panel.lines for each in line.points.split())


# --- lines -----------------------------------------------------------------------------------------------


def test_lines_break_where_nothing_is_known() -> None:
    panel = drawing([4, 4, None, 0], marks=Marks.LINES).panels[0]

    assert [line.points for line in panel.lines] == ["12.5,0 37.5,0", "87.5,100"]


def test_without_a_known_value_there_is_nothing_to_draw() -> None:
    nothing = drawing([None, None], marks=Marks.LINES)

    assert not is_known([Trace("t", "full", [None, None])])
    assert is_known([Trace("t", "full", [None, 0])])
    assert (nothing.panels[0].lines, nothing.panels[0].labels) == ([], [])
    assert draw([Panel(Marks.LINES, [Trace("t", "full", [])])], []).panels[0].lines == []


# --- limits and labels -----------------------------------------------------------------------------------


def test_a_limit_within_reach_is_on_the_scale() -> None:
    panel = drawing([1000], limit=6000).panels[0]

    assert panel.limit is not None
    assert (panel.limit.at, panel.limit.label, panel.limit_above) == (40, "6,000", "")


def test_a_limit_far_away_flattens_nothing() -> None:
    panel = drawing([12], limit=6000).panels[0]

    assert (panel.limit, panel.limit_above, panel.ticks[-1].label) == (None, "6,000", "20")


def test_each_trace_is_named_beside_its_last_known_value() -> None:
    labels = drawing([0, 10, None], [0, 10, None], marks=Marks.LINES).panels[0].labels

    assert [(each.name, each.value) for each in labels] == [("t0", "10"), ("t1", "10")]
    assert labels[1].y - labels[0].y == LABEL_GAP


def test_labels_of_a_stack_come_from_top_to_bottom() -> None:
    assert [each.name for each in drawing([10], [90]).panels[0].labels] == ["t1", "t0"]


def test_places_are_spread_between_their_bounds() -> None:
    assert spread([5, 6, 7], 0, 100, 10) == [5, 15, 25]
    assert spread([95, 99], 0, 100, 10) == [90, 100]
    assert spread([-5], 0, 100) == [0]
    assert spread([], 0, 100) == []


def test_panels_stand_above_each_other() -> None:
    panels = [Panel(Marks.COLUMNS, [Trace("t", "full", [1, 2])], height) for height in (100, 40)]
    found = draw(panels, ["00:00", ""], FRAME)

    assert [(each.top, each.bottom) for each in found.panels] == [(0, 100), (116, 156)]
    assert [(tick.at, tick.label) for tick in found.times] == [(25, "00:00")]
    assert found.height == 180
