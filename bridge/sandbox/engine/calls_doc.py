"""The methods of an open app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.engine import formats
from bridge.sandbox.engine.calls_global import answer_no, do_nothing
from bridge.sandbox.engine.expressions import compiled
from bridge.sandbox.engine.locale import LOCALE
from bridge.sandbox.engine.methods import NOTHING, Method, obj, returned, text
from bridge.sandbox.engine.rpc import ACCESS_DENIED, RpcError
from bridge.sandbox.engine.table import field_name

if TYPE_CHECKING:
    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.session import Item, Link

LOADED_AT = "2026-01-01T06:00:00.000Z"


def get_app_layout(link: Link, _ident: str) -> Json:
    app = link.session.app
    layout = {
        "qTitle": app.name,
        "qFileName": app.id,
        "qLastReloadTime": LOADED_AT,
        "qHasScript": True,
        "qHasData": True,
        "qStateNames": [],
        "qMeta": {"title": app.name, "privileges": ["read"], "published": True},
        "qLocaleInfo": LOCALE,
        "qThumbnail": {},
        "qUnsupportedFeatures": [],
        "qUsage": "ANALYTICS",
        "id": app.id,
    }
    return {"qLayout": layout}


def get_app_properties(link: Link, _ident: str) -> Json:
    return {"qProp": {"qTitle": link.session.app.name, "qThumbnail": {}, "theme": "horizon"}}


def create_session_object(link: Link, _ident: str, properties: object) -> Json:
    return _made(link, "GenericObject", properties)


def create_session_variable(link: Link, _ident: str, properties: object) -> Json:
    return _made(link, "GenericVariable", properties)


def _made(link: Link, kind: str, properties: object) -> Json:
    item = link.session.create(obj(properties, "qProp"))
    link.drop(item.id)
    return {**returned(link, kind, item.id, _type(item)), "qInfo": item.properties["qInfo"]}


def _type(item: Item) -> str:
    return str(item.properties["qInfo"].get("qType") or "")


def create_object(_link: Link, _ident: str) -> Json:
    """Refuse: the people of the sandbox may read its apps, not change them."""
    raise RpcError(ACCESS_DENIED, "Access denied")


def get_or_create_object(link: Link, ident: str, properties: object) -> Json:
    object_id = obj(properties, "qProp").get("qInfo", {}).get("qId")
    if isinstance(object_id, str) and link.session.find(object_id):
        return get_object(link, ident, object_id)
    return create_session_object(link, ident, properties)


def destroy_session_object(link: Link, _ident: str, object_id: object) -> Json:
    item = link.session.items.get(text(object_id, "qId"))
    if item is None or item.stored:
        return {"qSuccess": False}
    del link.session.items[item.id]
    if link.session.selections.modal == item.id:
        link.session.selections.end(accept=True)
    for other in link.session.links:
        other.drop(item.id)
    return {"qSuccess": True}


def get_object(link: Link, _ident: str, object_id: object) -> Json:
    return _stored(link, "GenericObject", text(object_id, "qId"))


def get_dimension(link: Link, _ident: str, object_id: object) -> Json:
    known = text(object_id, "qId") in link.session.app.dimensions
    return _stored(link, "GenericDimension", str(object_id)) if known else NOTHING


def get_measure(link: Link, _ident: str, object_id: object) -> Json:
    known = text(object_id, "qId") in link.session.app.measures
    return _stored(link, "GenericMeasure", str(object_id)) if known else NOTHING


def _stored(link: Link, kind: str, object_id: str) -> Json:
    item = link.session.find(object_id)
    return returned(link, kind, item.id, _type(item)) if item else NOTHING


def find_nothing(_link: Link, _ident: str) -> Json:
    """Answer for bookmarks and variables: apps of the sandbox have none."""
    return NOTHING


def get_field(link: Link, _ident: str, name: object) -> Json:
    found = field_name(text(name, "qFieldName"))
    return returned(link, "Field", found) if found in link.session.table.symbols else NOTHING


def get_field_description(link: Link, _ident: str, name: object) -> Json:
    table, found = link.session.table, field_name(text(name, "qFieldName"))
    if found not in table.symbols:
        return {"qReturn": {}}
    described = {
        "qName": found,
        "qCardinal": len(table.symbols[found]),
        "qTotalCount": len(table.rows),
        "qIsNumeric": table.is_numeric(found),
        "qSrcTables": [table.name],
        "qTags": ["$numeric"] if table.is_numeric(found) else ["$ascii", "$text"],
    }
    return {"qReturn": described}


def get_tables_and_keys(link: Link, _ident: str) -> Json:
    table = link.session.table
    fields = [
        {"qName": name, "qnTotalDistinctValues": len(table.symbols[name]), "qKeyType": "NOT_KEY", "qTags": []}
        for name in table.fields
    ]
    return {"qtr": [{"qName": table.name, "qNoOfRows": len(table.rows), "qFields": fields}], "qk": []}


def get_all_infos(link: Link, _ident: str) -> Json:
    app = link.session.app
    stored = [*app.seen_by(link.session.subject), *app.dimensions.values(), *app.measures.values()]
    return {"qInfos": [dict(each.properties["qInfo"]) for each in stored]}


def evaluate_ex(link: Link, _ident: str, expression: object) -> Json:
    table, selections = link.session.table, link.session.selections
    cell = formats.cell(compiled(text(expression, "qExpression")).value(table, selections.rows()))
    is_number = isinstance(cell["qNum"], int | float)
    return {"qValue": {"qText": cell["qText"], "qIsNumeric": is_number, "qNumber": cell["qNum"] if is_number else 0}}


def evaluate(link: Link, ident: str, expression: object) -> Json:
    return {"qReturn": evaluate_ex(link, ident, expression)["qValue"]["qText"]}


def check_expression(link: Link, _ident: str, expression: object) -> Json:
    checked = compiled(text(expression, "qExpr"))
    unknown = sorted(checked.fields - set(link.session.table.fields))
    return {"qErrorMsg": checked.error, "qBadFieldNames": unknown, "qDangerousFieldNames": []}


def clear_all(link: Link, _ident: str, locked_also: object) -> Json:
    link.session.selections.clear(locked_also=locked_also is True)
    return _selected(link, {})


def lock_all(link: Link, _ident: str) -> Json:
    link.session.selections.locked = set(link.session.selections.chosen)
    return _selected(link, {})


def unlock_all(link: Link, _ident: str) -> Json:
    link.session.selections.locked = set()
    return _selected(link, {})


def back(link: Link, _ident: str) -> Json:
    return _selected(link, {"qReturn": link.session.selections.back()})


def forward(link: Link, _ident: str) -> Json:
    return _selected(link, {"qReturn": link.session.selections.forward()})


def back_count(link: Link, _ident: str) -> Json:
    return {"qReturn": len(link.session.selections.past)}


def forward_count(link: Link, _ident: str) -> Json:
    return {"qReturn": len(link.session.selections.future)}


def abort_modal(link: Link, _ident: str, accept: object) -> Json:
    link.session.selections.end(accept=accept is True)
    return _selected(link, {})


def _selected(link: Link, result: Json) -> Json:
    link.changed |= link.session.touched_by_selections()
    return result


METHODS = {
    "GetAppLayout": Method(get_app_layout),
    "GetAppProperties": Method(get_app_properties),
    "CreateSessionObject": Method(create_session_object, "qProp"),
    "CreateSessionVariable": Method(create_session_variable, "qProp"),
    "CreateObject": Method(create_object),
    "GetOrCreateObject": Method(get_or_create_object, "qProp"),
    "DestroySessionObject": Method(destroy_session_object, "qId"),
    "DestroySessionVariable": Method(destroy_session_object, "qId"),
    "DestroyObject": Method(destroy_session_object, "qId"),
    "GetObject": Method(get_object, "qId"),
    "GetDimension": Method(get_dimension, "qId"),
    "GetMeasure": Method(get_measure, "qId"),
    "GetBookmark": Method(find_nothing),
    "GetVariableById": Method(find_nothing),
    "GetVariableByName": Method(find_nothing),
    "GetField": Method(get_field, "qFieldName"),
    "GetFieldDescription": Method(get_field_description, "qFieldName"),
    "GetTablesAndKeys": Method(get_tables_and_keys),
    "GetAllInfos": Method(get_all_infos),
    "Evaluate": Method(evaluate, "qExpression"),
    "EvaluateEx": Method(evaluate_ex, "qExpression"),
    "CheckExpression": Method(check_expression, "qExpr"),
    "ClearAll": Method(clear_all, "qLockedAlso"),
    "LockAll": Method(lock_all),
    "UnlockAll": Method(unlock_all),
    "Back": Method(back),
    "Forward": Method(forward),
    "BackCount": Method(back_count),
    "ForwardCount": Method(forward_count),
    "AbortModal": Method(abort_modal, "qAccept"),
    "ClearUndoBuffer": Method(do_nothing),
    "Undo": Method(answer_no),
    "Redo": Method(answer_no),
}
