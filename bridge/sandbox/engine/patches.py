"""JSON patches as `ApplyPatches` takes them: a path, an operation, and the new value as JSON text."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

from bridge.sandbox.engine.methods import invalid

if TYPE_CHECKING:
    from bridge.sandbox.engine.rpc import Json

OPERATIONS = {"add": "add", "remove": "remove", "replace": "replace", 0: "add", 1: "remove", 2: "replace"}


def apply(properties: Json, patches: object) -> Json:
    """Return patched properties; the given ones stay as they are."""
    if not isinstance(patches, list):
        raise invalid("qPatches")
    changed = copy.deepcopy(properties)
    for patch in patches:
        _apply(changed, patch)
    return changed


def _apply(properties: Json, patch: object) -> None:
    path = patch.get("qPath") if isinstance(patch, dict) else None
    if not isinstance(patch, dict) or not isinstance(path, str) or not path.startswith("/"):
        raise invalid("qPath")
    operation = OPERATIONS.get(str(patch.get("qOp", "add")).lower()) or OPERATIONS.get(patch.get("qOp", 0))
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in path.strip("/").split("/")]
    place: object = properties
    for part in way:
        place = _step(place, part)
    if operation == "remove":
        _remove(place, last)
    else:
        _put(place, last, json.loads(str(patch.get("qValue"))), insert=operation == "add")


def _step(place: object, part: str) -> object:
    if isinstance(place, dict):
        return place.setdefault(part, {})
    if isinstance(place, list):
        return place[int(part)]
    raise invalid("qPath")


def _put(place: object, name: str, value: object, *, insert: bool) -> None:
    if isinstance(place, dict):
        place[name] = value
    elif isinstance(place, list) and insert:
        place.insert(len(place) if name == "-" else int(name), value)
    elif isinstance(place, list):
        place[int(name)] = value
    else:
        raise invalid("qPath")


def _remove(place: object, name: str) -> None:
    if isinstance(place, dict):
        place.pop(name, None)
    elif isinstance(place, list):
        place.pop(int(name))
    else:
        raise invalid("qPath")
