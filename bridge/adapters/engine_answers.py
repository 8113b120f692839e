"""What a tenant's engine says: why it closes or refuses, and what its layouts hold. Judged by codes, never by text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge.adapters.qlik_answers import require_success
from bridge.adapters.wire import Answer
from bridge.errors import (
    AppRefused,
    BadContent,
    BridgeError,
    TenantGarbled,
    TenantRefused,
    TenantThrottled,
    TenantTimeout,
    TenantUnavailable,
)

MAX_ROWS = 50_000
PAGE_ROWS = 2_000
"""Qlik: 10,000 cells a page at most. Ours have two columns, and stay well under the largest message."""

NO_APP = "Qlik Cloud has no such app for this person. An operator must check `content.app_id` of the tenant."
NO_LICENCE = "Qlik Cloud has no licence for this person to open apps. Ask an operator to assign one."
NOT_OF_THE_APP = "`content.{}` is not a field or expression of the app. An operator must correct it."
TOO_LONG = (
    f"The hypercube has more than the {MAX_ROWS} rows that the bridge reads. An operator must choose a dimension"
    " with fewer values as `content.hypercube_dimension`."
)
DEAD, BAD_REQUEST, FORBIDDEN, NOT_FOUND = 401, 400, 403, 404

SHEET_LIST = {
    "qInfo": {"qType": "SheetList"},
    "qAppObjectListDef": {
        "qType": "sheet",
        "qData": {
            **{name: f"/qMetaDef/{name}" for name in ("title", "description")},
            **{
                name: f"/{name}"
                for name in (
                    "rank",
                    "cells",
                    "columns",
                    "rows",
                    "thumbnail",
                    "visible",
                    "groupId",
                    "labelExpression",
                    "descriptionExpression",
                    "showCondition",
                )
            },
        },
    },
}
"""The properties of the list that @qlik/api makes for its getSheetList."""

Why = Callable[[str], BridgeError]


def _dead(detail: str) -> BridgeError:
    return TenantRefused(detail=detail, status=DEAD)


def _no_app(detail: str) -> BridgeError:
    return BadContent(NO_APP, detail=detail)


def _no_licence(detail: str) -> BridgeError:
    return AppRefused(NO_LICENCE, detail=detail)


def _refused(detail: str) -> BridgeError:
    return AppRefused(detail=detail)


def _throttled(detail: str) -> BridgeError:
    return TenantThrottled(detail=detail)


def _unavailable(detail: str) -> BridgeError:
    return TenantUnavailable(detail=detail)


CLOSED: Mapping[int, Why] = {
    4002: _no_licence,
    4004: _no_app,
    4005: _throttled,
    4006: _dead,
    4201: lambda detail: TenantTimeout(detail=detail),
    4202: lambda detail: TenantRefused(detail=detail, status=BAD_REQUEST),
    4203: _refused,
    4204: _no_app,
    4205: _throttled,
    4230: _no_licence,
}
"""Qlik's close codes that say more than that the engine is away just now."""

FAILED: Mapping[int, Why] = {
    2: _no_app,
    5: _refused,
    1003: _no_app,
    1019: _no_app,
    **dict.fromkeys((6, 10, 15, 16, 502, 503, 504, 509), _unavailable),
}
"""Qlik's LocalizedErrorCode: not found, access denied, app not found, app deleted; then out of memory, aborted, ..."""

SESSION_STATES: Mapping[str, Why] = {
    "SESSION_ERROR_NO_LICENSE": _no_licence,
    "SESSION_ERROR_LICENSE_RENEW": _no_licence,
    "SESSION_ERROR_LICENSE_INVALID": _no_licence,
    "SESSION_ERROR_LIMIT_EXCEEDED": _throttled,
    "SESSION_ERROR_SECURITY_HEADER_CHANGED": _dead,
    "SESSION_ACCESS_CONTROL_SETUP_FAILURE": _refused,
    "SESSION_ERROR_APP_ACCESS_DENIED": _refused,
    "SESSION_ERROR_APP_FAILURE": _unavailable,
}
"""What the engine may say of a session instead of created or attached."""


def not_upgraded(answer: Answer, now: float) -> BridgeError:
    """Say why the tenant answered with HTTP where a websocket was asked for. *now* is unix seconds."""
    try:
        require_success("websocket", answer, now)
    except TenantThrottled as error:
        return TenantThrottled(detail=error.detail, retry_after_s=error.retry_after_s)
    except TenantRefused as error:
        if error.status == FORBIDDEN:
            return AppRefused(detail=error.detail)
        return BadContent(NO_APP, detail=error.detail) if error.status == NOT_FOUND else error
    except BridgeError as error:
        return error
    return TenantGarbled(detail=f"websocket: {answer.status} in place of an upgrade")


