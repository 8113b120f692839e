"""The fake engine keeps to the contract; tests/stories/test_engine.py asks the same of the real one."""

import pytest
from engine_contract import Case, EngineContract
from fakes import FakeApp, FakeClock, FakeEngine, FakeQlik

from bridge.model import Tenant


def sheet(name: str, rank: float) -> dict[str, object]:
    return {"qInfo": {"qId": name}, "qMeta": {"title": name}, "qData": {"rank": rank, "title": name}}


class TestFake(EngineContract):
    @pytest.fixture
    def case(self, clock: FakeClock, acme: Tenant) -> Case:
        qlik = FakeQlik(clock)
        tokens = {who: qlik.mint(acme, who).value for who in ("alice", "bob", "carol", "dead")}
        qlik.revoke(acme, tokens["dead"])
        rows = {"alice": [("Tea", "1"), ("Cups", "2")], "bob": [("Milk", "3")]}
        sales = FakeApp(rows=rows, sheets=[sheet("b", 2), sheet("a", 1)])
        engine = FakeEngine(qlik, sales=sales, ledger=FakeApp(closed_to={"carol"}))
        return Case(engine, acme, tokens, "sales", "ledger")
