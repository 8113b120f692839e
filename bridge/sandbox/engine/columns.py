"""The dimensions and measures of a hypercube, as its definition and the app's master items give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.engine import formats
from bridge.sandbox.engine.expressions import compiled
from bridge.sandbox.engine.rpc import BAD_DEFINITION
from bridge.sandbox.engine.table import field_name

if TYPE_CHECKING:
    from bridge.sandbox.engine.app import App
    from bridge.sandbox.engine.expressions import Expression
    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.selections import Selections
    from bridge.sandbox.engine.table import Table

NO_ERROR: Json = {}


@dataclass(frozen=True)
class Dimension:
    """A column of field values; `field` is empty where the definition names none."""

    field: str
    title: str
    definition: Json
    library_id: str
    criteria: object
    attributes: tuple[Expression, ...] = ()

    @property
    def error(self) -> Json:
        return NO_ERROR if self.field else {"qError": {"qErrorCode": BAD_DEFINITION}}


@dataclass(frozen=True)
class Measure:
    """A column of calculated values."""

    expression: Expression
    title: str
    definition: Json
    library_id: str
    direction: int
    attributes: tuple[Expression, ...] = ()

    @property
    def number_format(self) -> Json:
        return part(self.definition, "qNumFormat") or formats.AUTO

    @property
    def error(self) -> Json:
        wrong = self.expression.error
        return {"qError": {"qErrorCode": BAD_DEFINITION, "qExtendedMessage": wrong}} if wrong else NO_ERROR


def part(given: Json, name: str) -> Json:
    """Return the object under a name, or an empty one."""
    found = given.get(name)
    return found if isinstance(found, dict) else {}


def parts(given: Json, name: str) -> list[Json]:
    found = given.get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def first(given: Json, name: str) -> object:
    found = given.get(name)
    return found[0] if isinstance(found, list) and found else None


def dimension(app: App, table: Table, given: Json) -> Dimension:
    own, library_id = part(given, "qDef"), str(given.get("qLibraryId") or "")
    master = part(app.dimensions[library_id].properties, "qDim") if library_id in app.dimensions else {}
    source = master if library_id else own
    name = field_name(first(source, "qFieldDefs"))
    label = first(own, "qFieldLabels") or first(master, "qFieldLabels") or master.get("title")
    title = str(label or name)
    criteria = first(own, "qSortCriterias")
    return Dimension(name if name in table.symbols else "", title, own, library_id, criteria, _attributes(given))


def measure(app: App, given: Json) -> Measure:
    own, library_id = part(given, "qDef"), str(given.get("qLibraryId") or "")
    master = part(app.measures[library_id].properties, "qMeasure") if library_id in app.measures else {}
    text = str((master if library_id else own).get("qDef") or "")
    title = str(own.get("qLabel") or master.get("qLabel") or text.removeprefix("="))
    direction = part(given, "qSortBy").get("qSortByNumeric", 0)
    shown = own if "qNumFormat" in own or not master else {**own, "qNumFormat": part(master, "qNumFormat")}
    order = direction if isinstance(direction, int) else 0
    return Measure(compiled(text), title, shown, library_id, order, _attributes(given))


def _attributes(given: Json) -> tuple[Expression, ...]:
    return tuple(compiled(str(entry.get("qExpression") or "")) for entry in parts(given, "qAttributeExpressions"))


def _custom(definition: Json) -> Json:
    """Return what a client put beside Qlik's own properties; the engine hands it back in the layout."""
    return {name: value for name, value in definition.items() if not name.startswith("q")}


def _library(library_id: str) -> Json:
    return {"qLibraryId": library_id} if library_id else {}


def dimension_info(selections: Selections, column: Dimension, given: Json, in_cube: int) -> Json:
    """Return a dimension as the layout shows it; `in_cube` is how many of its values the cube holds."""
    table, name = selections.table, column.field
    values = table.symbols.get(name, [])
    numbers = [number for value in values if (number := table.number(name, value)) is not None]
    count, numeric = len(values), bool(name) and table.is_numeric(name)
    return {
        "qFallbackTitle": column.title,
        "qApprMaxGlyphCount": max([1, *(len(formats.text(value)) for value in values)]),
        "qCardinal": count,
        "qSortIndicator": "A",
        "qGroupFallbackTitles": [column.title],
        "qGroupPos": 0,
        "qStateCounts": selections.counts(name) if name else {},
        "qTags": ["$numeric"] if numeric else ["$ascii", "$text"],
        "qDimensionType": "N" if numeric else "D",
        "qReverseSort": False,
        "qGrouping": "N",
        "qNumFormat": formats.AUTO,
        "qIsAutoFormat": True,
        "qGroupFieldDefs": [f"[{name}]"] if name else [],
        "qMin": min(numbers, default="NaN"),
        "qMax": max(numbers, default="NaN"),
        "qAttrExprInfo": [{"qFallbackTitle": "", "qMin": "NaN", "qMax": "NaN"} for _ in column.attributes],
        "qAttrDimInfo": [{} for _ in parts(given, "qAttributeDimensions")],
        "qCardinalities": {"qCardinal": count, "qHypercubeCardinal": in_cube, "qAllValuesCardinal": -1},
        **_library(column.library_id),
        **_custom(column.definition),
        **column.error,
    }


def measure_info(column: Measure, cells: list[Json]) -> Json:
    numbers = [cell["qNum"] for cell in cells if isinstance(cell["qNum"], int | float)]
    return {
        "qFallbackTitle": column.title,
        "qApprMaxGlyphCount": max([1, *(len(cell["qText"]) for cell in cells)]),
        "qCardinal": 0,
        "qSortIndicator": "A" if column.direction > 0 else "D",
        "qNumFormat": column.number_format,
        "qMin": min(numbers, default="NaN"),
        "qMax": max(numbers, default="NaN"),
        "qReverseSort": False,
        "qIsAutoFormat": column.number_format.get("qType", "U") == "U",
        "qAttrExprInfo": [{"qFallbackTitle": "", "qMin": "NaN", "qMax": "NaN"} for _ in column.attributes],
        "qAttrDimInfo": [],
        "qTrendLines": [],
        **_library(column.library_id),
        **_custom(column.definition),
        **column.error,
    }
