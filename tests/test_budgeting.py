"""The budget in numbers."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.budgeting import SHARES, Account, Book, BudgetState, Lane, Limit, Spent

LIMIT = Limit()
NOW = 1_800_000_000.0


def book(*rows: Spent) -> Book:
    return Book(LIMIT, rows)


def test_qliks_limit_less_a_fifth() -> None:
    assert (LIMIT.calls, LIMIT.budget, LIMIT.slot_s) == (500, 400, 2.0)


@pytest.mark.parametrize("limit", [Limit(1, 1, 90), Limit(1, 300, 90)])
def test_the_smallest_budget_still_admits_one_person(limit: Limit) -> None:
    assert limit.budget >= 2
    assert all(Book(limit).room(lane, NOW) >= 2 for lane in Lane)


def test_lanes_are_in_order() -> None:
    assert [lane.value for lane in Lane] == ["page_open", "renewal", "pre_warm", "shadow"]
    assert Lane.PAGE_OPEN.outranks(Lane.SHADOW)
    assert not Lane.SHADOW.outranks(Lane.SHADOW)


class TestRoom:
    def test_of_an_empty_book_each_lane_has_its_share(self) -> None:
        assert [book().room(lane, NOW) for lane in Lane] == [400, 360, 300, 200]

    def test_a_lane_leaves_what_is_above_it(self) -> None:
        """Shares are of a lane and those below it together."""
        assert book(Spent(Lane.SHADOW, NOW - 200, 190)).room(Lane.PRE_WARM, NOW) == 110
        assert book(Spent(Lane.PRE_WARM, NOW - 200, 190)).room(Lane.SHADOW, NOW) == 200

    def test_a_slot_counts_until_its_last_call_has_left_the_window(self) -> None:
        full = book(Spent(Lane.PAGE_OPEN, NOW, 400))

        assert full.room(Lane.PAGE_OPEN, NOW + 303.9) == 0
        assert full.room(Lane.PAGE_OPEN, NOW + 304) == 400

    def test_what_higher_lanes_will_need_is_left_to_them(self) -> None:
        """70 in a minute are 350 in five: 50 may be taken, although 330 are left."""
        rising = book(Spent(Lane.PAGE_OPEN, NOW - 30, 70))

        assert rising.room(Lane.SHADOW, NOW) == 50
        assert rising.room(Lane.PAGE_OPEN, NOW) == 330

    def test_who_goes_on_as_ever_needs_no_more_than_what_they_have(self) -> None:
        steady = book(*(Spent(Lane.PAGE_OPEN, NOW - 5 * number, 2) for number in range(60)))

        assert steady.room(Lane.RENEWAL, NOW) == 280 - (5 * 13 * 2 - 120)

    def test_while_a_higher_lane_waits_lower_ones_get_nothing(self) -> None:
        """Up to a minute after they were told to come back."""
        waiting = book(Spent(Lane.RENEWAL, NOW + 200, refused=1))

        assert [waiting.room(lane, NOW) > 0 for lane in Lane] == [True, True, False, False]
        assert [waiting.room(Lane.SHADOW, NOW + 200 + after_s) > 0 for after_s in (0, 61, 62)] == [False, False, True]

    def test_a_clock_gone_back_starves_nobody(self) -> None:
        """What was spent an hour later by the old clock does not count; what is told to come back soon does."""
        ahead = book(Spent(Lane.PAGE_OPEN, NOW + 3600, 400), Spent(Lane.RENEWAL, NOW + 3600, refused=9))

        assert [ahead.room(lane, NOW) for lane in Lane] == [400, 360, 300, 200]
        assert ahead.wait_s(Lane.SHADOW, 2, NOW) == 0
        assert book(Spent(Lane.PAGE_OPEN, NOW + 5, 400)).room(Lane.PAGE_OPEN, NOW) == 0, "another worker's clock"


class TestWait:
    def test_nobody_waits_while_there_is_room(self) -> None:
        assert book().wait_s(Lane.SHADOW, 2, NOW) == 0

    def test_it_is_the_time_until_enough_calls_leave_the_window(self) -> None:
        full = book(Spent(Lane.PAGE_OPEN, NOW - 100, 1), Spent(Lane.PAGE_OPEN, NOW - 50, 399))

        assert full.wait_s(Lane.PAGE_OPEN, 1, NOW) == 204
        assert full.wait_s(Lane.PAGE_OPEN, 2, NOW) == 254

    def test_lower_lanes_wait_until_the_rush_is_over(self) -> None:
        rush = book(Spent(Lane.PAGE_OPEN, NOW, 100))

        assert rush.wait_s(Lane.SHADOW, 2, NOW) == 62

    @given(
        st.lists(st.builds(Spent, st.sampled_from(Lane), st.integers(-70, 0).map(lambda n: NOW + 5 * n),
                           st.integers(0, 60), st.integers(0, 1)), max_size=12),
        st.sampled_from(Lane),
    )  # fmt: skip
    def test_after_the_wait_there_is_room_and_never_more_than_the_budget(
        self, rows: Sequence[Spent], lane: Lane
    ) -> None:
        kept = Book(LIMIT, rows)
        wait_s = kept.wait_s(lane, 2, NOW)

        assert kept.room(lane, NOW + wait_s) >= 2
        live = sum(row.calls for row in rows if row.slot + LIMIT.held_s > NOW)
        assert kept.room(lane, NOW) <= max(0, 400 - live)
        assert kept.room(lane, NOW) <= 400 * SHARES[lane] // 100


def test_a_state_tells_what_an_operator_asks() -> None:
    rows = (Spent(Lane.PAGE_OPEN, NOW, 100), Spent(Lane.SHADOW, NOW, 10, refused=2))
    document = BudgetState(Account("acme", "c"), book(*rows), NOW, {2: NOW + 42}, throttled=1).document()

    assert (document["limit"], document["budget"], document["spent"], document["left"]) == (500, 400, 110, 290)
    assert document["frozen_s"] == {"2": 42}
    assert document["lanes"][0] == {"lane": "page_open", "share": 400, "spent": 100, "refused": 0, "wait_s": 42}
    assert document["lanes"][3]["refused"] == 2


class TestTurns:
    """When calls become free one after the other, nobody spending meanwhile."""

    def test_they_come_as_they_were_spent(self) -> None:
        spent = [Spent(Lane.PAGE_OPEN, NOW, 4), Spent(Lane.PRE_WARM, NOW, 4), Spent(Lane.PAGE_OPEN, NOW + 60, 2)]
        freeing = book(*spent).freeing(NOW + 61)

        first = NOW + LIMIT.held_s
        assert freeing.turn(NOW, 4) == first + LIMIT.slot_s / 2
        assert freeing.turn(first + LIMIT.slot_s / 2, 4) == first + LIMIT.slot_s
        assert freeing.turn(NOW, 9) == first + 60 + LIMIT.slot_s / 2
        assert freeing.turn(first + 30, 1) == first + 60 + LIMIT.slot_s / 2

    def test_what_nobody_spent_yet_comes_as_fast_as_on_average(self) -> None:
        freeing = book(Spent(Lane.PAGE_OPEN, NOW, 1)).freeing(NOW)
        a_call_s = LIMIT.held_s / LIMIT.budget

        assert book().freeing(NOW).turn(NOW, 10) == NOW + 10 * a_call_s
        assert freeing.turn(NOW, 3) == NOW + LIMIT.held_s + LIMIT.slot_s + 2 * a_call_s
