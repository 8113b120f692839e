"""List objects: the values of one field with their states, and the list of what is selected."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from bridge.sandbox.engine import columns, formats, pages, sorting

if TYPE_CHECKING:
    from bridge.sandbox.engine.app import App
    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.selections import Selections

SHOWN_AT_MOST = 6


def values(app: App, selections: Selections, definition: Json, search: str = "") -> list[list[Json]]:
    """Return the field's values in order, one a row; a search leaves those that match it."""
    column = columns.dimension(app, selections.table, definition)
    if not column.field:
        return []
    table, name = selections.table, column.field
    states = selections.states(name)
    places = sorting.ranks(selections, name, column.criteria)
    found = []
    for element in sorted(range(len(states)), key=places.__getitem__):
        value = table.symbols[name][element]
        number = table.number(name, value)
        text = formats.text(value)
        if matches(search, text):
            shown = "NaN" if number is None else number
            found.append([{"qText": text, "qNum": shown, "qElemNumber": element, "qState": states[element]}])
    return found


def matches(search: str, text: str) -> bool:
    """Match words anywhere, or a pattern with `*` and `?`; capitals do not matter."""
    wanted, text = search.casefold().strip(), text.casefold()
    if "*" in wanted or "?" in wanted:
        return fnmatch.fnmatchcase(text, wanted)
    return not wanted or any(word in text for word in wanted.split())


def layout(app: App, selections: Selections, definition: Json, search: str = "") -> Json:
    """Return the `qListObject` of a layout."""
    column = columns.dimension(app, selections.table, definition)
    matrix = values(app, selections, definition, search)
    return {
        "qSize": {"qcx": 1, "qcy": len(matrix)},
        "qDimensionInfo": columns.dimension_info(selections, column, definition, len(matrix)),
        "qExpressions": [],
        "qDataPages": pages.cut(matrix, columns.parts(definition, "qInitialDataFetch")),
    }


def current_selections(selections: Selections) -> Json:
    """Return the `qSelectionObject` of a layout."""
    chosen = [(name, elements) for name, elements in selections.chosen.items() if elements]
    return {
        "qBackCount": len(selections.past),
        "qForwardCount": len(selections.future),
        "qSelections": [_selection(selections, name, sorted(elements)) for name, elements in chosen],
    }


def _selection(selections: Selections, name: str, elements: list[int]) -> Json:
    every = selections.table.symbols[name]
    texts = [formats.text(every[element]) for element in elements]
    return {
        "qTotal": len(every),
        "qIsNum": selections.table.is_numeric(name),
        "qField": name,
        "qLocked": name in selections.locked,
        "qReadableName": name,
        "qDimensionReferences": [],
        "qSelectedCount": len(elements),
        "qSelected": ", ".join(texts) if len(texts) <= SHOWN_AT_MOST else f"{len(texts)} of {len(every)}",
        "qRangeInfo": [],
        "qSortIndex": 0,
        "qStateCounts": selections.counts(name),
        "qSelectedFieldSelectionInfo": [
            {"qName": text, "qElemNumber": element} for text, element in zip(texts, elements, strict=True)
        ],
        "qSelectionThreshold": SHOWN_AT_MOST,
    }
