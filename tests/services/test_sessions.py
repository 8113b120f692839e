"""Sign-in sessions: how long they last, what is kept of them."""

import pytest
from fakes import START, FakeClock, FakeSessions
from samples import identity

from bridge.errors import StoreError
from bridge.services.sessions import IDLE_S, LIFETIME_S, Sessions


@pytest.fixture
def store() -> FakeSessions:
    return FakeSessions()


@pytest.fixture
def sessions(store: FakeSessions, clock: FakeClock) -> Sessions:
    return Sessions(store, clock)


def is_alive(sessions: Sessions, value: str) -> bool:
    return sessions.find(value) is not None


def test_an_open_session_is_found_with_its_person(sessions: Sessions) -> None:
    found = sessions.find(sessions.open(identity("alice", "A")))

    assert found is not None
    assert found.identity == identity("alice", "A")
    assert (found.created_at, found.seen_at) == (START, START)


def test_values_are_long_random_and_marked(sessions: Sessions) -> None:
    values = {sessions.open(identity()) for _ in range(10)}

    assert len(values) == 10
    assert all(value.startswith("qbs_") and len(value) >= 4 + 43 for value in values)


def test_the_value_is_never_stored(sessions: Sessions, store: FakeSessions) -> None:
    value = sessions.open(identity())

    assert value not in repr(store.rows)
    assert value.removeprefix("qbs_") not in repr(store.rows)


@pytest.mark.parametrize("foreign", ["", "qbs_", "qbs_unknown", "qbo_operator", "unknown", "qbs_é"])
def test_foreign_values_are_nobody(sessions: Sessions, foreign: str) -> None:
    sessions.open(identity())

    assert not is_alive(sessions, foreign)


def test_the_stored_digest_opens_nothing(sessions: Sessions, store: FakeSessions) -> None:
    sessions.open(identity())
    (kept,) = store.rows

    assert not is_alive(sessions, kept)
    assert not is_alive(sessions, f"qbs_{kept}")


def test_an_idle_session_ends_after_an_hour(sessions: Sessions, clock: FakeClock) -> None:
    value = sessions.open(identity())
    clock.advance(IDLE_S + 1)

    assert IDLE_S == 3600
    assert not is_alive(sessions, value)


def test_each_use_starts_the_hour_anew(sessions: Sessions, clock: FakeClock) -> None:
    value = sessions.open(identity())
    for _ in range(3):
        clock.advance(IDLE_S)
        assert is_alive(sessions, value)


def test_what_a_page_asks_by_itself_is_no_use(sessions: Sessions, clock: FakeClock) -> None:
    value = sessions.open(identity())
    clock.advance(IDLE_S)
    assert sessions.find(value, is_use=False)
    clock.advance(1)

    assert not is_alive(sessions, value)


def test_a_session_in_use_ends_after_eight_hours(sessions: Sessions, clock: FakeClock) -> None:
    value = sessions.open(identity())
    for _ in range(8):
        clock.advance(3600)
        assert is_alive(sessions, value)
    clock.advance(1)

    assert LIFETIME_S == 8 * 3600
    assert not is_alive(sessions, value)


def test_an_ended_session_is_not_brought_back_by_being_asked_for(sessions: Sessions, clock: FakeClock) -> None:
    value = sessions.open(identity())
    clock.advance(IDLE_S + 1)
    is_alive(sessions, value)

    assert not is_alive(sessions, value)


def test_a_closed_session_is_gone_and_the_others_stay(sessions: Sessions) -> None:
    mine, other = sessions.open(identity()), sessions.open(identity("bob"))
    sessions.end(mine)
    sessions.end(mine)
    sessions.end("qbs_unknown")

    assert not is_alive(sessions, mine)
    assert is_alive(sessions, other)


def test_ended_rows_are_removed_with_the_next_sign_in(
    sessions: Sessions, store: FakeSessions, clock: FakeClock
) -> None:
    sessions.open(identity())
    clock.advance(IDLE_S + 1)
    sessions.open(identity("bob"))

    assert [row.identity.subject.sub for row in store.rows.values()] == ["bob"]


def test_a_store_that_is_away_signs_nobody_in(sessions: Sessions, store: FakeSessions) -> None:
    value = sessions.open(identity())
    store.broken = True

    for action in (lambda: sessions.open(identity()), lambda: sessions.find(value), lambda: sessions.end(value)):
        with pytest.raises(StoreError):
            action()


def test_a_use_is_written_later_and_once_a_minute(sessions: Sessions, store: FakeSessions, clock: FakeClock) -> None:
    value = sessions.open(identity())
    (row,) = store.rows
    for _ in range(3):
        clock.advance(60)
        assert [is_alive(sessions, value) for _ in range(5)] == [True] * 5
    assert store.rows[row].seen_at == START, "no request waits for a write"

    sessions.flush()

    assert store.rows[row].seen_at == START + 180
    clock.advance(59)
    is_alive(sessions, value)
    sessions.flush()
    assert store.rows[row].seen_at == START + 180


def test_a_use_that_could_not_be_written_is_written_next_time(
    sessions: Sessions, store: FakeSessions, clock: FakeClock
) -> None:
    value = sessions.open(identity())
    (row,) = store.rows
    clock.advance(60)
    is_alive(sessions, value)
    store.broken = True
    with pytest.raises(StoreError):
        sessions.flush()
    sessions.close()
    store.broken = False

    sessions.close()

    assert store.rows[row].seen_at == START + 60


def test_a_session_that_ended_meanwhile_stays_gone(sessions: Sessions, store: FakeSessions, clock: FakeClock) -> None:
    value = sessions.open(identity())
    clock.advance(60)
    is_alive(sessions, value)
    sessions.end(value)

    sessions.flush()

    assert store.rows == {}
