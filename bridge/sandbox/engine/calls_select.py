"""The methods that select: in hypercubes, list objects and fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.engine import columns, formats, hypercube, listobject
from bridge.sandbox.engine.calls_global import do_nothing
from bridge.sandbox.engine.calls_object import definition_at, item_of
from bridge.sandbox.engine.columns import parts
from bridge.sandbox.engine.methods import Method, invalid, text, whole, wholes

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.selections import Selections
    from bridge.sandbox.engine.session import Link

    Choice = Callable[[Selections, str], list[int]]


def _selected(link: Link, result: Json) -> Json:
    link.changed |= link.session.touched_by_selections()
    return result


def _select(link: Link, name: str, elements: list[int], toggle: object) -> Json:
    done = bool(name) and link.session.selections.select(name, elements, toggle=toggle is True)
    return _selected(link, {"qSuccess": done})


# modal selections


def begin_selections(link: Link, ident: str) -> Json:
    link.session.selections.begin(ident)
    link.changed.add(ident)
    return {}


def end_selections(link: Link, ident: str, accept: object) -> Json:
    if link.session.selections.modal == ident:
        link.session.selections.end(accept=accept is True)
    return _selected(link, {})


def reset_made_selections(link: Link, ident: str) -> Json:
    if link.session.selections.modal == ident:
        link.session.selections.reset_modal()
    return _selected(link, {})


# hypercubes


def _fields_of(link: Link, ident: str, path: object) -> list[str]:
    """Return the fields of the columns behind a path, of a cube or of a list."""
    item, session = item_of(link, ident), link.session
    if text(path, "qPath").endswith("qListObjectDef"):
        given = [definition_at(item, path, "qListObjectDef")]
    else:
        given = parts(definition_at(item, path, "qHyperCubeDef"), "qDimensions")
    return [columns.dimension(session.app, session.table, each).field for each in given]


def select_hypercube_values(
    link: Link, ident: str, path: object, dimension: object, values: object, toggle: object
) -> Json:
    fields, at = _fields_of(link, ident, path), whole(dimension, "qDimNo")
    if not 0 <= at < len(fields):
        raise invalid("qDimNo")
    return _select(link, fields[at], wholes(values, "qValues"), toggle)


def select_hypercube_cells(link: Link, ident: str, path: object, rows: object, wanted: object) -> Json:
    """Select the values in so many rows and columns of a cube as it is shown."""
    fields, selections = _fields_of(link, ident, path), link.session.selections
    definition = definition_at(item_of(link, ident), path, "qHyperCubeDef")
    cube = hypercube.compute(link.session.app, selections, definition, modal=selections.modal == ident)
    chosen = [cube.matrix[row] for row in wholes(rows, "qRowIndices")]
    done = [
        selections.select(fields[at], [row[at]["qElemNumber"] for row in chosen], toggle=False)
        for at in wholes(wanted, "qColIndices")
        if at < len(fields)
    ]
    return _selected(link, {"qSuccess": bool(done) and all(done)})


def range_select(link: Link, ident: str, path: object, ranges: object) -> Json:
    """Select the values whose measures lie within every range."""
    fields, selections = _fields_of(link, ident, path), link.session.selections
    definition = definition_at(item_of(link, ident), path, "qHyperCubeDef")
    cube = hypercube.compute(link.session.app, selections, definition, modal=True)
    tests = parts({"ranges": ranges}, "ranges")
    rows = [row for row in cube.matrix if all(_lies_in(row[len(fields) :], test) for test in tests)]
    return _select(link, fields[0], sorted({row[0]["qElemNumber"] for row in rows}), toggle=False)


def _lies_in(measures: list[Json], test: Json) -> bool:
    bounds, value = columns.part(test, "qRange"), measures[whole(test.get("qMeasureIx"), "qMeasureIx")]["qNum"]
    if not isinstance(value, int | float):
        return False
    low, high = bounds.get("qMin", value), bounds.get("qMax", value)
    return bool(low <= value <= high)


def clear_selections(link: Link, ident: str, path: object, wanted: object) -> Json:
    fields = _fields_of(link, ident, path)
    at = wholes(wanted, "qColIndices") if wanted else range(len(fields))
    link.session.selections.clear([fields[column] for column in at if column < len(fields)])
    return _selected(link, {})


# list objects


def select_list_object_values(link: Link, ident: str, path: object, values: object, toggle: object) -> Json:
    return _select(link, _fields_of(link, ident, path)[0], wholes(values, "qValues"), toggle)


def in_states(*states: str) -> Choice:
    def choose(selections: Selections, name: str) -> list[int]:
        return [element for element, state in enumerate(selections.states(name)) if state in states]

    return choose


CHOICES = {
    "All": in_states("S", "A", "O", "X", "XS"),
    "Possible": in_states("S", "O"),
    "Excluded": in_states("A", "X"),
    "Alternative": in_states("A"),
}


def _select_in_list(choice: Choice) -> Method:
    def work(link: Link, ident: str, path: object) -> Json:
        name = _fields_of(link, ident, path)[0]
        return _select(link, name, choice(link.session.selections, name), toggle=False)

    return Method(work, "qPath")


def search_list_object_for(link: Link, ident: str, path: object, match: object) -> Json:
    item = item_of(link, ident)
    definition_at(item, path, "qListObjectDef")
    item.search = text(match, "qMatch")
    link.changed.add(ident)
    return {"qSuccess": True}


def abort_list_object_search(link: Link, ident: str) -> Json:
    item_of(link, ident).search = ""
    link.changed.add(ident)
    return {}


def accept_list_object_search(link: Link, ident: str, path: object, toggle: object) -> Json:
    item = item_of(link, ident)
    definition = definition_at(item, path, "qListObjectDef")
    found = listobject.values(link.session.app, link.session.selections, definition, item.search)
    item.search = ""
    _select(link, _fields_of(link, ident, path)[0], [row[0]["qElemNumber"] for row in found], toggle)
    return {}


# fields


def select_values(link: Link, name: str, values: object, toggle: object) -> Json:
    """Select by text or number. Without a single hit the selection stays as it is."""
    table = link.session.table
    wanted = [_is_value(each) for each in parts({"values": values}, "values")]
    elements = [
        element
        for element, value in enumerate(table.symbols[name])
        if any(test(formats.text(value), table.number(name, value)) for test in wanted)
    ]
    done = bool(elements) and link.session.selections.select(name, elements, toggle=toggle is True)
    return _selected(link, {"qReturn": done})


def _is_value(given: Json) -> Callable[[str, float | None], bool]:
    if given.get("qIsNumeric") is True:
        return lambda _text, number: number is not None and number == given.get("qNumber")
    return lambda text_, _number: text_ == given.get("qText")


def select_matching(link: Link, name: str, match: object) -> Json:
    pattern = text(match, "qMatch").strip().removeprefix("='").removesuffix("'")
    values = link.session.table.symbols[name]
    elements = [at for at, value in enumerate(values) if listobject.matches(pattern, formats.text(value))]
    done = bool(elements) and link.session.selections.select(name, elements, toggle=False)
    return _selected(link, {"qReturn": done})


def low_level_select(link: Link, name: str, values: object, toggle: object) -> Json:
    done = link.session.selections.select(name, wholes(values, "qValues"), toggle=toggle is True)
    return _selected(link, {"qReturn": done})


def clear_field(link: Link, name: str) -> Json:
    link.session.selections.clear([name])
    return _selected(link, {"qReturn": True})


def clear_all_but_this(link: Link, name: str) -> Json:
    link.session.selections.clear([other for other in link.session.selections.chosen if other != name])
    return _selected(link, {"qReturn": True})


def get_cardinal(link: Link, name: str) -> Json:
    return {"qReturn": len(link.session.table.symbols[name])}


def get_nx_properties(_link: Link, _name: str) -> Json:
    return {"qProperties": {"qOneAndOnlyOne": False}}


def lock_field(link: Link, name: str) -> Json:
    selections = link.session.selections
    selections.locked |= {name} & set(selections.chosen)
    return _selected(link, {"qReturn": name in selections.locked})


def unlock_field(link: Link, name: str) -> Json:
    link.session.selections.locked.discard(name)
    return _selected(link, {"qReturn": True})


def _select_in_field(choice: Choice) -> Method:
    def work(link: Link, name: str) -> Json:
        elements = choice(link.session.selections, name)
        return _selected(link, {"qReturn": link.session.selections.select(name, elements, toggle=False)})

    return Method(work)


OBJECT = {
    "BeginSelections": Method(begin_selections),
    "EndSelections": Method(end_selections, "qAccept"),
    "ResetMadeSelections": Method(reset_made_selections),
    "SelectHyperCubeValues": Method(select_hypercube_values, "qPath", "qDimNo", "qValues", "qToggleMode"),
    "SelectHyperCubeCells": Method(select_hypercube_cells, "qPath", "qRowIndices", "qColIndices"),
    "RangeSelectHyperCubeValues": Method(range_select, "qPath", "qRanges"),
    "ClearSelections": Method(clear_selections, "qPath", "qColIndices"),
    "SelectListObjectValues": Method(select_list_object_values, "qPath", "qValues", "qToggleMode"),
    "SearchListObjectFor": Method(search_list_object_for, "qPath", "qMatch"),
    "AbortListObjectSearch": Method(abort_list_object_search),
    "AcceptListObjectSearch": Method(accept_list_object_search, "qPath", "qToggleMode"),
    **{f"SelectListObject{name}": _select_in_list(choice) for name, choice in CHOICES.items()},
}
FIELD = {
    "GetCardinal": Method(get_cardinal),
    "GetNxProperties": Method(get_nx_properties),
    "SelectValues": Method(select_values, "qFieldValues", "qToggleMode"),
    "Select": Method(select_matching, "qMatch"),
    "LowLevelSelect": Method(low_level_select, "qValues", "qToggleMode"),
    "Clear": Method(clear_field),
    "ClearAllButThis": Method(clear_all_but_this),
    "Lock": Method(lock_field),
    "Unlock": Method(unlock_field),
    "SetAndMode": Method(do_nothing),
    **{f"Select{name}": _select_in_field(choice) for name, choice in CHOICES.items()},
}
