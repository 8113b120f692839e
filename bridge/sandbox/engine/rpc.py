"""JSON-RPC 2.0 as the engine speaks it: handles, deltas, and lists of changed and closed handles."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

Json = dict[str, Any]

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
ACCESS_DENIED, APP_NOT_FOUND, APP_NOT_OPEN = 5, 1003, 1017
NO_HYPERCUBE, MODAL, BAD_DEFINITION, PAGES_TOO_LARGE = 6000, 6003, 7000, 7009


class RpcError(Exception):
    """A refusal that the client sees, with one of Qlik's error codes (enum LocalizedErrorCode)."""

    def __init__(self, code: int, message: str, parameter: str = "", ident: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.parameter = parameter
        self.ident = ident


@dataclass(frozen=True)
class Request:
    """One call of a method on a handle; the handle of the engine itself is -1."""

    ident: int | str
    handle: int
    method: str
    params: list[Any] | Json
    delta: bool


def parse(text: str | bytes) -> Request:
    """Read one call. Raises RpcError with the call's id where it has one."""
    try:
        given = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "Parse error") from None
    if not isinstance(given, dict):
        raise RpcError(INVALID_REQUEST, "Invalid request")
    ident, handle, method = given.get("id"), given.get("handle", -1), given.get("method")
    params = given.get("params", [])
    right = isinstance(method, str) and type(handle) is int and isinstance(params, list | dict)
    if not right or isinstance(ident, bool) or not isinstance(ident, int | str):
        raise RpcError(INVALID_REQUEST, "Invalid request", ident=ident if isinstance(ident, int | str) else None)
    return Request(ident, handle, method, params, given.get("delta") is True)  # type: ignore[arg-type]  # checked above


def success(request: Request, result: Json) -> Json:
    """Wrap a result; a client that asked for deltas gets each part as a JSON patch that replaces the whole."""
    answer: Json = {"jsonrpc": "2.0", "id": request.ident}
    if request.delta:
        answer["delta"] = True
        result = {name: [{"op": "add", "path": "/", "value": value}] for name, value in result.items()}
    return {**answer, "result": result}


def failure(ident: object, error: RpcError) -> Json:
    shown = {"code": error.code, "parameter": error.parameter, "message": error.message}
    return {"jsonrpc": "2.0", "id": ident, "error": shown}


def notification(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def text_of(message: Json) -> str:
    return json.dumps(message, separators=(",", ":"), allow_nan=False)


def _no_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity: Python would read them, and a browser could not read them back."""
    raise ValueError(name)
