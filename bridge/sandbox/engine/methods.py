"""What the engine's methods have in common: how parameters reach them and what they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.engine.rpc import INVALID_PARAMS, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.session import Link

    Work = Callable[..., Json]

NOTHING: Json = {"qReturn": {"qType": None, "qHandle": None}}
"""What the engine answers when it is asked for an object that is not there."""


class Method:
    """A method and its parameters in Qlik's schema. What a call leaves out is None, what it adds is dropped."""

    def __init__(self, work: Work, *names: str) -> None:
        self.work = work
        self.names = names

    def __call__(self, link: Link, ident: str, params: list[Any] | Json) -> Json:
        given = params if isinstance(params, dict) else dict(zip(self.names, params, strict=False))
        return self.work(link, ident, *(given.get(name) for name in self.names))


def invalid(name: str) -> RpcError:
    return RpcError(INVALID_PARAMS, "Invalid parameters", name)


def text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise invalid(name)
    return value


def obj(value: object, name: str) -> Json:
    if not isinstance(value, dict):
        raise invalid(name)
    return value


def whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(name)
    return value


def wholes(value: object, name: str) -> list[int]:
    if not isinstance(value, list):
        raise invalid(name)
    return [whole(entry, name) for entry in value]


def returned(link: Link, kind: str, ident: str, generic_type: str = "") -> Json:
    """Return the reference by which a client goes on to use an object."""
    handle = link.handle_of(kind, ident)
    return {"qReturn": {"qType": kind, "qHandle": handle, "qGenericType": generic_type, "qGenericId": ident}}
