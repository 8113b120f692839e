"""The contract of ports.budget.BudgetStore, over every implementation."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event
from stores import Stores
from storykit import PATIENCE_S, wait_for

from bridge.adapters.sql import Database, SqlBudget
from bridge.budgeting import Account, Lane, Spent
from bridge.errors import StoreError

ROOT = Path(__file__).parents[2]
ACME, GLOBEX = Account("acme", "client"), Account("globex", "client")
LONG_S = 10
PAGE = Spent(Lane.PAGE_OPEN, 100.0, 2)


def write(stores: Stores, *entries: Spent, account: Account = ACME) -> None:
    left = list(entries)
    for _ in entries:
        stores.budget.claim(account, lambda _rows, _closed: left.pop(0), since=0)


def seen(stores: Stores, account: Account = ACME, since: float = 0) -> tuple[list[Spent], float]:
    """Return what a claim is shown. It writes an empty row far in the future."""
    found: list[tuple[list[Spent], float]] = []

    def decide(rows: Sequence[Spent], closed_until: float) -> Spent:
        found.append((sorted(rows, key=lambda row: (row.slot, row.lane)), closed_until))
        return Spent(Lane.SHADOW, 1e9)

    stores.budget.claim(account, decide, since=since)
    return found[0]


def test_calls_and_refusals_add_up_by_lane_and_slot(stores: Stores) -> None:
    write(stores, PAGE, PAGE, Spent(Lane.PAGE_OPEN, 105.0, 1), Spent(Lane.SHADOW, 105.0, refused=3))

    assert seen(stores)[0] == [
        Spent(Lane.PAGE_OPEN, 100.0, 4),
        Spent(Lane.PAGE_OPEN, 105.0, 1),
        Spent(Lane.SHADOW, 105.0, 0, 3),
    ]
    assert seen(stores, since=101)[0][0] == Spent(Lane.PAGE_OPEN, 105.0, 1)


def test_accounts_are_kept_apart(stores: Stores) -> None:
    write(stores, PAGE)
    write(stores, Spent(Lane.RENEWAL, 100.0, 7), account=GLOBEX)
    write(stores, Spent(Lane.RENEWAL, 100.0, 8), account=Account("acme", "the next client"))

    assert seen(stores)[0] == [PAGE]
    assert stores.budget.spent(50)[GLOBEX] == [Spent(Lane.RENEWAL, 100.0, 7)]
    assert GLOBEX not in stores.budget.spent(101)


def test_what_was_not_used_is_given_back(stores: Stores) -> None:
    write(stores, PAGE, Spent(Lane.SHADOW, 100.0, 2))
    stores.budget.give_back(ACME, Spent(Lane.PAGE_OPEN, 100.0, 1))

    assert seen(stores)[0] == [Spent(Lane.PAGE_OPEN, 100.0, 1), Spent(Lane.SHADOW, 100.0, 2)]


def test_what_was_said_before_the_clock_went_back_gives_way(stores: Stores) -> None:
    stores.budget.close("acme", 2, 10_030, now=10_000)
    stores.budget.close("acme", 2, 6_430.5, now=6_400.5)

    assert stores.budget.closed()["acme", 2] == 6_430.5


def test_a_tier_is_closed_for_the_longest_that_was_said(stores: Stores) -> None:
    assert seen(stores)[1] == 0
    stores.budget.close("acme", 2, 300.5, now=100)
    stores.budget.close("acme", 2, 200, now=100)
    stores.budget.close("acme", 1, 250, now=100)

    assert seen(stores)[1] == 300.5
    assert {key: until for key, until in stores.budget.closed().items() if until} == {
        ("acme", 2): 300.5,
        ("acme", 1): 250,
    }
    assert seen(stores, GLOBEX)[1] == 0


def test_what_is_old_or_of_a_clock_gone_back_is_removed(stores: Stores) -> None:
    write(stores, PAGE, Spent(Lane.PAGE_OPEN, 200.0, 1), Spent(Lane.PAGE_OPEN, 300.0, 1))
    stores.budget.keep(150, 250)

    assert seen(stores)[0] == [Spent(Lane.PAGE_OPEN, 200.0, 1)]


def test_a_decision_that_fails_writes_nothing_and_frees_the_lock(stores: Stores) -> None:
    def fail(_rows: Sequence[Spent], _closed: float) -> Spent:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        stores.budget.claim(ACME, fail, since=0)

    assert seen(stores)[0] == []


def test_workers_that_claim_at_once_decide_one_after_the_other(database: Database) -> None:
    """Each takes one while there are fewer than ten: two that saw nine would make eleven."""
    store = SqlBudget(database)

    def decide(rows: Sequence[Spent], _closed: float) -> Spent:
        return Spent(Lane.PAGE_OPEN, 100.0, 1 if sum(row.calls for row in rows) < 10 else 0)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: store.claim(ACME, decide, since=0), range(24)))

    assert store.spent(0)[ACME] == [Spent(Lane.PAGE_OPEN, 100.0, 10)]


@pytest.fixture
def busy(database: Database) -> Iterator[tuple[SqlBudget, threading.Event]]:
    """A store at which one thread's claim is under way until the event is set."""
    store, begun, may_end = SqlBudget(database), threading.Event(), threading.Event()

    def slowly(_rows: Sequence[Spent], _closed: float) -> Spent:
        begun.set()
        assert may_end.wait(LONG_S)
        return PAGE

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(store.claim, ACME, slowly, since=0)
        assert begun.wait(LONG_S)
        yield store, may_end
        may_end.set()
        assert first.result(LONG_S)


