"""What every implementation of ports.Engine has to do, the fake included."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from bridge.errors import AppRefused, BadContent, TenantRefused
from bridge.model import Hypercube, Tenant
from bridge.ports import Engine


@dataclass(frozen=True, slots=True)
class Case:
    """An engine with an app that shows alice and bob different rows, and one that carol may not open.

    `tokens` are access tokens by subject; one of the name `dead` counts no more.
    """

    engine: Engine
    tenant: Tenant
    tokens: Mapping[str, str]
    app_id: str
    closed_id: str
    dimension: str = "Product"
    measure: str = "Sum(Sales)"

    def rows(self, who: str, **changed: str) -> Hypercube:
        asked = {"app_id": self.app_id, "dimension": self.dimension, "measure": self.measure, **changed}
        return self.engine.hypercube(
            self.tenant, self.tokens[who], asked["app_id"], dimension=asked["dimension"], measure=asked["measure"]
        )


CALLS: dict[str, Callable[[Case, str, str], object]] = {
    "sheets": lambda case, who, app_id: case.engine.sheets(case.tenant, case.tokens[who], app_id),
    "hypercube": lambda case, who, app_id: case.rows(who, app_id=app_id),
    "reader": lambda case, who, app_id: case.engine.reader(case.tenant, case.tokens[who], app_id),
}
calls = pytest.mark.parametrize("call", list(CALLS))


class EngineContract:
    """A subclass has a fixture `case`."""

    def test_sheets_have_names_and_come_by_rank(self, case: Case) -> None:
        sheets = case.engine.sheets(case.tenant, case.tokens["alice"], case.app_id)

        ranks = [sheet["qData"]["rank"] for sheet in sheets]
        assert len(sheets) >= 2
        assert ranks == sorted(ranks)
        for sheet in sheets:
            assert sheet["qInfo"]["qId"]
            assert sheet["qMeta"]["title"]
            assert sheet["qData"]["title"]

    def test_a_hypercube_has_a_text_of_both_for_each_row(self, case: Case) -> None:
        found = case.rows("alice")

        assert len(found.dimension) == len(found.measure) > 1
        assert {type(text) for text in found.dimension + found.measure} == {str}
        assert len(set(found.dimension)) == len(found.dimension)

    def test_people_see_different_rows(self, case: Case) -> None:
        assert case.rows("alice") != case.rows("bob")
        assert case.rows("alice") == case.rows("alice")

    @pytest.mark.parametrize("who", ["alice", "bob"])
    def test_the_app_knows_who_reads(self, case: Case, who: str) -> None:
        assert case.engine.reader(case.tenant, case.tokens[who], case.app_id) == who

    @calls
    def test_a_dead_token_is_a_401(self, case: Case, call: str) -> None:
        with pytest.raises(TenantRefused) as refusal:
            CALLS[call](case, "dead", case.app_id)
        assert refusal.value.status == 401

    @calls
    def test_who_may_not_open_an_app_is_refused(self, case: Case, call: str) -> None:
        with pytest.raises(AppRefused):
            CALLS[call](case, "carol", case.closed_id)

    @calls
    def test_an_app_that_is_not_there(self, case: Case, call: str) -> None:
        with pytest.raises(BadContent):
            CALLS[call](case, "alice", "00000000-0000-0000-0000-000000000000")

    @pytest.mark.parametrize("changed", [{"dimension": "Nonsense"}, {"measure": "Sum(Nonsense"}])
    def test_a_field_or_expression_that_does_not_work(self, case: Case, changed: dict[str, str]) -> None:
        with pytest.raises(BadContent):
            case.rows("alice", **changed)