def closed(code: int) -> BridgeError:
    """Say why the tenant closed the websocket."""
    return CLOSED.get(code, _unavailable)(f"engine: closed with {code}")


def check_session(params: object) -> None:
    """Raise what the engine's first word (Qlik: OnConnected) means, where it is a refusal."""
    state = params.get("qSessionState") if isinstance(params, dict) else None
    if isinstance(state, str) and (why := SESSION_STATES.get(state)):
        raise why(f"engine: {state}")


def result(method: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the result of a JSON-RPC answer. Raises what its error means."""
    error, found = message.get("error"), message.get("result")
    if isinstance(error, dict):
        code = error.get("code")
        why = FAILED.get(code) if isinstance(code, int) else None
        shown = code if isinstance(code, int) else "without a code"
        raise why(f"{method}: error {shown}") if why else TenantGarbled(detail=f"{method}: error {shown}")
    if not isinstance(found, dict):
        raise TenantGarbled(detail=f"{method}: neither a result nor an error")
    return found


def handle(method: str, found: Mapping[str, Any]) -> int:
    """Return the handle of what was opened or made."""
    number = part(method, found, "qReturn").get("qHandle")
    if isinstance(number, bool) or not isinstance(number, int):
        raise TenantGarbled(detail=f"{method}: no handle")
    return number


def is_found(method: str, found: Mapping[str, Any]) -> bool:
    """Tell whether what was asked for is there; the engine answers with a handle of null where it is not."""
    return part(method, found, "qReturn").get("qHandle") is not None


def part(method: str, found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object under *name*. Raises TenantGarbled."""
    inner = found.get(name)
    if not isinstance(inner, dict):
        raise TenantGarbled(detail=f"{method}: no {name}")
    return inner


def sheet_list(layout: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the items of a sheet list, by rank; those without one last."""
    items = part("GetLayout", layout, "qAppObjectList").get("qItems")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise TenantGarbled(detail="GetLayout: no list of sheets")
    return sorted(items, key=_rank)


def _rank(item: Mapping[str, Any]) -> float:
    data = item.get("qData")
    rank = data.get("rank") if isinstance(data, dict) else None
    return rank if isinstance(rank, int | float) else float("inf")


def hypercube_properties(dimension: str, measure: str) -> dict[str, Any]:
    return {
        "qInfo": {"qType": "hypercube"},
        "qHyperCubeDef": {
            "qDimensions": [{"qDef": {"qFieldDefs": [dimension]}}],
            "qMeasures": [{"qDef": {"qDef": measure}}],
        },
    }


def row_count(layout: Mapping[str, Any]) -> int:
    """Return how many rows the hypercube of a layout has. Raises BadContent when a part of it does not work."""
    cube = part("GetLayout", layout, "qHyperCube")
    for name, setting in (("qDimensionInfo", "hypercube_dimension"), ("qMeasureInfo", "hypercube_measure")):
        infos = cube.get(name)
        if not isinstance(infos, list) or len(infos) != 1 or not isinstance(infos[0], dict):
            raise TenantGarbled(detail=f"GetLayout: no {name}")
        if infos[0].get("qError"):
            raise BadContent(NOT_OF_THE_APP.format(setting), detail=f"GetLayout: {name} with an error")
    count = part("GetLayout", cube, "qSize").get("qcy")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise TenantGarbled(detail="GetLayout: no number of rows")
    if count > MAX_ROWS:
        raise TenantGarbled(TOO_LONG, detail=f"GetLayout: {count} rows")
    return count


def rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the texts of one page (Qlik: GetHyperCubeData). Raises TenantGarbled."""
    try:
        return [(_text(one), _text(other)) for page in found["qDataPages"] for one, other in page["qMatrix"]]
    except (KeyError, TypeError, ValueError):
        raise TenantGarbled(detail="GetHyperCubeData: not a page of two columns") from None


def value(found: Mapping[str, Any]) -> str:
    """Return the text of an expression's value (Qlik: EvaluateEx). Raises TenantGarbled."""
    try:
        return _text(part("EvaluateEx", found, "qValue"))
    except (KeyError, TypeError):
        raise TenantGarbled(detail="EvaluateEx: no text") from None


def _text(cell: Mapping[str, Any]) -> str:
    text = cell["qText"]
    if not isinstance(text, str):
        raise TypeError
    return text
