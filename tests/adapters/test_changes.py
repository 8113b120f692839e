"""A change about one person leaves the copies of everybody else where they are, in every worker."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeClock
from sqlalchemy import delete, func, select, update
from stores import Stores, cached_stores

from bridge.adapters.cached import RevisionWatch
from bridge.adapters.sql import Database
from bridge.adapters.sql import database as module
from bridge.adapters.sql.database import bump
from bridge.adapters.sql.tables import CHANGES, REVISION, SESSIONS, SUBJECTS, TOKENS
from bridge.adapters.vault import Vault
from bridge.errors import StoreError
from bridge.model import AuditEvent, Identity, IssuedToken, Rollout, Session, Subject, Tenant, TokenKey

PEOPLE = ("alice", "bob")
GONE: dict[str, Any] = {"session": None, "subject": None, "token": None}


def subject(sub: str) -> Subject:
    return Subject(sub, sub.title(), "", frozenset({"Finance"}))


def key(sub: str) -> TokenKey:
    return TokenKey("acme", "client", sub, "user_default", "r1")


class Workers:
    """Two workers that hold copies of Alice and Bob, whose rows then vanish without a word."""

    def __init__(self, database: Database, vault: Vault, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock
        self.here, self.there = (cached_stores(database, vault, clock) for _ in range(2))
        for sub in PEOPLE:
            identity = Identity(subject(sub), "demo", "demo", 1)
            self.here.sessions.add(Session(sub, identity, clock(), clock()))
            self.here.subjects.note("acme", subject(sub), 1)
            self.here.tokens.put(IssuedToken(key(sub), sub, "value", "", clock(), clock() + 21_600))
            for workers in (self.here, self.there):
                assert None not in held(workers, sub).values()

    def vanish(self, *tables: Any) -> None:  # noqa: ANN401 - tables
        with self.database.writing() as connection:
            for table in tables or (SESSIONS, SUBJECTS, TOKENS):
                connection.execute(delete(table))

    def kept(self, stores: Stores) -> set[str]:
        """Return whose copies a worker still has, all of them."""
        self.clock.advance(0.25)
        return {sub for sub in PEOPLE if None not in held(stores, sub).values()}


def held(stores: Stores, sub: str) -> dict[str, object]:
    return {
        "session": stores.sessions.get(sub),
        "subject": stores.subjects.get("acme", sub),
        "token": stores.tokens.get(key(sub)),
    }


@pytest.fixture
def workers(database: Database, vault: Vault, clock: FakeClock) -> Workers:
    return Workers(database, vault, clock)


CHANGES_OF_BOB: dict[str, Callable[[Stores], object]] = {
    "sign-out": lambda stores: stores.sessions.remove("bob"),
    "tokens ended": lambda stores: stores.tokens.doom(tenant="acme", sub="bob"),
    "tokens ended everywhere": lambda stores: stores.tokens.doom(sub="bob"),
    "sync forgotten": lambda stores: stores.subjects.note_unclear_sync("acme", subject("bob")),
    "other facts": lambda stores: stores.subjects.note("acme", replace(subject("bob"), name="Robert"), 2),
    "facts of a newer session": lambda stores: stores.sessions.add(
        Session("newer", Identity(replace(subject("bob"), name="Robert"), "demo", "demo", 2), 2, 2)
    ),
}


@pytest.mark.parametrize("change", CHANGES_OF_BOB.values(), ids=CHANGES_OF_BOB)
def test_a_change_about_bob_reaches_every_worker_and_no_copy_of_alice(
    workers: Workers, change: Callable[[Stores], object]
) -> None:
    change(workers.here)
    workers.vanish()

    assert workers.kept(workers.there) == {"alice"}
    assert held(workers.there, "bob") == GONE


def test_a_token_that_was_dropped_is_gone_in_every_worker(workers: Workers) -> None:
    token = workers.here.tokens.get(key("bob"))
    assert token is not None
    workers.here.tokens.drop(token)
    workers.vanish()

    assert workers.kept(workers.there) == {"alice"}


def test_what_is_about_more_than_one_person_empties_all(workers: Workers, acme: Tenant, event: AuditEvent) -> None:
    workers.here.sessions.remove("bob")
    workers.here.tenants.save(acme, starting_at=Rollout(), event=event)
    workers.vanish()

    assert workers.kept(workers.there) == set()


def test_the_tokens_of_a_whole_tenant_leave_nobodys_copy(workers: Workers) -> None:
    workers.here.tokens.doom(tenant="acme")
    workers.vanish()

    assert workers.kept(workers.there) == set()


def test_a_worker_of_an_older_version_does_not_say_whom(workers: Workers) -> None:
    workers.here.sessions.remove("bob")
    with workers.database.writing() as connection:
        bump(connection)
    workers.vanish()

    assert workers.kept(workers.there) == set()


def test_who_missed_too_many_forgets_all(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHANGES_KEPT", 3)
    with workers.database.writing() as connection:
        for _ in range(4):
            bump(connection, "bob")
        assert connection.execute(select(func.count()).select_from(CHANGES)).scalar() == 3, "older ones are swept"
    workers.vanish()

    assert workers.kept(workers.there) == set()


def test_a_counter_that_went_back_is_another_database(workers: Workers) -> None:
    workers.here.sessions.remove("bob")
    workers.kept(workers.there)
    workers.there.subjects.get("acme", "alice")
    with workers.database.writing() as connection:
        connection.execute(update(REVISION).values(counter=0))
    workers.vanish()

    assert workers.kept(workers.there) == set()


def test_after_an_outage_everybody_is_forgotten(clock: FakeClock) -> None:
    revision, told = [1], list[object]()
    watch = RevisionWatch(lambda: revision[0], clock, lambda since, until: {f"{since}-{until}"})
    watch.on_change(told.append)
    broken = RevisionWatch(_failing(watch_reads := iter([1, StoreError(), 2, 3])), clock, lambda *_: {"bob"})
    broken.on_change(told.append)

    watch.look()
    clock.advance(1)
    revision[0] = 2
    watch.look()
    assert told == [None, {"1-2"}]

    told.clear()
    for _ in range(4):
        broken.look()
        clock.advance(1)
    assert told == [None, None, {"bob"}]
    assert list(watch_reads) == []


def _failing(answers: Any) -> Callable[[], int]:  # noqa: ANN401 - an iterator of both
    def read() -> int:
        answer = next(answers)
        if isinstance(answer, StoreError):
            raise answer
        return int(answer)

    return read
