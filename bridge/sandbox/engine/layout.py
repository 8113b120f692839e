"""Layouts: the properties of an object with every definition in them calculated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.engine import columns, formats, hypercube, listobject, lists
from bridge.sandbox.engine.expressions import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.session import Item, Session

    Calculate = Callable[[Session, Item, Json], object]

NOT_SHOWN = ("qInfo", "qExtendsId", "qMetaDef")


def layout(session: Session, item: Item) -> Json:
    """Return what `GetLayout` answers for an object."""
    properties = item.properties
    shown = _parts(session, item, {name: value for name, value in properties.items() if name not in NOT_SHOWN})
    return {
        "qInfo": {"qId": item.id, "qType": str(columns.part(properties, "qInfo").get("qType") or "")},
        "qMeta": lists.meta(item),
        "qSelectionInfo": _selection_info(session, item),
        "qHasSoftPatches": item.is_patched,
        **shown,
    }


def _selection_info(session: Session, item: Item) -> Json:
    selections = session.selections
    if selections.modal != item.id:
        return {}
    return {"qInSelections": True, "qMadeSelections": selections.chosen != selections.before_modal}


def _parts(session: Session, item: Item, value: Json) -> Json:
    return dict(_part(session, item, name, inner) for name, inner in value.items())


def _part(session: Session, item: Item, name: str, value: object) -> tuple[str, object]:
    if name in CALCULATED and isinstance(value, dict):
        return name.removesuffix("Def"), CALCULATED[name](session, item, value)
    return name, _laid_out(session, item, value)


def _laid_out(session: Session, item: Item, value: object) -> object:
    if isinstance(value, list):
        return [_laid_out(session, item, entry) for entry in value]
    if not isinstance(value, dict):
        return value
    for name in ("qStringExpression", "qValueExpression"):
        if name in value:
            return _expressed(session, name, value[name])
    return _parts(session, item, value)


def _expressed(session: Session, kind: str, definition: object) -> object:
    """Calculate a property that is an expression; one without `=` is the text itself."""
    text = definition.get("qExpr", "") if isinstance(definition, dict) else definition
    if not isinstance(text, str) or (kind == "qStringExpression" and not text.strip().startswith("=")):
        return text
    value = compiled(text).value(session.table, session.selections.rows())
    if kind == "qStringExpression":
        return formats.text(value)
    return "NaN" if value is None else value


def _hypercube(session: Session, item: Item, definition: Json) -> Json:
    return hypercube.layout(session.app, session.selections, definition, modal=session.selections.modal == item.id)


def _list_object(session: Session, item: Item, definition: Json) -> Json:
    return listobject.layout(session.app, session.selections, definition, item.search)


def _selection_object(session: Session, _item: Item, _definition: Json) -> Json:
    return listobject.current_selections(session.selections)


def _undo_info(_session: Session, _item: Item, _definition: Json) -> Json:
    return {"qUndoCount": 0, "qRedoCount": 0}


def _child_list(session: Session, item: Item, definition: Json) -> Json:
    """Return the children that the object names in `cells`, as a sheet does."""
    names = [str(cell.get("name")) for cell in columns.parts(item.properties, "cells")]
    return {"qItems": [lists.entry(child, definition) for name in names if (child := session.find(name))]}


def _listed(calculate: Callable[[Session, Json], Json]) -> Calculate:
    return lambda session, _item, definition: calculate(session, definition)


CALCULATED: dict[str, Calculate] = {
    "qHyperCubeDef": _hypercube,
    "qListObjectDef": _list_object,
    "qSelectionObjectDef": _selection_object,
    "qUndoInfoDef": _undo_info,
    "qChildListDef": _child_list,
    **{f"{name}Def": _listed(calculate) for name, calculate in lists.CALCULATED.items()},
}
DEPENDS_ON_SELECTIONS = {
    "qHyperCubeDef",
    "qListObjectDef",
    "qSelectionObjectDef",
    "qStringExpression",
    "qValueExpression",
}


def depends_on_selections(value: object) -> bool:
    """Say whether a selection changes the layout of these properties."""
    if isinstance(value, list):
        return any(depends_on_selections(entry) for entry in value)
    if not isinstance(value, dict):
        return False
    return not DEPENDS_ON_SELECTIONS.isdisjoint(value) or any(depends_on_selections(inner) for inner in value.values())
