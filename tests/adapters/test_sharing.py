"""People of one department do not hold their groups in memory once each."""

from bridge.adapters.sql.sharing import MOST, one_set


def test_equal_sets_of_groups_are_one() -> None:
    first = one_set(["Finance", "EMEA"])
    assert one_set(["EMEA", "Finance"]) is first
    assert one_set(["EMEA"]) == {"EMEA"}


def test_so_many_different_ones_are_remembered() -> None:
    first = one_set(["group of long ago"])
    for number in range(MOST):
        one_set([f"group {number}"])
    assert one_set(["group of long ago"]) == first
    assert one_set(["group of long ago"]) is not first
