"""What one person finds in an open app: sheets, the objects on them, and the rows of probes, counted and hashed."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from bridge.errors import BadContent, TenantGarbled
from bridge.evidence import OpenedApp, RowProbe, Rows

MAX_OBJECTS = 500
"""More on the sheets of one app than this is an error: half of them would be half a proof."""
NOT_OF_THE_APP = "the probe's dimension or measure is not of the app"


class OpenApp(Protocol):
    """The questions that `app_seen` asks of an open app."""

    def reloaded_at(self) -> str: ...

    def sheets(self) -> Sequence[Mapping[str, Any]]: ...

    def opens(self, object_id: str) -> bool: ...

    def cube(self, dimension: str, measure: str) -> list[tuple[str, str]]: ...


def app_seen(app: OpenApp, probes: Sequence[RowProbe], salt: bytes) -> OpenedApp:
    """Look around in an app. Raises TenantGarbled when it has more objects than are looked at."""
    reloaded_at, sheets = app.reloaded_at(), app.sheets()
    placed = dict(_placed(sheets))
    if len(placed) > MAX_OBJECTS:
        raise TenantGarbled(detail=f"more than {MAX_OBJECTS} objects on the sheets of one app")
    return OpenedApp(
        reloaded_at=reloaded_at,
        sheets={_id(sheet): _title(sheet) for sheet in sheets},
        objects={object_id: label for object_id, label in placed.items() if app.opens(object_id)},
        rows={probe.name: _rows(app, probe, salt) for probe in probes},
    )


def _rows(app: OpenApp, probe: RowProbe, salt: bytes) -> Rows:
    try:
        rows = app.cube(probe.dimension, probe.measure)
    except BadContent:
        return Rows(problem=NOT_OF_THE_APP)
    whole = json.dumps(sorted(rows)).encode()
    return Rows(len(rows), hmac.new(salt, whole, hashlib.sha256).hexdigest())


def _placed(sheets: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the objects on the sheets, by id, with words for people."""
    for sheet in sheets:
        cells = _data(sheet).get("cells")
        for cell in cells if isinstance(cells, list) else []:
            name = cell.get("name") if isinstance(cell, dict) else None
            if isinstance(name, str) and name:
                yield name, f"{cell.get('type') or 'object'} {name} on {_title(sheet)}"


def _id(sheet: Mapping[str, Any]) -> str:
    info = sheet.get("qInfo")
    found = info.get("qId") if isinstance(info, dict) else None
    if not isinstance(found, str):
        raise TenantGarbled(detail="GetLayout: a sheet without an id")
    return found


def _title(sheet: Mapping[str, Any]) -> str:
    return str(_data(sheet).get("title") or _id(sheet))


def _data(sheet: Mapping[str, Any]) -> Mapping[str, Any]:
    data = sheet.get("qData")
    return data if isinstance(data, dict) else {}
