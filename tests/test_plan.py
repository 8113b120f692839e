"""Ramps as people write them, and when their steps are due."""

import pytest
from fakes import START
from hypothesis import given
from hypothesis import strategies as st

from bridge.plan import LONGEST_HOLD_S, Pause, Ramp, RampStep, checked_steps, read_steps

EXAMPLE = "5 % for 1 h, 25 % for 1 day, 100 %"
STEPS = (RampStep(5, 3_600), RampStep(25, 86_400), RampStep(100))
PERCENTS = st.lists(st.integers(1, 10_000), min_size=1, max_size=8, unique=True).map(sorted)


class TestText:
    @pytest.mark.parametrize(
        ("text", "steps"),
        [
            (EXAMPLE, STEPS),
            ("5% for 60min,25%for 24 hours , 100%", STEPS),
            ("5 for 3600 s, 25 for 1d, 100", STEPS),
            ("5 %  FOR 1 Hour,\n25 % for 1 Days, 100 %", STEPS),
            ("0.5 % for 1.5 h, 12.25 %", (RampStep(0.5, 5_400), RampStep(12.25))),
            ("100 %", (RampStep(100),)),
        ],
    )
    def test_is_read(self, text: str, steps: tuple[RampStep, ...]) -> None:
        assert read_steps(text) == steps

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("", "write at least one step, as in `5 % for 1 h"),
            (" , ", "write at least one step, as in `5 % for 1 h"),
            ("5 % for 1 h,, 100 %", "there is an empty step; write them as in `5 % for 1 h"),
            ("5 % for 1 h, 100 %,", "there is an empty step; write them as in `5 % for 1 h"),
            ("5 % for 1 fortnight, 100 %", "`5 % for 1 fortnight` is no step"),
            ("-5 % for 1 h, 100 %", "`-5 % for 1 h` is no step"),
            ("5 %, 100 %", "5 % needs a time to hold"),
            ("2,5 % for 1 h, 100 %", "2 % needs a time to hold"),
            ("5 % for 0 s, 100 %", "5 % needs a time to hold"),
            ("5 % for 1 h", "5 % for 1 h is the last step"),
            ("25 % for 1 h, 25 % for 1 h, 100 %", "25 % does not rise"),
            ("25 % for 1 h, 5 %", "5 % does not rise"),
            ("0 % for 1 h, 100 %", "0 % is not above 0"),
            ("50 % for 1 h, 101 %", "101 % is not above 0, at most 100"),
            ("0.001 % for 1 h, 100 %", "of two decimals"),
            ("5 % for 99 weeks, 100 %", "holds longer than a year"),
            (", ".join(["1 % for 1 s"] * 51), "1 to 50 steps"),
        ],
    )
    def test_a_mistake_is_named(self, text: str, mistake: str) -> None:
        with pytest.raises(ValueError, match=mistake):
            read_steps(text)

    def test_every_mistake_is_named(self) -> None:
        with pytest.raises(ValueError, match="`x`, `5 % for 1 year` is no step"):
            read_steps("x, 5 % for 1 year, 100 %")
        with pytest.raises(ValueError, match=r"needs a time.*holds for good.*does not rise"):
            read_steps("5 %, 5 % for 1 h")

    @given(PERCENTS, st.lists(st.integers(1, LONGEST_HOLD_S), min_size=8, max_size=8))
    def test_what_is_printed_reads_back(self, hundredths: list[int], holds: list[int]) -> None:
        steps = [RampStep(each / 100, hold) for each, hold in zip(hundredths, holds, strict=False)]
        steps[-1] = RampStep(hundredths[-1] / 100)

        assert read_steps(str(Ramp(checked_steps(steps)))) == tuple(steps)

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(1, "1 s"), (90, "90 s"), (5_400, "90 min"), (7_200, "2 h"), (172_800, "2 days"), (604_800, "1 week")],
    )
    def test_a_time_is_printed_in_its_largest_whole_unit(self, seconds: int, text: str) -> None:
        assert str(RampStep(5, seconds)) == f"5 % for {text}"


class TestTime:
    def test_the_first_step_is_due_at_once_and_each_other_after_its_hold(self) -> None:
        ramp = Ramp(STEPS, since=START)

        first = ramp.stepped(START + 5)

        assert ramp.is_due(START)
        assert first
        assert first.next_step == STEPS[1]
        assert not first.is_due(START + 5 + 3_599)
        assert first.is_due(START + 5 + 3_600)

    def test_after_the_last_step_there_is_no_ramp(self) -> None:
        assert Ramp(STEPS, taken=2, since=START).stepped(START) is None

    def test_a_pause_stops_the_hold_and_the_rest_of_it_is_held_after(self) -> None:
        running = Ramp(STEPS, taken=1, since=START)
        paused = Ramp(STEPS, 1, START, Pause("erin", "lunch", START + 600))

        resumed = paused.resumed(START + 10_000)

        assert paused.next_at is None
        assert not paused.is_due(START + 1e9)
        assert resumed.next_at == START + 10_000 + 3_000
        assert running.resumed(START + 10_000) == running

    def test_its_document_is_for_people_and_machines(self) -> None:
        paused = Ramp(STEPS, 1, START, Pause("erin", "lunch", START))

        assert paused.document() == {
            "text": EXAMPLE,
            "steps": [
                {"percent": 5, "hold_s": 3_600},
                {"percent": 25, "hold_s": 86_400},
                {"percent": 100, "hold_s": 0},
            ],
            "taken": 1,
            "since": "2027-01-15T08:00:00Z",
            "next_at": None,
            "pause": {"actor": "erin", "reason": "lunch", "at": "2027-01-15T08:00:00Z"},
            "wait": None,
        }
        assert Ramp(STEPS, 1, START).document()["next_at"] == "2027-01-15T09:00:00Z"
