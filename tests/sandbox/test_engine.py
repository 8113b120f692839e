"""The engine's protocol and its objects: what a client asks of an app, and what it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.sandbox.engine.app import App, Rule
from bridge.sandbox.engine.content import SECTION_ACCESS
from sandbox.engine_kit import GLOBAL, WHOLE_PAGE, Conversation, column, retail, session_of

DELTA = "delta"


@pytest.fixture
def alice() -> Conversation:
    return Conversation("alice")


@pytest.fixture
def erin() -> Conversation:
    return Conversation("erin")


# protocol


def test_the_first_word_says_whether_the_session_is_new() -> None:
    session = session_of("alice")
    sent: list[dict[str, Any]] = []
    conversation = Conversation(session)
    assert conversation.sent == [
        {"jsonrpc": "2.0", "method": "OnConnected", "params": {"qSessionState": "SESSION_CREATED"}}
    ]
    conversation.link.send = lambda text: sent.append(json.loads(text))
    conversation.link.start(attached=True)
    assert sent[0]["params"] == {"qSessionState": "SESSION_ATTACHED"}


def test_a_delta_replaces_each_part_of_a_result(alice: Conversation) -> None:
    plain = alice.ask(alice.doc, "GetAppLayout")
    asked = alice.ask(alice.doc, "GetAppLayout", delta=True)
    assert (DELTA in plain, asked[DELTA]) == (False, True)
    assert asked["result"] == {"qLayout": [{"op": "add", "path": "/", "value": plain["result"]["qLayout"]}]}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", -32700),
        ("{", -32700),
        (b"\xff\x00", -32700),
        ("[" * 100_000, -32700),
        ('{"id": NaN}', -32700),
        ("[]", -32600),
        ("7", -32600),
        ('{"id": 1}', -32600),
        ('{"id": [], "method": "OpenDoc"}', -32600),
        ('{"id": 1, "method": "OpenDoc", "handle": "x"}', -32600),
        ('{"id": 1, "method": "OpenDoc", "params": 7}', -32600),
        ('{"id": 1, "method": "OpenDoc", "handle": true}', -32600),
    ],
)
def test_malformed_messages_are_answered_and_the_link_lives_on(
    alice: Conversation, text: str | bytes, code: int
) -> None:
    assert alice.say(text)["error"]["code"] == code
    assert alice.ok(GLOBAL, "EngineVersion")["qVersion"]["qComponentVersion"]


def test_unknown_methods_handles_and_apps_are_errors(alice: Conversation) -> None:
    chart = alice.get("sales-by-product")
    assert alice.error(GLOBAL, "Fly") == -32601
    assert alice.error(alice.doc, "GetLayout") == -32601
    assert alice.error(chart, "OpenDoc") == -32601
    assert alice.error(99, "GetLayout") == -32602
    assert alice.error(GLOBAL, "OpenDoc", "other") == 1003
    assert alice.error(chart, "GetHyperCubeData", "/qListObjectDef", []) == 6000
    assert alice.error(chart, "GetHyperCubeData", "/title/qHyperCubeDef", []) == 6000


def test_objects_that_are_not_there_have_no_handle(alice: Conversation) -> None:
    nothing = {"qReturn": {"qType": None, "qHandle": None}}
    for method in ("GetObject", "GetDimension", "GetMeasure", "GetField", "GetBookmark", "GetVariableByName"):
        assert alice.ok(alice.doc, method, "nowhere") == nothing


def test_parameters_may_have_names(alice: Conversation) -> None:
    call = {"id": 1, "handle": alice.doc, "method": "GetObject", "params": {"qId": "overview"}}
    answer = alice.say(json.dumps(call))
    assert answer["result"]["qReturn"]["qGenericType"] == "sheet"


STRANGE: list[object] = [None, 7, -1, 1.5, "x", [], [[]], {}, {"qDimensions": 7}, [None], ["x"], True, 10**30, [10**30]]
BUSY = ("CreateSessionObject", "GetObject", "GetField", "Evaluate", "CheckExpression", "DestroySessionObject")
BUSY_OBJECT = ("GetHyperCubeData", "SetProperties", "ApplyPatches", "SelectHyperCubeValues", "GetListObjectData")


@pytest.mark.parametrize("strange", STRANGE, ids=repr)
def test_no_parameter_ends_the_conversation(alice: Conversation, strange: object) -> None:
    chart, field = alice.get("sales-by-product"), alice.field("Product")
    for method in BUSY:
        alice.ask(alice.doc, method, strange, strange)
    for method in BUSY_OBJECT:
        for params in ([strange], ["/qHyperCubeDef", strange], ["/qHyperCubeDef", 0, strange, strange]):
            alice.ask(chart, method, *params)
    for method in ("SelectValues", "LowLevelSelect", "Select"):
        alice.ask(field, method, strange, strange)
    made = alice.make(qHyperCubeDef=strange, qListObjectDef=strange, qAppObjectListDef=strange, a=strange)
    alice.ask(made, "GetLayout")
    assert len(alice.texts(alice.cube(["Product"], []))) in range(6)


def test_properties_that_nobody_can_calculate_are_the_callers_error(alice: Conversation) -> None:
    cube = {"qDimensions": [{"qDef": {"qFieldDefs": ["Product"]}}], "qInitialDataFetch": [{"qHeight": "tall"}]}
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"a": deep}
    assert alice.layout(alice.make(qHyperCubeDef=cube))["qHyperCube"]["qError"] == {"qErrorCode": -32602}
    assert alice.ask(alice.make(deep=deep), "GetLayout").keys() & {"result", "error"}
    assert alice.ok(GLOBAL, "EngineVersion")


# opening


@pytest.mark.parametrize(
    ("groups", "regions"),
    [
        (["EMEA"], {"EMEA", "Online"}),
        (["AMER"], {"AMER", "Online"}),
        (["EMEA", "AMER"], {"EMEA", "AMER", "Online"}),
        ([], {"Online"}),
        (["emea", "Finance"], {"Online"}),
        (["bridge-admins"], {"EMEA", "AMER", "APAC", "Online"}),
    ],
)
def test_section_access_gives_the_union_of_what_the_groups_see(groups: list[str], regions: set[str]) -> None:
    table = retail().rows_for(groups)
    assert table is not None
    assert set(table.symbols["Region"]) == regions


def test_who_matches_no_rule_may_not_open_the_app() -> None:
    app = retail()
    strict = App(app.id, app.name, app.table, app.objects, section_access=(Rule("EMEA", "Region", "EMEA"),))
    conversation = Conversation("alice")
    conversation.link.session = session_of("carol", strict)
    assert conversation.error(GLOBAL, "OpenDoc", app.id) == 5
    assert SECTION_ACCESS[-1].group == "*"


def test_everybody_sees_another_number_of_products() -> None:
    people = {name: Conversation(name) for name in ("alice", "bob", "carol", "erin")}
    counts = {name: len(who.texts(who.get("sales-by-product"))) for name, who in people.items()}
    assert counts == {"alice": 5, "bob": 4, "carol": 2, "erin": 8}


def test_values_of_other_peoples_rows_are_nowhere(alice: Conversation) -> None:
    listed = alice.make(qListObjectDef={"qDef": {"qFieldDefs": ["Region"]}, "qInitialDataFetch": [WHOLE_PAGE]})
    texts = [row[0]["qText"] for row in alice.layout(listed)["qListObject"]["qDataPages"][0]["qMatrix"]]
    assert sorted(texts) == ["EMEA", "Online"]
    assert alice.ok(alice.field("Region"), "GetCardinal") == {"qReturn": 2}


def test_a_session_keeps_the_rows_of_its_beginning() -> None:
    groups = ["EMEA"]
    session = session_of("alice")
    session.groups = lambda: groups
    first = Conversation(session)
    groups[:] = ["AMER"]
    again = Conversation(session)
    assert column(again.texts(again.get("sales-by-product"))) == column(first.texts(first.get("sales-by-product")))
    later = session_of("alice")
    later.groups = lambda: groups
    third = Conversation(later)
    assert len(third.texts(third.get("sales-by-product"))) == 4


def test_tenants_sell_different_things() -> None:
    acme, globex = (set(retail(slug).table.symbols["Product"]) for slug in ("acme", "globex"))
    assert len(acme) == len(globex) == 8
    assert not acme & globex


# stored objects


def test_sheets_are_listed_with_their_charts(alice: Conversation) -> None:
    data = {"title": "/qMetaDef/title", "rank": "/rank", "cells": "/cells", "nothing": "/no/where"}
    listing = alice.make(qAppObjectListDef={"qType": "sheet", "qData": data})
    items = alice.layout(listing)["qAppObjectList"]["qItems"]
    assert [(item["qInfo"]["qId"], item["qMeta"]["title"], item["qData"]["rank"]) for item in items] == [
        ("overview", "Overview", 0),
        ("details", "Details", 1),
    ]
    charts = [cell["name"] for cell in items[0]["qData"]["cells"]]
    assert charts == ["sales-by-product", "sales-by-region", "total-sales"]
    assert items[0]["qData"]["nothing"] == ""
    assert items[0]["qMeta"]["published"] is True
    assert all(alice.get(name) for name in charts)


def test_a_private_sheet_is_there_for_its_owner_alone(alice: Conversation, erin: Conversation) -> None:
    for name in ("drafts", "draft-chart"):
        assert alice.ok(alice.doc, "GetObject", name)["qReturn"]["qHandle"] is None
        assert erin.get(name)
    listing = {"qType": "sheet", "qData": {}}
    ids = [
        [item["qInfo"]["qId"] for item in who.layout(who.make(qAppObjectListDef=listing))["qAppObjectList"]["qItems"]]
        for who in (alice, erin)
    ]
    assert ids == [["overview", "details"], ["overview", "details", "drafts"]]
    assert "drafts" not in str(alice.ok(alice.doc, "GetAllInfos"))
    assert erin.layout(erin.get("drafts"))["qMeta"]["published"] is False


def test_a_sheet_lists_its_children(alice: Conversation) -> None:
    sheet = alice.get("overview")
    children = alice.layout(sheet)["qChildList"]["qItems"]
    assert [child["qData"]["visualization"] for child in children] == ["barchart", "piechart", "kpi"]
    assert [info["qId"] for info in alice.ok(sheet, "GetChildInfos")["qInfos"]] == [
        child["qInfo"]["qId"] for child in children
    ]
    tree = alice.ok(sheet, "GetFullPropertyTree")["qPropEntry"]
    assert [child["qProperty"]["qInfo"]["qType"] for child in tree["qChildren"]] == ["barchart", "piechart", "kpi"]


def test_master_items_are_listed_and_read(alice: Conversation) -> None:
    lists = alice.make(
        qDimensionListDef={"qType": "dimension", "qData": {"title": "/title", "fields": "/qDim/qFieldDefs"}},
        qMeasureListDef={"qType": "measure", "qData": {"expression": "/qMeasure/qDef"}},
        qFieldListDef={},
        qBookmarkListDef={"qType": "bookmark"},
    )
    layout = alice.layout(lists)
    (dimension,), (measure,) = layout["qDimensionList"]["qItems"], layout["qMeasureList"]["qItems"]
    assert (dimension["qInfo"]["qId"], dimension["qMeta"]["title"]) == ("dim-product", "Product line")
    assert (measure["qInfo"]["qId"], measure["qMeta"]["title"]) == ("mea-sales", "Total sales")
    assert dimension["qData"]["fields"] == ["[Product]"]
    assert next(field["qName"] for field in layout["qFieldList"]["qItems"]) == "Product"
    assert layout["qBookmarkList"] == {"qItems": []}
    handle = alice.ok(alice.doc, "GetDimension", "dim-product")["qReturn"]["qHandle"]
    assert alice.ok(handle, "GetDimension")["qDim"]["qFieldDefs"] == ["[Product]"]
    assert alice.layout(handle)["qDim"]["title"] == "Product line"
    handle = alice.ok(alice.doc, "GetMeasure", "mea-sales")["qReturn"]["qHandle"]
    assert alice.ok(handle, "GetMeasure")["qMeasure"]["qDef"] == "Sum([Sales])"


def test_stored_objects_cannot_be_changed_but_softly_patched(alice: Conversation) -> None:
    chart = alice.get("sales-by-product")
    title = [{"qOp": "replace", "qPath": "/title", "qValue": '"Mine"'}]
    assert alice.error(chart, "SetProperties", {"title": "Mine"}) == 5
    assert alice.error(chart, "ApplyPatches", title) == 5
    assert alice.error(alice.doc, "CreateObject", {"qInfo": {"qType": "x"}}) == 5
    assert alice.ask(chart, "ApplyPatches", title, True)["change"] == [chart]
    assert (alice.layout(chart)["title"], alice.layout(chart)["qHasSoftPatches"]) == ("Mine", True)
    assert alice.ok(chart, "GetProperties")["qProp"]["title"] == "Sales by product"
    assert alice.ok(chart, "GetEffectiveProperties")["qProp"]["title"] == "Mine"
    other = Conversation("alice")
    assert other.layout(other.get("sales-by-product"))["title"] == "Sales by product"
    alice.ok(chart, "ClearSoftPatches")
    assert alice.layout(chart)["title"] == "Sales by product"


# session objects


def test_a_session_object_comes_changes_and_goes(alice: Conversation) -> None:
    made = alice.make(qInfo={"qId": "mine", "qType": "note"}, title="one", qMetaDef={"tags": ["a"]})
    assert alice.layout(made)["title"] == "one"
    assert alice.layout(made)["qMeta"] == {"tags": ["a"], "privileges": ["read", "exportdata", "update", "delete"]}
    assert alice.ask(made, "SetProperties", {"title": "two", "qInfo": {"qId": "other"}})["change"] == [made]
    assert alice.ok(made, "GetProperties")["qProp"] == {"title": "two", "qInfo": {"qId": "mine", "qType": "note"}}
    assert alice.get("mine") == made
    gone = alice.ask(alice.doc, "DestroySessionObject", "mine")
    assert (gone["result"], gone["close"]) == ({"qSuccess": True}, [made])
    assert alice.error(made, "GetLayout") == -32602
    assert alice.ok(alice.doc, "DestroySessionObject", "mine") == {"qSuccess": False}
    assert alice.ok(alice.doc, "DestroySessionObject", "overview") == {"qSuccess": False}


def test_get_or_create_makes_one_object(alice: Conversation) -> None:
    properties = {"qInfo": {"qId": "list", "qType": "x"}}
    first, second = (alice.ok(alice.doc, "GetOrCreateObject", properties)["qReturn"]["qHandle"] for _ in range(2))
    assert first == second
    assert (
        alice.ok(alice.doc, "GetOrCreateObject", {"qInfo": {"qId": "overview"}})["qReturn"]["qGenericType"] == "sheet"
    )


def test_patches_reach_into_properties(alice: Conversation) -> None:
    made = alice.make(cells=[{"a": 1}, {"a": 2}], deep={})
    patches = [
        {"qOp": "add", "qPath": "/deep/er/b", "qValue": "[1]"},
        {"qOp": "add", "qPath": "/cells/-", "qValue": '{"a": 3}'},
        {"qOp": "replace", "qPath": "/cells/0/a", "qValue": "9"},
        {"qOp": "remove", "qPath": "/cells/1"},
    ]
    alice.ok(made, "ApplyPatches", patches)
    properties = alice.ok(made, "GetProperties")["qProp"]
    assert (properties["deep"], properties["cells"]) == ({"er": {"b": [1]}}, [{"a": 9}, {"a": 3}])
    assert alice.error(made, "ApplyPatches", [{"qOp": "add", "qPath": "x", "qValue": "1"}]) == -32602
    assert alice.error(made, "ApplyPatches", [{"qOp": "replace", "qPath": "/cells/7", "qValue": "1"}]) == -32602


def test_expressions_in_properties_are_calculated(alice: Conversation) -> None:
    made = alice.make(
        title={"qStringExpression": {"qExpr": "='Sold ' & Count(distinct Product)"}},
        plain={"qStringExpression": "as it is"},
        inner={"width": {"qValueExpression": {"qExpr": "=2*3"}}, "none": {"qValueExpression": {"qExpr": "=Oops("}}},
    )
    layout = alice.layout(made)
    assert (layout["title"], layout["plain"]) == ("Sold 5", "as it is")
    assert layout["inner"] == {"width": 6, "none": "NaN"}
    alice.select("Product", "Espresso")
    assert alice.layout(made)["title"] == "Sold 1"
    assert alice.ok(alice.doc, "EvaluateEx", "Count(distinct Product)")["qValue"] == {
        "qText": "1",
        "qIsNumeric": True,
        "qNumber": 1,
    }
    checked = alice.ok(alice.doc, "CheckExpression", "Sum(Nowhere) + Sum(Sales)")
    assert (checked["qErrorMsg"], checked["qBadFieldNames"]) == ("", ["Nowhere"])
    assert alice.ok(alice.doc, "CheckExpression", "Sum(Sales")["qErrorMsg"]


def test_an_expression_knows_who_reads(alice: Conversation, erin: Conversation) -> None:
    value = {"qText": "alice", "qIsNumeric": False, "qNumber": 0}
    assert alice.ok(alice.doc, "EvaluateEx", "=OSUser()")["qValue"] == value
    assert erin.ok(erin.doc, "Evaluate", "'by ' & osuser( )")["qReturn"] == "by erin"
    assert alice.ok(alice.doc, "CheckExpression", "=OSUser(Product)")["qErrorMsg"]


def test_the_app_describes_itself(alice: Conversation) -> None:
    layout = alice.ok(alice.doc, "GetAppLayout")["qLayout"]
    assert (layout["qTitle"], layout["qHasData"]) == ("Retail sales", True)
    assert layout["qLocaleInfo"]["qCalendarStrings"]["qMonthNames"][0] == "Jan"
    tables = alice.ok(alice.doc, "GetTablesAndKeys")["qtr"]
    assert tables[0]["qNoOfRows"] == len(alice.session.table.rows)
    described = alice.ok(alice.doc, "GetFieldDescription", "[Sales]")["qReturn"]
    assert (described["qName"], described["qIsNumeric"]) == ("Sales", True)
    assert alice.ok(GLOBAL, "GetAuthenticatedUser") == {"qReturn": "alice"}
    assert alice.ok(GLOBAL, "GetActiveDoc")["qReturn"]["qHandle"] == alice.doc
    assert alice.ok(GLOBAL, "GetProgress", 1)["qProgressData"]["qFinished"] is True
