"""Lists of what is in an app: sheets, fields, master items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.engine import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.sandbox.engine.app import Stored
    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.session import Item, Session


PRIVILEGES = ("read", "exportdata")
OWN_PRIVILEGES = (*PRIVILEGES, "update", "delete")


def meta(item: Item) -> Json:
    """Return the `qMeta` of an object; stored ones are published or somebody's own."""
    own = dict(columns.part(item.properties, "qMetaDef"))
    if item.stored is None:
        return {**own, "privileges": [*OWN_PRIVILEGES]}
    published = item.stored.owner is None
    return {
        "title": "",
        "description": "",
        **own,
        "id": item.id,
        "published": published,
        "approved": published,
        "privileges": [*PRIVILEGES],
    }


def entry(item: Item, definition: Json) -> Json:
    """Return one line of a list: the object's info and meta, and from `qData` the properties that its paths name."""
    wanted = columns.part(definition, "qData")
    data = {name: at_path(item.properties, path) for name, path in wanted.items()}
    return {"qInfo": dict(item.properties["qInfo"]), "qMeta": meta(item), "qData": data}


def at_path(properties: object, path: object) -> object:
    """Return what stands under a path such as `/qMetaDef/title`; nothing there is the empty text."""
    found = properties
    for name in str(path).strip("/").split("/"):
        found = found.get(name, "") if isinstance(found, dict) else ""
    return found


def _entries(session: Session, stored: Iterable[Stored], definition: Json) -> Json:
    items = [item for each in stored if (item := session.find(each.id))]
    return {"qItems": [entry(item, definition) for item in items]}


def app_objects(session: Session, definition: Json) -> Json:
    """Return the objects of one type that the person may see, private ones of others left out."""
    kind = definition.get("qType")
    return _entries(session, (each for each in session.app.seen_by(session.subject) if each.type == kind), definition)


def dimensions(session: Session, definition: Json) -> Json:
    return _entries(session, session.app.dimensions.values(), definition)


def measures(session: Session, definition: Json) -> Json:
    return _entries(session, session.app.measures.values(), definition)


def fields(session: Session, _definition: Json) -> Json:
    table = session.table
    return {
        "qItems": [
            {
                "qName": name,
                "qCardinal": len(table.symbols[name]),
                "qTags": ["$numeric", "$integer"] if table.is_numeric(name) else ["$ascii", "$text"],
                "qSrcTables": [table.name],
            }
            for name in table.fields
        ]
    }


def nothing(_session: Session, _definition: Json) -> Json:
    """Bookmarks, variables and media: apps of the sandbox have none."""
    return {"qItems": []}


CALCULATED: dict[str, Callable[[Session, Json], Json]] = {
    "qAppObjectList": app_objects,
    "qDimensionList": dimensions,
    "qMeasureList": measures,
    "qFieldList": fields,
    "qBookmarkList": nothing,
    "qVariableList": nothing,
    "qMediaList": nothing,
}
