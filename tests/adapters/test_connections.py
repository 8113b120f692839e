"""A process opens so many connections at most; threads that find none free wait, and no longer than they should."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from fakes import START, FakeClock
from questions import everything
from sqlalchemy import text
from stores import sql_stores

from bridge.adapters.sql import Database, SqlImpersonations, hanging, open_database
from bridge.adapters.vault import Vault
from bridge.errors import StoreError
from bridge.model import IssuedToken, Subject, TokenKey

Open = Callable[..., Database]


@pytest.fixture
def opened(database: Database) -> Iterator[Open]:
    """Open the same database once more, with limits of its own."""
    with ExitStack() as stack:

        def open_again(**limits: float) -> Database:
            url = database._engine.url.render_as_string(hide_password=False)
            again = open_database(url, **limits)  # type: ignore[arg-type]
            stack.callback(again.close)
            return again

        yield open_again


def test_no_question_needs_two_connections(opened: Open, vault: Vault, clock: FakeClock) -> None:
    """Two for one question, and as many threads as connections would wait for each other."""
    database = opened(connections=1, patience_s=0.5)
    for ask in everything(sql_stores(database, vault, clock), SqlImpersonations(database)).values():
        ask()
    database.check()


def test_many_threads_share_few_connections(opened: Open, vault: Vault, clock: FakeClock) -> None:
    database = opened(connections=2, patience_s=10)
    stores = sql_stores(database, vault, clock)

    def work(number: int) -> bool:
        sub = f"person-{number}"
        stores.subjects.note("acme", Subject(sub, sub, "", frozenset()), 1)
        key = TokenKey("acme", "client", sub, "user_default", "r1")
        stores.tokens.put(IssuedToken(key, f"id-{sub}", "value", "user_default", START, START + 900))
        return stores.tokens.get(key) is not None and stores.subjects.get("acme", sub) is not None

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(work, range(120)))
    assert database._engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert database._engine.pool.size() <= 2  # type: ignore[attr-defined]


def test_who_finds_none_free_is_told_what_to_do_and_soon(opened: Open) -> None:
    database = opened(connections=2, patience_s=0.2)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(database.reading()).execute(text("SELECT 1"))
        began = time.monotonic()
        with pytest.raises(StoreError) as failed:
            database.revision()
        assert time.monotonic() - began < 5
    assert "BRIDGE_DATABASE_CONNECTIONS" in failed.value.detail
    database.revision()


def test_a_server_that_hangs_keeps_nobody(postgresql_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel acknowledges what we send, so no limit of the network ends this."""
    monkeypatch.setattr(hanging, "ANSWER_S", 0.5)
    database = open_database(postgresql_database._engine.url.render_as_string(hide_password=False), connections=1)
    with ExitStack() as stack:
        stack.callback(database.close)

        def ask() -> None:
            with database.reading() as connection:
                backend: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
                os.kill(backend, signal.SIGSTOP)
                stack.callback(os.kill, backend, signal.SIGCONT)
                connection.execute(text("SELECT 1"))

        began = time.monotonic()
        with pytest.raises(StoreError):
            ask()
        assert time.monotonic() - began < 10
        database.check()  # by another connection


def test_readers_of_a_file_do_not_wait_for_its_one_writer(sqlite_database: Database) -> None:
    began, done = threading.Event(), threading.Event()

    def write() -> None:
        with sqlite_database.writing() as connection:
            connection.execute(text("UPDATE revision SET counter = counter + 1"))
            began.set()
            assert done.wait(10)

    writer = threading.Thread(target=write)
    writer.start()
    assert began.wait(10)
    before = sqlite_database.revision()
    done.set()
    writer.join()
    assert sqlite_database.revision() == before + 1


def test_writers_of_a_file_stand_in_line(sqlite_database: Database) -> None:
    """Each takes the lock when it begins: one that read first and asked for it later would fail instead."""

    def count(_: int) -> None:
        with sqlite_database.writing() as connection:
            seen = connection.execute(text("SELECT counter FROM revision")).scalar_one()
            connection.execute(text("UPDATE revision SET counter = :next"), {"next": seen + 1})

    before = sqlite_database.revision()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(40)))
    assert sqlite_database.revision() == before + 40
