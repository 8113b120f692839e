"""What people get while the bridge's own database or clock is broken: docs/reference/faults.md, over both databases."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from databasekit import BREAKS, postgresql_folder, slow
from faultkit import MINT, NEAR_ITS_END_S, SIX_HOURS_S, Place, Row, Visitor, as_told, table
from sqlalchemy import Engine

from bridge import deadline
from bridge.adapters.qlik import HttpQlik
from bridge.adapters.sql import Database
from bridge.bootstrap import build
from bridge.errors import BridgeError, StoreError
from bridge.model import Stage
from bridge.services.stages import Move

numbers = count()
TRANSACTION_S = 8
"""What is begun in time is done, and the deadline is looked at between transactions."""


def engine_of(place: Place) -> Engine:
    (database,) = (probe for probe in place.bridge.probes if isinstance(probe, Database))
    return database._engine


def newcomer(place: Place, stage: Stage = Stage.OAUTH) -> Visitor:
    visitor = place.visitor(f"t{next(numbers)}", f"person-{next(numbers)}", stage=stage)
    place.remember(visitor)
    return visitor


def with_token(life_s: float) -> Callable[[Place], Visitor]:
    def visitor_of(place: Place) -> Visitor:
        visitor = place.visitor(f"t{next(numbers)}", f"person-{next(numbers)}")
        place.keep(visitor, life_s)
        place.remember(visitor)
        return visitor

    return visitor_of


def moved(visitor: Visitor) -> str:
    """Take the tenant a step back, and tell what came of it."""
    try:
        visitor.place.bridge.stages.move(visitor.slug, Move(Stage.SHADOW, "erin", "story"))
    except BridgeError as failure:
        return f"`{failure.code()}`"
    return "done"


COLUMNS: Mapping[str, tuple[Callable[[Place], Visitor], Callable[[Visitor], str]]] = {
    "a first token": (newcomer, lambda visitor: as_told(visitor.ask())),
    "a token is kept": (with_token(SIX_HOURS_S), lambda visitor: as_told(visitor.ask())),
    "it is near its end": (with_token(NEAR_ITS_END_S), lambda visitor: as_told(visitor.ask())),
    "a legacy JWT": (lambda place: newcomer(place, Stage.LEGACY), lambda visitor: as_told(visitor.ask_for_jwt())),
    "a stage is moved": (newcomer, moved),
}
TABLE = table("The bridge's database")
on_postgresql = pytest.mark.parametrize("place", ["postgresql"], indirect=True)


def cases(*, of_sqlite: bool) -> Sequence[pytest.ParameterSet]:
    """Return the cases of both databases, or those that PostgreSQL alone has."""
    rows = [row for row in TABLE if ("sqlite" in BREAKS[row.fault]) == of_sqlite]
    return [pytest.param(row, column, id=f"{row.fault}, {column}") for row in rows for column in COLUMNS]


def test_the_table_names_each_fault_once() -> None:
    assert [row.fault for row in TABLE] == list(BREAKS)
    assert {column for row in TABLE for column in row.cells} == set(COLUMNS)


@pytest.mark.parametrize(("row", "column"), cases(of_sqlite=True))
def test_people_get_what_the_table_says(broken: Place, row: Row, column: str) -> None:
    check(broken, row, column)


@on_postgresql
@pytest.mark.parametrize(("row", "column"), cases(of_sqlite=False))
def test_people_get_what_the_table_says_of_postgresql(broken: Place, row: Row, column: str) -> None:
    check(broken, row, column)


def check(broken: Place, row: Row, column: str) -> None:
    engine = engine_of(broken)
    break_it = BREAKS[row.fault][engine.dialect.name]
    come, ask = COLUMNS[column]
    visitor = come(broken)
    before = len(broken.bridge.audit.latest(tenant=visitor.slug))

    with break_it(engine):
        outcome = ask(visitor)

    assert outcome == row.cells[column]
    state = broken.bridge.tenants.get(visitor.slug, fresh=True)
    assert len(broken.bridge.audit.latest(tenant=visitor.slug)) - before == (outcome == "done")
    assert (state.rollout.stage is Stage.SHADOW) == (outcome == "done")


def test_what_is_in_memory_serves_for_a_minute(broken: Place) -> None:
    visitor = with_token(SIX_HOURS_S)(broken)
    with BREAKS["is away"][engine_of(broken).dialect.name](engine_of(broken)):
        broken.clock.ahead_s = 30
        assert as_told(visitor.ask()) == "200, the kept one"
        broken.clock.ahead_s = 65
        assert as_told(visitor.ask()) == "503 `store_error`, after 1 s"
    broken.clock.ahead_s = 66
    assert as_told(visitor.ask()) == "200, the kept one"


@on_postgresql  # SQLite's file would be made
def test_a_bridge_does_not_start_without_its_database(broken: Place) -> None:
    with BREAKS["is away"]["postgresql"](engine_of(broken)), pytest.raises(StoreError):
        build(broken.bridge.settings)


@pytest.mark.parametrize("call", ["log_in", "mint"])
def test_a_database_that_goes_in_the_middle_loses_a_token_at_most(
    broken: Place, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It goes while the tenant is at work: who asks again is served, and what cannot be kept is counted."""
    visitor, engine = newcomer(broken), engine_of(broken)
    real, breaks = getattr(HttpQlik, call), BREAKS["is away"][engine.dialect.name](engine)

    def work(*args: Any) -> Any:  # noqa: ANN401 - whatever the call returns
        answer = real(*args)
        monkeypatch.undo()
        breaks.__enter__()
        return answer

    monkeypatch.setattr(HttpQlik, call, work)
    got = visitor.ask()
    breaks.__exit__(None, None, None)

    lost = broken.count("bridge_mints_lost_total", tenant=visitor.slug)
    assert (as_told(got), lost) == ("503 `store_error`, after 1 s", call == "mint")
    broken.clock.ahead_s = 11  # the lease could not be ended either
    assert visitor.ask().status == 200
    assert len(broken.acme.calls(MINT)) == 1 + lost


