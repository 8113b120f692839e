"""Hypercubes: the values of the dimensions that occur together, and what the measures make of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.engine import columns, formats, pages, sorting, stack
from bridge.sandbox.engine.rpc import RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.sandbox.engine.app import App
    from bridge.sandbox.engine.columns import Dimension, Measure
    from bridge.sandbox.engine.expressions import Expression
    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.selections import Selections

    Group = tuple[tuple[int, ...], list[int]]

STACKED = ("K", "T")


@dataclass(frozen=True)
class Cube:
    """A calculated hypercube."""

    dimensions: list[Dimension]
    measures: list[Measure]
    matrix: list[list[Json]]
    totals: list[Json]

    def column(self, at: int) -> list[Json]:
        return [row[at] for row in self.matrix]


def compute(app: App, selections: Selections, definition: Json, *, modal: bool = False) -> Cube:
    """Calculate a cube. One that is being selected in keeps the values that its own selections exclude."""
    table = selections.table
    dimensions = [columns.dimension(app, table, given) for given in columns.parts(definition, "qDimensions")]
    measures = [columns.measure(app, given) for given in columns.parts(definition, "qMeasures")]
    rows = selections.rows({column.field for column in dimensions} if modal else ())
    groups = _groups(selections, dimensions, rows)
    matrix = [
        [*_values(selections, dimensions, key, group), *_calculated(selections, measures, group)]
        for key, group in groups
    ]
    matrix = _without_suppressed(definition, len(dimensions), matrix)
    _sort(selections, definition, (dimensions, measures), matrix)
    return Cube(dimensions, measures, matrix, _calculated(selections, measures, rows))


def _groups(selections: Selections, dimensions: Sequence[Dimension], rows: Sequence[int]) -> list[Group]:
    """Return each combination of values with its rows; without dimensions all rows are one."""
    if any(not column.field for column in dimensions):
        return []
    codes = [selections.table.elements[column.field] for column in dimensions]
    found: dict[tuple[int, ...], list[int]] = {} if dimensions else {(): []}
    for row in rows:
        found.setdefault(tuple(column[row] for column in codes), []).append(row)
    return sorted(found.items())


def _values(
    selections: Selections, dimensions: Sequence[Dimension], key: tuple[int, ...], rows: Sequence[int]
) -> list[Json]:
    found = []
    for column, element in zip(dimensions, key, strict=True):
        table = selections.table
        value = table.symbols[column.field][element]
        number = table.number(column.field, value)
        cell = {
            "qText": formats.text(value),
            "qNum": "NaN" if number is None else number,
            "qElemNumber": element,
            "qState": _state(selections, column.field, element),
        }
        found.append({**cell, **_attribute_values(selections, column.attributes, rows)})
    return found


def _state(selections: Selections, name: str, element: int) -> str:
    if chosen := selections.chosen.get(name):
        return ("L" if name in selections.locked else "S") if element in chosen else "A"
    return "O"


def _calculated(selections: Selections, measures: Sequence[Measure], rows: Sequence[int]) -> list[Json]:
    table = selections.table
    return [
        {
            **formats.cell(column.expression.value(table, rows), column.number_format),
            **_attribute_values(selections, column.attributes, rows),
        }
        for column in measures
    ]


def _attribute_values(selections: Selections, attributes: Sequence[Expression], rows: Sequence[int]) -> Json:
    if not attributes:
        return {}
    cells = [formats.cell(attribute.value(selections.table, rows)) for attribute in attributes]
    return {"qAttrExps": {"qValues": [{"qText": cell["qText"], "qNum": cell["qNum"]} for cell in cells]}}


def _without_suppressed(definition: Json, dimensions: int, matrix: list[list[Json]]) -> list[list[Json]]:
    """Leave out rows without any value, and those of zeros alone, where the definition asks for it."""
    if not dimensions or not matrix or len(matrix[0]) == dimensions:
        return matrix
    nothing: set[object] = {"NaN"} if definition.get("qSuppressMissing") else set()
    if definition.get("qSuppressZero"):
        nothing |= {0, "NaN"}
    return [row for row in matrix if any(cell["qNum"] not in nothing for cell in row[dimensions:])]


def _sort(
    selections: Selections,
    definition: Json,
    cube: tuple[Sequence[Dimension], Sequence[Measure]],
    matrix: list[list[Json]],
) -> None:
    """Sort by one column after the other, the least important first; qInterColumnSortOrder names the order."""
    for at in reversed(_order(definition, len(cube[0]) + len(cube[1]))):
        if at >= len(cube[0]):
            _sort_by_measure(matrix, at, cube[1][at - len(cube[0])].direction)
        elif column := cube[0][at].field:
            places = sorting.ranks(selections, column, cube[0][at].criteria)
            matrix.sort(key=_place(places, at))


def _order(definition: Json, count: int) -> list[int]:
    """Return every column, the one that sorts first in front."""
    asked = definition.get("qInterColumnSortOrder")
    order = [at for at in asked if isinstance(at, int) and 0 <= at < count] if isinstance(asked, list) else []
    return [*order, *(at for at in range(count) if at not in order)]


def _place(places: Sequence[int], at: int) -> Callable[[list[Json]], int]:
    return lambda row: places[row[at]["qElemNumber"]]


def _sort_by_measure(matrix: list[list[Json]], at: int, direction: int) -> None:
    """Put the rows in the order of a measure; null comes last either way."""
    if direction:
        matrix.sort(
            key=lambda row: (row[at]["qNum"] == "NaN", 0 if row[at]["qNum"] == "NaN" else row[at]["qNum"] * direction)
        )


def layout(app: App, selections: Selections, definition: Json, *, modal: bool = False) -> Json:
    """Return the `qHyperCube` of a layout."""
    cube = compute(app, selections, definition, modal=modal)
    given = columns.parts(definition, "qDimensions")
    width, mode = len(cube.dimensions) + len(cube.measures), str(definition.get("qMode") or "S")
    fetch = columns.parts(definition, "qInitialDataFetch")
    return {
        "qSize": {"qcx": width, "qcy": len(cube.matrix)},
        "qDimensionInfo": [
            columns.dimension_info(selections, column, given[at], len({cell["qText"] for cell in cube.column(at)}))
            for at, column in enumerate(cube.dimensions)
        ],
        "qMeasureInfo": [
            columns.measure_info(column, cube.column(len(cube.dimensions) + at))
            for at, column in enumerate(cube.measures)
        ],
        "qEffectiveInterColumnSortOrder": _order(definition, width),
        "qGrandTotalRow": cube.totals,
        "qDataPages": [],
        "qPivotDataPages": [],
        "qStackedDataPages": [],
        **_first_pages(cube, fetch, stacked=mode in STACKED),
        "qMode": mode,
        "qNoOfLeftDims": definition.get("qNoOfLeftDims", -1),
        "qIndentMode": False,
        "qTreeNodesOnDim": [],
        "qColumnOrder": definition.get("qColumnOrder", []),
        "qTitle": columns.part(definition, "qTitle").get("qv", ""),
        **{name: value for name, value in definition.items() if not name.startswith("q")},
    }


def _first_pages(cube: Cube, wanted: list[Json], *, stacked: bool) -> Json:
    """Return the pages that the definition fetches at once; too many cells are an error of the cube alone."""
    try:
        return (
            {"qStackedDataPages": stack.cut(cube, wanted)}
            if stacked
            else {"qDataPages": pages.cut(cube.matrix, wanted)}
        )
    except RpcError as error:
        return {"qError": {"qErrorCode": error.code}}