def test_threads_that_stand_in_line_share_one_transaction(
    database: Database, busy: tuple[SqlBudget, threading.Event]
) -> None:
    store, may_end = busy
    begun: list[object] = []
    note = begun.append
    event.listen(database._engine, "begin", note)
    with ThreadPoolExecutor(8) as pool:
        claims = [
            pool.submit(store.claim, account, lambda *_: PAGE, since=0)
            for account in (*[ACME] * 6, *[Account("acme", "the next client")] * 2)
        ]
        while len(store._line) < len(claims):
            assert not any(each.done() for each in claims)
        may_end.set()
        assert all(each.result(LONG_S) for each in claims)
    event.remove(database._engine, "begin", note)

    assert len(begun) == 2, "one for each account"
    assert store.spent(0)[ACME] == [Spent(Lane.PAGE_OPEN, 100.0, 14)]


def test_whose_claim_was_decided_waits_for_nobody_elses(busy: tuple[SqlBudget, threading.Event]) -> None:
    store, may_end = busy
    late_may_end = threading.Event()

    def until_somebody_is_late(_rows: Sequence[Spent], _closed: float) -> Spent:
        wait_for(lambda: len(store._line) == 1)
        return PAGE

    def slowly(_rows: Sequence[Spent], _closed: float) -> Spent:
        assert late_may_end.wait(PATIENCE_S)
        return PAGE

    with ThreadPoolExecutor(5) as pool:
        together = [
            pool.submit(store.claim, ACME, decide, since=0)
            for decide in (until_somebody_is_late, *[lambda *_: PAGE] * 3)
        ]
        wait_for(lambda: len(store._line) == len(together))
        may_end.set()
        wait_for(lambda: not store._line)
        late = pool.submit(store.claim, ACME, slowly, since=0)
        assert all(each.result(LONG_S) for each in together)
        assert not late.done()
        late_may_end.set()


def test_who_leaves_the_line_has_claimed_nothing(
    busy: tuple[SqlBudget, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, may_end = busy
    monkeypatch.setattr("bridge.adapters.sql.budget.IN_LINE_S", 0.01)
    with pytest.raises(StoreError):
        store.claim(GLOBEX, lambda *_: PAGE, since=0)
    may_end.set()
    monkeypatch.undo()

    assert store.claim(ACME, lambda *_: PAGE, since=0)
    assert GLOBEX not in store.spent(0)


RACER = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from bridge.adapters.sql import SqlBudget, SqlMeasures, open_database
from bridge.budgeting import Limit
from bridge.errors import BudgetSpent
from bridge.services.budget import Budget
from bridge.telemetry import Metrics
sys.path.insert(0, "tests")
from samples import tenant

database = open_database(sys.argv[1], patience_s=20)
tallies = SqlMeasures(database).tallies
budget = Budget(SqlBudget(database), Limit(600, 2, 0), time.time, Metrics(), tallies)
end = time.monotonic() + 3

def race(_):
    admitted = 0
    while time.monotonic() < end:
        try:
            budget.spend(tenant())
            admitted += 1
        except BudgetSpent as spent:
            time.sleep(min(spent.retry_after_s, 0.02))
    return admitted

with ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(race, range(4))))
"""


def test_processes_that_race_never_overspend(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path
) -> None:
    """Twenty calls in two seconds, for two processes of four threads each, for three seconds."""
    on_postgresql = request.node.callspec.params["database"] == "postgresql"
    url = request.getfixturevalue("postgresql_url") if on_postgresql else f"sqlite:///{tmp_path}/bridge.db"
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    admitted = sum(int(racer.communicate(timeout=60)[0]) for racer in racers)

    rows = [row for spent in SqlBudget(database).spent(0).values() for row in spent if row.calls]
    assert sum(row.calls for row in rows) == admitted >= 20
    for first in rows:
        assert sum(row.calls for row in rows if 0 <= row.slot - first.slot < 2) <= 20
