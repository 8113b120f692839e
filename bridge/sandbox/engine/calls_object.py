"""The methods of generic objects, dimensions and measures: properties, layout and data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.engine import hypercube, layout, listobject, lists, pages, patches, stack
from bridge.sandbox.engine.calls_doc import get_object
from bridge.sandbox.engine.calls_global import do_nothing
from bridge.sandbox.engine.columns import parts
from bridge.sandbox.engine.methods import NOTHING, Method, invalid, obj, text
from bridge.sandbox.engine.rpc import ACCESS_DENIED, NO_HYPERCUBE, RpcError

if TYPE_CHECKING:
    from bridge.sandbox.engine.hypercube import Cube
    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.session import Item, Link


def item_of(link: Link, ident: str) -> Item:
    item = link.session.find(ident)
    if item is None:
        raise invalid("handle")
    return item


def definition_at(item: Item, path: object, name: str) -> Json:
    """Return the definition under a path such as `/qHyperCubeDef`."""
    found = lists.at_path(item.properties, text(path, "qPath"))
    if not isinstance(found, dict) or not text(path, "qPath").endswith(name):
        raise RpcError(NO_HYPERCUBE, "Invalid object", str(path))
    return found


def get_layout(link: Link, ident: str) -> Json:
    return {"qLayout": layout.layout(link.session, item_of(link, ident))}


def get_properties(link: Link, ident: str) -> Json:
    item = item_of(link, ident)
    return {"qProp": item.stored.properties if item.stored else item.properties}


def get_effective_properties(link: Link, ident: str) -> Json:
    return {"qProp": item_of(link, ident).properties}


def get_full_property_tree(link: Link, ident: str) -> Json:
    item = item_of(link, ident)
    names = [str(cell.get("name")) for cell in parts(item.properties, "cells")]
    children = [get_full_property_tree(link, name)["qPropEntry"] for name in names if link.session.find(name)]
    return {"qPropEntry": {"qProperty": item.properties, "qChildren": children, "qEmbeddedSnapshotRef": None}}


def set_properties(link: Link, ident: str, properties: object) -> Json:
    item = item_of(link, ident)
    _refuse_stored(item)
    item.properties = {**obj(properties, "qProp"), "qInfo": item.properties["qInfo"]}
    link.changed.add(ident)
    return {}


def apply_patches(link: Link, ident: str, changes: object, soft: object) -> Json:
    """Change single properties; a soft patch of a stored object lasts as long as the session."""
    item = item_of(link, ident)
    if soft is not True:
        _refuse_stored(item)
    item.properties = {**patches.apply(item.properties, changes), "qInfo": item.properties["qInfo"]}
    link.changed.add(ident)
    return {}


def clear_soft_patches(link: Link, ident: str) -> Json:
    item = item_of(link, ident)
    if item.stored:
        item.properties = item.stored.properties
        link.changed.add(ident)
    return {}


def _refuse_stored(item: Item) -> None:
    if item.stored:
        raise RpcError(ACCESS_DENIED, "Access denied", item.id)


def get_info(link: Link, ident: str) -> Json:
    return {"qInfo": item_of(link, ident).properties["qInfo"]}


def get_child_infos(link: Link, ident: str) -> Json:
    names = [str(cell.get("name")) for cell in parts(item_of(link, ident).properties, "cells")]
    return {"qInfos": [child.properties["qInfo"] for name in names if (child := link.session.find(name))]}


def get_parent(_link: Link, _ident: str) -> Json:
    return NOTHING


def _cube(link: Link, ident: str, path: object) -> Cube:
    item = item_of(link, ident)
    selections = link.session.selections
    definition = definition_at(item, path, "qHyperCubeDef")
    return hypercube.compute(link.session.app, selections, definition, modal=selections.modal == ident)


def get_hypercube_data(link: Link, ident: str, path: object, wanted: object) -> Json:
    return {"qDataPages": pages.cut(_cube(link, ident, path).matrix, wanted)}


def get_hypercube_reduced_data(link: Link, ident: str, path: object, wanted: object) -> Json:
    """Return the pages themselves: the sandbox's cubes are too small for a reduced picture of them."""
    found = pages.cut(_cube(link, ident, path).matrix, wanted)
    return {"qDataPages": [{**page, "qIsReduced": False} for page in found]}


def get_hypercube_stack_data(link: Link, ident: str, path: object, wanted: object) -> Json:
    return {"qDataPages": stack.cut(_cube(link, ident, path), wanted)}


def get_list_object_data(link: Link, ident: str, path: object, wanted: object) -> Json:
    item = item_of(link, ident)
    definition = definition_at(item, path, "qListObjectDef")
    matrix = listobject.values(link.session.app, link.session.selections, definition, item.search)
    return {"qDataPages": pages.cut(matrix, wanted)}


def get_dimension(link: Link, ident: str) -> Json:
    return {"qDim": item_of(link, ident).properties.get("qDim", {})}


def get_measure(link: Link, ident: str) -> Json:
    return {"qMeasure": item_of(link, ident).properties.get("qMeasure", {})}


def get_linked_objects(_link: Link, _ident: str) -> Json:
    return {"qItems": []}


READING = {
    "GetLayout": Method(get_layout),
    "GetProperties": Method(get_properties),
    "GetInfo": Method(get_info),
    "GetLinkedObjects": Method(get_linked_objects),
    "SetProperties": Method(set_properties, "qProp"),
    "ApplyPatches": Method(apply_patches, "qPatches", "qSoftPatch"),
}
DIMENSION = {**READING, "GetDimension": Method(get_dimension)}
MEASURE = {**READING, "GetMeasure": Method(get_measure)}
OBJECT = {
    **READING,
    "GetEffectiveProperties": Method(get_effective_properties),
    "GetFullPropertyTree": Method(get_full_property_tree),
    "ClearSoftPatches": Method(clear_soft_patches),
    "GetChild": Method(get_object, "qId"),
    "GetChildInfos": Method(get_child_infos),
    "GetParent": Method(get_parent),
    "GetHyperCubeData": Method(get_hypercube_data, "qPath", "qPages"),
    "GetHyperCubeReducedData": Method(get_hypercube_reduced_data, "qPath", "qPages"),
    "GetHyperCubeStackData": Method(get_hypercube_stack_data, "qPath", "qPages"),
    "GetListObjectData": Method(get_list_object_data, "qPath", "qPages"),
    "GetSnapshotObject": Method(get_parent),
    "Resume": Method(do_nothing),
}
