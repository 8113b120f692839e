"""What rows say alike is not held in memory once each."""

from bridge.adapters.sql.sharing import MOST, one_set, one_subject


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


def test_a_session_and_a_record_that_say_the_same_are_of_one_subject() -> None:
    first = one_subject("alice", "Alice", "alice@example.com", ["EMEA", "Finance"])
    assert one_subject("alice", "Alice", "alice@example.com", ["Finance", "EMEA"]) is first


def test_whoever_is_known_differently_stays_another() -> None:
    facts = ("alice", "Alice", "alice@example.com", ["EMEA"])
    different = [
        one_subject("alice", "Alice B.", "alice@example.com", ["EMEA"]),
        one_subject("alice", "Alice", "", ["EMEA"]),
        one_subject("alice", "Alice", "alice@example.com", []),
        one_subject("Alice", "Alice", "alice@example.com", ["EMEA"]),
    ]
    assert len({one_subject(*facts), *different}) == 5
    assert different[2].groups == frozenset()
