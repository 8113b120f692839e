"""Selections: what they leave over, how they end, and who else sees them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.engine_kit import WHOLE_PAGE, Conversation, column, session_of

CUBE = "/qHyperCubeDef"
LIST = "/qListObjectDef"


@pytest.fixture
def erin() -> Conversation:
    return Conversation("erin")


def list_of(who: Conversation, name: str) -> int:
    return who.make(qListObjectDef={"qDef": {"qFieldDefs": [name]}, "qInitialDataFetch": [WHOLE_PAGE]})


def values(who: Conversation, handle: int) -> dict[str, str]:
    matrix = who.ok(handle, "GetListObjectData", LIST, [WHOLE_PAGE])["qDataPages"][0]["qMatrix"]
    return {row[0]["qText"]: row[0]["qState"] for row in matrix}


def element(who: Conversation, name: str, value: str) -> int:
    return who.session.table.symbols[name].index(value)


def current(who: Conversation) -> dict[str, Any]:
    return dict(who.layout(who.make(qSelectionObjectDef={}))["qSelectionObject"])


def test_a_list_shows_the_state_of_each_value(erin: Conversation) -> None:
    regions, channels = list_of(erin, "Region"), list_of(erin, "Channel")
    erin.ok(regions, "SelectListObjectValues", LIST, [element(erin, "Region", "Online")], True)
    assert values(erin, regions) == {"Online": "S", "EMEA": "A", "AMER": "A", "APAC": "A"}
    assert values(erin, channels) == {"Web shop": "O", "Store": "X", "Partner": "X"}
    erin.select("Channel", "Store")
    assert values(erin, regions) == {"Online": "XS", "EMEA": "A", "AMER": "A", "APAC": "A"}
    info = erin.layout(regions)["qListObject"]["qDimensionInfo"]
    assert info["qStateCounts"]["qSelectedExcluded"] == 1


def test_toggling_adds_and_takes_away_and_replacing_does_neither(erin: Conversation) -> None:
    products = list_of(erin, "Product")
    for toggled, chosen in (([0], {0}), ([1, 2], {0, 1, 2}), ([0], {1, 2})):
        assert erin.ok(products, "SelectListObjectValues", LIST, toggled, True) == {"qSuccess": True}
        assert erin.session.selections.chosen["Product"] == chosen
    erin.ok(products, "SelectListObjectValues", LIST, [5], False)
    assert erin.session.selections.chosen["Product"] == {5}
    assert erin.ok(products, "SelectListObjectValues", LIST, [99], False) == {"qSuccess": False}


@pytest.mark.parametrize(("method", "chosen"), [("Excluded", 6), ("All", 8), ("Possible", 2), ("Alternative", 6)])
def test_lists_and_fields_select_by_state(erin: Conversation, method: str, chosen: int) -> None:
    for target, params in ((list_of(erin, "Product"), [LIST]), (erin.field("Product"), [])):
        erin.ok(erin.doc, "ClearAll")
        erin.select("Product", "Espresso", "Cocoa")
        name = f"SelectListObject{method}" if params else f"Select{method}"
        erin.ok(target, name, *params)
        assert len(erin.session.selections.chosen["Product"]) == chosen


def test_a_list_is_searched_without_selecting(erin: Conversation) -> None:
    products = list_of(erin, "Product")
    assert erin.ok(products, "SearchListObjectFor", LIST, "*TEA") == {"qSuccess": True}
    assert sorted(values(erin, products)) == ["Black tea", "Green tea"]
    assert erin.layout(products)["qListObject"]["qSize"]["qcy"] == 2
    erin.ok(products, "AbortListObjectSearch", LIST)
    assert len(values(erin, products)) == 8
    erin.ok(products, "SearchListObjectFor", LIST, "tea cocoa")
    erin.ok(products, "AcceptListObjectSearch", LIST, False)
    assert current(erin)["qSelections"][0]["qSelectedCount"] == 3


def test_fields_select_by_text_number_and_pattern(erin: Conversation) -> None:
    month, sales = erin.field("Month"), erin.field("Sales")
    assert erin.select("Month", "Jan", "Feb")["result"] == {"qReturn": True}
    erin.ok(month, "SelectValues", [{"qIsNumeric": True, "qNumber": 12}], True)
    assert current(erin)["qSelections"][0]["qSelected"] == "Jan, Feb, Dec"
    assert erin.select("Month", "Nowhen")["result"] == {"qReturn": False}
    assert len(erin.session.selections.chosen["Month"]) == 3
    assert erin.ok(month, "Select", "J*") == {"qReturn": True}
    assert current(erin)["qSelections"][0]["qSelected"] == "Jan, Jun, Jul"
    assert erin.ok(month, "LowLevelSelect", [0, 1], False) == {"qReturn": True}
    assert erin.ok(sales, "LowLevelSelect", [0], False) == {"qReturn": True}
    assert erin.ok(month, "ClearAllButThis") == {"qReturn": True}
    assert [entry["qField"] for entry in current(erin)["qSelections"]] == ["Month"]
    assert erin.ok(month, "Clear") == {"qReturn": True}
    assert current(erin)["qSelections"] == []


def test_what_is_selected_changes_what_depends_on_it_and_says_so(erin: Conversation) -> None:
    chart, sheet, note = erin.get("sales-by-region"), erin.get("overview"), erin.make(title="plain")
    answer = erin.select("Product", "Cocoa")
    assert chart in answer["change"]
    assert not {sheet, note} & set(answer["change"])
    assert column(erin.texts(chart)) == ["EMEA"]


def test_locked_fields_stay(erin: Conversation) -> None:
    erin.select("Region", "EMEA")
    region = erin.field("Region")
    assert erin.ok(region, "Lock") == {"qReturn": True}
    assert erin.select("Region", "AMER")["result"] == {"qReturn": False}
    erin.ok(erin.doc, "ClearAll")
    assert current(erin)["qSelections"][0]["qLocked"] is True
    assert values(erin, list_of(erin, "Region"))["EMEA"] == "L"
    erin.ok(region, "Unlock")
    erin.ok(erin.doc, "ClearAll")
    assert current(erin)["qSelections"] == []
    erin.select("Region", "EMEA")
    erin.ok(erin.doc, "LockAll")
    erin.ok(erin.doc, "ClearAll", True)
    assert current(erin)["qSelections"] == []
    erin.ok(erin.doc, "UnlockAll")


def test_selections_go_back_and_forward(erin: Conversation) -> None:
    erin.select("Region", "EMEA")
    erin.select("Product", "Cocoa")
    assert (current(erin)["qBackCount"], current(erin)["qForwardCount"]) == (2, 0)
    assert erin.ok(erin.doc, "Back") == {"qReturn": True}
    assert [entry["qField"] for entry in current(erin)["qSelections"]] == ["Region"]
    assert erin.ok(erin.doc, "ForwardCount") == {"qReturn": 1}
    assert erin.ok(erin.doc, "Forward") == {"qReturn": True}
    assert erin.ok(erin.doc, "BackCount") == {"qReturn": 2}
    assert erin.ok(erin.doc, "Forward") == {"qReturn": False}
    erin.ok(erin.doc, "Back")
    erin.ok(erin.doc, "Back")
    assert erin.ok(erin.doc, "Back") == {"qReturn": False}


# modal


def test_a_chart_keeps_its_bars_while_it_is_selected_in(erin: Conversation) -> None:
    chart, other = erin.get("sales-by-product"), erin.get("sales-by-region")
    erin.ok(chart, "BeginSelections", [CUBE])
    erin.ok(chart, "SelectHyperCubeValues", CUBE, 0, [element(erin, "Product", "Cocoa")], True)
    states = {row[0]["qText"]: row[0]["qState"] for row in erin.rows(chart)}
    assert (len(states), states["Cocoa"], states["Espresso"]) == (8, "S", "A")
    assert erin.layout(chart)["qSelectionInfo"] == {"qInSelections": True, "qMadeSelections": True}
    assert column(erin.texts(other)) == ["EMEA"]
    erin.ok(chart, "EndSelections", True)
    assert column(erin.texts(chart)) == ["Cocoa"]
    assert current(erin)["qBackCount"] == 1


def test_what_was_selected_is_taken_back(erin: Conversation) -> None:
    erin.select("Region", "EMEA")
    chart = erin.get("sales-by-product")
    erin.ok(chart, "BeginSelections", [CUBE])
    erin.ok(chart, "SelectHyperCubeValues", CUBE, 0, [0], True)
    erin.ok(chart, "ResetMadeSelections")
    assert list(erin.session.selections.chosen) == ["Region"]
    erin.ok(chart, "SelectHyperCubeValues", CUBE, 0, [0], True)
    erin.ok(chart, "EndSelections", False)
    assert list(erin.session.selections.chosen) == ["Region"]
    assert current(erin)["qBackCount"] == 1


def test_one_object_at_a_time_is_selected_in(erin: Conversation) -> None:
    chart, other = erin.get("sales-by-product"), erin.get("sales-by-region")
    erin.ok(chart, "BeginSelections", [CUBE])
    assert erin.error(other, "BeginSelections", [CUBE]) == 6003
    erin.ok(other, "EndSelections", True)
    assert erin.error(other, "BeginSelections", [CUBE]) == 6003
    erin.ok(erin.doc, "AbortModal", True)
    erin.ok(other, "BeginSelections", [CUBE])


def test_cells_and_ranges_of_a_chart_are_selected(erin: Conversation) -> None:
    chart = erin.get("sales-by-product")
    first = column(erin.texts(chart))[0]
    assert erin.ok(chart, "SelectHyperCubeCells", CUBE, [0], [0]) == {"qSuccess": True}
    assert current(erin)["qSelections"][0]["qSelected"] == first
    erin.ok(chart, "ClearSelections", CUBE)
    sums = [row[1]["qNum"] for row in erin.rows(chart)]
    wanted = {"qMeasureIx": 0, "qRange": {"qMin": sums[2], "qMax": sums[0]}}
    assert erin.ok(chart, "RangeSelectHyperCubeValues", CUBE, [wanted]) == {"qSuccess": True}
    assert [row[1]["qNum"] for row in erin.rows(chart)] == sums[:3]
    erin.ok(chart, "ClearSelections", CUBE, [0])
    assert len(erin.rows(chart)) == 8
    assert erin.error(chart, "SelectHyperCubeValues", CUBE, 7, [0], True) == -32602


# several websockets


def test_links_of_one_session_share_selections_and_hear_of_them() -> None:
    session = session_of("erin")
    one, other = Conversation(session), Conversation(session)
    chart = other.get("sales-by-region")
    other.sent.clear()
    one.select("Product", "Cocoa")
    assert other.sent == [{"jsonrpc": "2.0", "change": [chart]}]
    assert column(other.texts(chart)) == ["EMEA"]
    one.link.leave()
    other.sent.clear()
    other.select("Product", "Chai")
    assert one.session.links == [other.link]


def test_sessions_do_not_share(erin: Conversation) -> None:
    other = Conversation("erin")
    erin.select("Product", "Cocoa")
    assert current(other)["qSelections"] == []


def test_objects_of_a_session_are_found_by_all_its_links() -> None:
    session = session_of("erin")
    one, other = Conversation(session), Conversation(session)
    one.make(qInfo={"qId": "shared", "qType": "x"}, title="here")
    handle = other.get("shared")
    assert other.layout(handle)["title"] == "here"
    one.ok(one.doc, "DestroySessionObject", "shared")
    assert other.error(handle, "GetLayout") == -32602