@on_postgresql
def test_postgresql_may_be_restarted(broken: Place) -> None:
    engine = engine_of(broken)
    newcomers, kept = [newcomer(broken) for _ in range(2)], with_token(SIX_HOURS_S)(broken)
    assert newcomers[0].ask().status == 200
    restart(postgresql_folder(engine))

    assert as_told(kept.ask()) == "200, the kept one"
    assert [visitor.ask().status for visitor in newcomers] == [200, 200]


def restart(folder: Path) -> None:
    (tool,) = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))[-1:]
    owner = {"user": folder.owner(), "group": folder.group(), "extra_groups": []}
    command = [str(tool), "-D", str(folder), "-m", "fast", "-w", "-l", str(folder.parent / "log"), "restart"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **owner)  # type: ignore[call-overload]


def test_a_database_that_crawls_keeps_nobody_for_ever(broken: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = newcomer(broken)
    monkeypatch.setattr(deadline, "PATIENCE_S", 1.0)
    monkeypatch.setattr(deadline, "SPARE_S", 0.5)
    with slow(engine_of(broken), statement_s=0.3):
        got = visitor.ask()

    assert got.code in {"store_error", "tenant_timeout"}
    assert got.took_s < 1.0 + 0.5 + TRANSACTION_S


# --- the clock -------------------------------------------------------------------------------------------

AHEAD_S: Mapping[str, float] = {"half an hour ahead": 1800, "an hour ahead": 3700, "an hour behind": -3600}
CLOCK = table("The clock")
ASKED: Mapping[str, tuple[Callable[[Place], Visitor], Mapping[str, str]]] = {
    "a first token": (newcomer, {}),
    "a token is kept": (with_token(SIX_HOURS_S), {}),
    "it is near its end": (with_token(NEAR_ITS_END_S), {}),
    "the tenant refuses it": (with_token(SIX_HOURS_S), {"X-Rejected-Token": "kept"}),
}
JUMPS = [pytest.param(row, column, id=f"{row.fault}, {column}") for row in CLOCK for column in ASKED]


def test_the_table_names_each_jump_once() -> None:
    assert [row.fault for row in CLOCK] == list(AHEAD_S)
    assert {column for row in CLOCK for column in row.cells} == set(ASKED)


@pytest.mark.parametrize(("row", "column"), JUMPS)
def test_people_get_what_the_table_says_of_the_clock(broken: Place, row: Row, column: str) -> None:
    come, headers = ASKED[column]
    visitor = come(broken)
    broken.clock.ahead_s = AHEAD_S[row.fault]

    assert as_told(visitor.ask(**headers)) == row.cells[column]

    broken.clock.ahead_s = 0
    assert visitor.ask().status == 200


@pytest.mark.parametrize("fault", [{"status": 429, "retry_after": 60}, {"status": 500}], ids=["429", "pause"])
def test_a_clock_that_goes_back_makes_no_wait_longer(broken: Place, fault: Mapping[str, Any]) -> None:
    visitor = broken.visitor(f"t{next(numbers)}", f"person-{next(numbers)}")
    broken.know(visitor)
    broken.break_calls(MINT, **fault)
    for _ in range(3):
        assert visitor.ask().status == 503
    broken.acme.control("DELETE", "faults")

    broken.clock.ahead_s = -3600
    assert visitor.ask().status == 200


def test_a_429_counts_also_after_the_clock_went_back(broken: Place) -> None:
    visitor = broken.visitor(f"t{next(numbers)}", f"person-{next(numbers)}")
    broken.know(visitor)
    broken.break_calls(MINT, status=429, retry_after=60)
    assert visitor.ask().code == "tenant_throttled"

    broken.clock.ahead_s = -3600
    assert visitor.ask().code == "tenant_throttled"
    broken.acme.forget_calls()
    assert visitor.ask().code == "tenant_throttled"
    assert broken.acme.calls() == []
