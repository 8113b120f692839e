"""The contract of ports.SessionStore, over every implementation."""

from dataclasses import replace

import pytest
from stores import Stores

from bridge.model import Identity, Session, Subject

ALICE = Subject("o'neil\"\\", "Älice", "", frozenset(f"group {number}" for number in range(300)))


@pytest.fixture
def session() -> Session:
    return Session("hash-1", Identity(ALICE, "assertion", "portal", 5.25, "acme"), 1000.5, 1000.5)


def test_a_session_comes_back_whole(stores: Stores, session: Session) -> None:
    assert stores.sessions.get("hash-1") is None
    stores.sessions.add(session)
    assert stores.sessions.get("hash-1") == session
    assert stores.sessions.get("HASH-1") is None


def test_an_identity_for_any_tenant(stores: Stores, session: Session) -> None:
    anywhere = replace(session, identity=replace(session.identity, tenant=None))
    stores.sessions.add(anywhere)
    assert stores.sessions.get("hash-1") == anywhere


def test_older_sessions_of_the_same_person_learn_newer_facts(stores: Stores, session: Session) -> None:
    fewer = replace(session.identity, subject=replace(ALICE, groups=frozenset({"A"})), asserted_at=6.5)
    others = {
        "bob": replace(session.identity, subject=replace(ALICE, sub="bob")),
        "elsewhere": replace(session.identity, tenant=None),
        "proxy": replace(session.identity, source="header"),
    }
    stores.sessions.add(session)
    for name, identity in others.items():
        stores.sessions.add(replace(session, id_hash=name, identity=identity))
    stores.sessions.get("hash-1")
    stores.sessions.add(replace(session, id_hash="hash-2", identity=fewer))

    assert stores.sessions.get("hash-1") == replace(session, identity=fewer)
    for name, identity in others.items():
        assert stores.sessions.get(name) == replace(session, id_hash=name, identity=identity)

    stores.sessions.add(replace(session, id_hash="hash-3"))
    assert stores.sessions.get("hash-1") == replace(session, identity=fewer)


def test_only_what_is_new_is_told(stores: Stores, session: Session) -> None:
    again = replace(session.identity, asserted_at=6.5)
    fewer = replace(session.identity, subject=replace(ALICE, groups=frozenset()), asserted_at=7.5)
    assert stores.sessions.add(session) is False
    assert stores.sessions.add(replace(session, id_hash="hash-2", identity=again)) is False
    assert stores.sessions.add(replace(session, id_hash="hash-3", identity=fewer)) is True
    assert stores.sessions.get("hash-1") == replace(session, identity=fewer)


def test_a_touch_is_remembered(stores: Stores, session: Session) -> None:
    stores.sessions.add(session)
    stores.sessions.touch({"hash-1": 1100.5, "nobody": 1100.5})
    assert stores.sessions.get("hash-1") == replace(session, seen_at=1100.5)
    stores.sessions.touch({"hash-1": 1090})
    assert stores.sessions.get("hash-1") == replace(session, seen_at=1100.5), "a late word takes nothing back"
    assert stores.sessions.get("nobody") is None


def test_a_removed_session_is_gone(stores: Stores, session: Session) -> None:
    stores.sessions.add(session)
    stores.sessions.get("hash-1")
    stores.sessions.remove("hash-1")
    stores.sessions.remove("hash-1")
    assert stores.sessions.get("hash-1") is None


def test_old_and_idle_sessions_are_removed(stores: Stores, session: Session) -> None:
    for name, created_at, seen_at in [("old", 10, 2000), ("idle", 500, 500), ("fresh", 500, 2000)]:
        stores.sessions.add(replace(session, id_hash=name, created_at=created_at, seen_at=seen_at))
    assert stores.sessions.remove_older(created_before=100, seen_before=1000) is False
    left = [name for name in ("old", "idle", "fresh") if stores.sessions.get(name)]
    assert left == ["fresh"]
