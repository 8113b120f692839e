"""Hypercubes and expressions: every cell against what the rows themselves add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sandbox.engine import formats
from bridge.sandbox.engine.content import FIELDS, apps
from bridge.sandbox.engine.expressions import compiled
from sandbox.engine_kit import GROUPS, Conversation, added, column, retail, session_of

if TYPE_CHECKING:
    from bridge.sandbox.engine import App
    from bridge.sandbox.engine.table import Table

TEXTS = ["Product", "Region", "Month", "Channel", "City"]
NUMBERS = ["Sales", "Margin", "Units"]
APPS = [app for slug in ("acme", "globex") for app in apps(slug).values()]


def rows_of(groups: list[str]) -> Table:
    table = retail().rows_for(groups)
    assert table is not None
    return table


@pytest.fixture
def erin() -> Conversation:
    return Conversation("erin")


people = st.sampled_from(sorted(GROUPS))
dimensions = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3, unique=True)
orders = st.lists(st.integers(-1, 4), max_size=4)


@settings(max_examples=60, deadline=None)
@given(who=people, names=dimensions, number=st.sampled_from(NUMBERS), order=orders, data=st.data())
def test_cells_add_up_to_the_rows_of_the_person(
    who: str, names: list[str], number: str, order: list[int], data: st.DataObject
) -> None:
    one = Conversation(who)
    rows = list(rows_of(GROUPS[who]).rows)
    chosen = data.draw(st.sampled_from([None, *TEXTS]))
    if chosen:
        value = data.draw(st.sampled_from(sorted({str(row[chosen]) for row in rows})))
        one.select(chosen, value)
        rows = [row for row in rows if row[chosen] == value]
    cube = one.cube(names, [f"=Sum([{number}])"], qInterColumnSortOrder=order)

    cells = one.rows(cube)

    expected = added(rows, number, lambda row: tuple(row[name] for name in names))
    assert {tuple(cell["qText"] for cell in row[:-1]): row[-1]["qNum"] for row in cells} == expected
    total = one.layout(cube)["qHyperCube"]["qGrandTotalRow"][0]["qNum"]
    assert total == sum(row[-1]["qNum"] for row in cells) == sum(int(row[number]) for row in rows)


@settings(max_examples=60, deadline=None)
@given(top=st.integers(0, 60), height=st.integers(0, 60), left=st.integers(0, 4), width=st.integers(0, 5))
def test_pages_are_cut_from_the_whole(top: int, height: int, left: int, width: int) -> None:
    one = Conversation("erin")
    cube = one.cube(["Product", "Month"], ["Sum(Sales)"])
    whole = one.rows(cube)
    area = {"qLeft": left, "qTop": top, "qWidth": width, "qHeight": height}

    page, reduced = (
        one.ok(cube, method, "/qHyperCubeDef", [area])["qDataPages"][0]
        for method in ("GetHyperCubeData", "GetHyperCubeReducedData")
    )

    assert page["qMatrix"] == reduced["qMatrix"] == [row[left : left + width] for row in whole[top : top + height]]
    assert page["qArea"]["qHeight"] == len(page["qMatrix"])


def test_a_call_may_ask_for_ten_thousand_cells(erin: Conversation) -> None:
    cube = erin.cube(["Product"], ["Sum(Sales)"])
    pages = [{"qTop": 0, "qLeft": 0, "qWidth": 2, "qHeight": 2500}] * 2
    assert len(erin.ok(cube, "GetHyperCubeData", "/qHyperCubeDef", pages)["qDataPages"]) == 2
    assert erin.error(cube, "GetHyperCubeData", "/qHyperCubeDef", [*pages, pages[0]]) == 7009
    eager = erin.cube(["Product"], [], qInitialDataFetch=[{"qWidth": 20, "qHeight": 1000}])
    assert erin.layout(eager)["qHyperCube"]["qError"] == {"qErrorCode": 7009}
    for page in ({"qTop": -1}, {"qHeight": "x"}, 7):
        assert erin.error(cube, "GetHyperCubeData", "/qHyperCubeDef", [page]) == -32602


# expressions

CALCULATIONS: dict[str, Any] = {
    "Sum(Sales)": lambda rows: sum(row["Sales"] for row in rows),
    "=sum( [Sales] )": lambda rows: sum(row["Sales"] for row in rows),
    "Avg(Units)": lambda rows: sum(row["Units"] for row in rows) / len(rows),
    "Min(Sales)": lambda rows: min(row["Sales"] for row in rows),
    "Max(Sales)": lambda rows: max(row["Sales"] for row in rows),
    "Count(Product)": len,
    "Count(distinct Product)": lambda rows: len({row["Product"] for row in rows}),
    "Sum(Sales) - Sum(Margin)": lambda rows: sum(row["Sales"] - row["Margin"] for row in rows),
    "Sum(Sales - Margin)": lambda rows: sum(row["Sales"] - row["Margin"] for row in rows),
    "2 + 3 * 4 - (1 + 1) / 2": lambda _rows: 13,
    "-Sum(Units)": lambda rows: -sum(row["Units"] for row in rows),
    "'Sold ' & Count(distinct Region)": lambda rows: f"Sold {len({row['Region'] for row in rows})}",
    "Sum(Sales) / 0": lambda _rows: None,
    "Sum(Nowhere)": lambda _rows: None,
    "Product": lambda _rows: None,
    "Only(Product)": lambda _rows: None,
    "Sum({<Region={'EMEA'}>} Sales)": lambda _rows: None,
    "Aggr(Sum(Sales), Product)": lambda _rows: None,
    "If(1, 2, 3)": lambda _rows: None,
    "Sum(Product)": lambda _rows: None,
    "Count(Nowhere)": lambda _rows: 0,
    "1.5": lambda _rows: 1.5,
}
BROKEN = ["Sum(Sales", "Sum(Sales))", "Sum()", "1 +", "* 2", "", "Sales Units", ")", "Sum(Sales,Units)"]


@pytest.mark.parametrize("expression", CALCULATIONS)
def test_expressions_mean_what_they_say(expression: str) -> None:
    table = rows_of(["bridge-admins"])
    value = compiled(expression).value(table, range(len(table.rows)))
    expected = CALCULATIONS[expression](table.rows)
    assert value == (pytest.approx(expected) if isinstance(expected, float) else expected)
    assert compiled(expression).error == ""


@pytest.mark.parametrize("expression", BROKEN)
def test_wrong_syntax_is_an_error_of_the_measure(erin: Conversation, expression: str) -> None:
    assert compiled(expression).error
    cube = erin.layout(erin.cube(["Product"], [expression]))["qHyperCube"]
    assert cube["qMeasureInfo"][0]["qError"]["qErrorCode"] == 7000
    assert cube["qSize"]["qcy"] == 8


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="Sum(ales)[]{}<>+-*/&'\"=,.1 \n\\é", max_size=40))
def test_no_expression_breaks_the_engine(expression: str) -> None:
    value = compiled(expression).value(rows_of([]), range(5))
    assert value is None or isinstance(value, str | int | float)


def test_very_deep_expressions_are_null(erin: Conversation) -> None:
    for expression in ("(" * 5000 + "1" + ")" * 5000, "-" * 5000 + "1", "1" + "+1" * 20_000):
        assert erin.texts(erin.cube([], [expression])) == [["-"]]
    assert erin.texts(erin.cube([], ["1" + "+1" * 30])) == [["31"]]


def test_null_is_a_dash_without_a_number(erin: Conversation) -> None:
    (cell,) = erin.rows(erin.cube([], ["Sum(Nowhere)"]))[0]
    assert (cell["qText"], cell["qNum"], cell["qIsNull"]) == ("-", "NaN", True)


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (1234, None, "1234"),
        (1234.5, None, "1234.5"),
        (1234567, {"qType": "F", "qFmt": "#,##0"}, "1,234,567"),
        (1234.5, {"qType": "F", "qFmt": "#,##0.00"}, "1,234.50"),
        (1234.5, {"qType": "M", "qFmt": "$#,##0.00;-$#,##0.00"}, "$1,234.50"),
        (0.256, {"qType": "F", "qFmt": "0.0%"}, "25.6%"),
        (3, {"qType": "F", "qFmt": "0.##"}, "3"),
        (3.14159, {"qType": "F", "qFmt": "0.##"}, "3.14"),
        (7, {"qType": "F", "qFmt": "none"}, "7"),
        ("text", {"qType": "F", "qFmt": "#,##0"}, "text"),
        (None, None, "-"),
    ],
)
def test_numbers_are_written_by_their_format(value: Any, number_format: Any, shown: str) -> None:  # noqa: ANN401 - any of the table
    assert formats.text(value, number_format) == shown


# columns


def test_master_items_stand_in_for_definitions(erin: Conversation) -> None:
    definition = {"qDimensions": [{"qLibraryId": "dim-product"}], "qMeasures": [{"qLibraryId": "mea-sales"}]}
    made = erin.make(qHyperCubeDef=definition)
    cube = erin.layout(made)["qHyperCube"]
    assert (cube["qDimensionInfo"][0]["qFallbackTitle"], cube["qDimensionInfo"][0]["qLibraryId"]) == (
        "Product line",
        "dim-product",
    )
    assert (cube["qMeasureInfo"][0]["qFallbackTitle"], cube["qMeasureInfo"][0]["qLibraryId"]) == (
        "Total sales",
        "mea-sales",
    )
    plain = erin.cube(["Product"], ["Sum(Sales)"])
    assert erin.texts(made) == erin.texts(plain)


def test_an_unknown_dimension_is_an_error_and_has_no_rows(erin: Conversation) -> None:
    for name in ("Nowhere", "=Upper(Product)", ""):
        cube = erin.layout(erin.cube([name], ["Sum(Sales)"]))["qHyperCube"]
        assert cube["qDimensionInfo"][0]["qError"] == {"qErrorCode": 7000}
        assert cube["qSize"] == {"qcx": 2, "qcy": 0}
    lost = erin.layout(erin.make(qHyperCubeDef={"qDimensions": [{"qLibraryId": "gone"}]}))["qHyperCube"]
    assert lost["qDimensionInfo"][0]["qError"]


def test_infos_carry_labels_bounds_and_what_the_client_put_there(erin: Conversation) -> None:
    definition = {
        "qDimensions": [{"qDef": {"qFieldDefs": ["=[Product]"], "qFieldLabels": ["What"], "cId": "a"}}],
        "qMeasures": [{"qDef": {"qDef": "Sum(Sales)", "qLabel": "How much", "cId": "b"}}],
    }
    cube = erin.layout(erin.make(qHyperCubeDef=definition))["qHyperCube"]
    (dimension,), (measure,) = cube["qDimensionInfo"], cube["qMeasureInfo"]
    sums = added(list(erin.session.table.rows), "Sales", lambda row: row["Product"]).values()
    assert (dimension["qFallbackTitle"], dimension["cId"], dimension["qCardinal"]) == ("What", "a", 8)
    assert (measure["qFallbackTitle"], measure["cId"]) == ("How much", "b")
    assert (measure["qMin"], measure["qMax"]) == (min(sums), max(sums))
    assert dimension["qCardinalities"]["qHypercubeCardinal"] == 8


def test_attribute_expressions_go_with_their_cells(erin: Conversation) -> None:
    dimension = {"qDef": {"qFieldDefs": ["Region"]}, "qAttributeExpressions": [{"qExpression": "Count(distinct City)"}]}
    made = erin.make(qHyperCubeDef={"qDimensions": [dimension]})
    cities = {row[0]["qText"]: row[0]["qAttrExps"]["qValues"][0]["qNum"] for row in erin.rows(made)}
    assert cities == {"EMEA": 2, "AMER": 2, "APAC": 2, "Online": 1}
    assert len(erin.layout(made)["qHyperCube"]["qDimensionInfo"][0]["qAttrExprInfo"]) == 1


def test_rows_of_nothing_are_suppressed_when_asked(erin: Conversation) -> None:
    assert len(erin.texts(erin.cube(["Product"], ["Sum(Nowhere)"]))) == 8
    assert erin.texts(erin.cube(["Product"], ["Sum(Nowhere)"], qSuppressMissing=True)) == []
    assert len(erin.texts(erin.cube(["Product"], ["Sum(Sales) * 0"], qSuppressMissing=True))) == 8
    assert erin.texts(erin.cube(["Product"], ["Sum(Sales) * 0"], qSuppressZero=True)) == []


# order


def sorted_products(erin: Conversation, **criteria: object) -> list[str]:
    dimension = {"qDef": {"qFieldDefs": ["Product"], "qSortCriterias": [criteria]}}
    return column(erin.texts(erin.make(qHyperCubeDef={"qDimensions": [dimension]})))


def test_values_sort_by_their_criteria(erin: Conversation) -> None:
    table = erin.session.table
    loaded = [str(value) for value in table.symbols["Product"]]
    sums = added(list(table.rows), "Sales", lambda row: row["Product"])
    counts = added([{"n": 1, **row} for row in table.rows], "n", lambda row: row["Product"])
    assert sorted_products(erin) == loaded
    assert sorted_products(erin, qSortByLoadOrder=-1) == loaded[::-1]
    assert sorted_products(erin, qSortByAscii=1) == sorted(loaded)
    assert sorted_products(erin, qSortByNumeric=1, qSortByAscii=-1) == sorted(loaded, reverse=True)
    by_size = sorted_products(erin, qSortByExpression=-1, qExpression={"qv": "Sum(Sales)"})
    assert by_size == sorted(loaded, key=sums.__getitem__, reverse=True)
    assert counts[sorted_products(erin, qSortByFrequency=-1)[0]] == max(counts.values())


def test_months_sort_as_months(erin: Conversation) -> None:
    by_number = {"qDef": {"qFieldDefs": ["Month"], "qSortCriterias": [{"qSortByNumeric": 1, "qSortByAscii": 1}]}}
    made = erin.make(qHyperCubeDef={"qDimensions": [by_number]})
    months = erin.rows(made)
    assert [row[0]["qText"] for row in months][:4] == ["Jan", "Feb", "Mar", "Apr"]
    assert [row[0]["qNum"] for row in months] == list(range(1, 13))


def test_a_measure_that_comes_first_sorts_the_rows(erin: Conversation) -> None:
    definition = {
        "qDimensions": [{"qDef": {"qFieldDefs": ["Product"]}}],
        "qMeasures": [{"qDef": {"qDef": "Sum(Sales)"}, "qSortBy": {"qSortByNumeric": -1}}],
        "qInterColumnSortOrder": [1, 0],
    }
    made = erin.make(qHyperCubeDef=definition)
    sums = [row[1]["qNum"] for row in erin.rows(made)]
    assert sums == sorted(sums, reverse=True)
    assert erin.layout(made)["qHyperCube"]["qEffectiveInterColumnSortOrder"] == [1, 0]


# stacks


def leaves(node: dict[str, Any]) -> list[float]:
    below = [value for child in node["qSubNodes"] for value in leaves(child)]
    return [node["qValue"]] if node["qType"] == "V" else below


def test_a_stack_is_a_tree_of_the_dimensions(erin: Conversation) -> None:
    made = erin.cube(["Region", "Channel"], ["Sum(Sales)"], qMode="K", qInitialDataFetch=[{"qWidth": 9, "qHeight": 9}])
    (root,) = erin.layout(made)["qHyperCube"]["qStackedDataPages"][0]["qData"]
    sums = added(list(erin.session.table.rows), "Sales", lambda row: (row["Region"], row["Channel"]))
    tree = {(a["qText"], b["qText"]): leaves(b)[0] for a in root["qSubNodes"] for b in a["qSubNodes"]}
    assert tree == sums
    assert root["qMaxPos"] == sum(sums.values()) == sum(leaves(root))
    page = erin.ok(made, "GetHyperCubeStackData", "/qHyperCubeDef", [{"qLeft": 1, "qWidth": 2, "qHeight": 9}])
    (part,) = page["qDataPages"][0]["qData"]
    assert [node["qText"] for node in part["qSubNodes"]] == [node["qText"] for node in root["qSubNodes"]][1:3]
    assert [node["qRow"] for node in part["qSubNodes"]] == [1, 2]


# content


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.id)
def test_every_chart_of_every_app_has_something_to_show(app: App) -> None:
    one = Conversation(session_of("erin", app))
    assert app.table.fields == FIELDS
    for stored in app.objects.values():
        layout = one.layout(one.get(stored.id))
        if "qHyperCube" in layout:
            cells = layout["qHyperCube"]["qDataPages"][0]["qMatrix"]
            assert cells
            assert all(row[-1]["qNum"] > 0 for row in cells)
            assert "qError" not in str(layout["qHyperCube"])
