"""Trouble on demand: `POST /_sandbox/faults`."""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING, NoReturn

from flask import Response, request

from bridge.sandbox import errors, limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.sandbox.state import Fault
    from bridge.sandbox.tenant import Memory


CALL, FAULT = "sandbox.call", "sandbox.fault"
"""Where a request's environment keeps its line of the call log and the fault that it met."""


def take(memory: Memory, path: str) -> Fault | None:
    """Return the first fault for `path` and use it up once."""
    fault = next((fault for fault in memory.faults if fault.matches(path)), None)
    if fault and fault.times is not None:
        fault.times -= 1
        if fault.times <= 0:
            memory.faults.remove(fault)
    return fault


def answer(fault: Fault) -> Response | None:
    """Return what the fault answers instead of the tenant, or None when it only delays or drops."""
    status = _status(fault)
    if status is None or fault.drop:
        return None
    response = _body(fault, status)
    if fault.location is not None:
        response.headers["Location"] = fault.location
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def sent(fault: Fault, body: Iterable[bytes], environ: dict[str, object]) -> Iterable[bytes]:
    """Return the answer as the fault lets it out: not at all, half of it, byte by byte, or as it is."""
    if fault.drop == "after":
        hang_up(environ)
    if fault.drop == "midway":
        return _half(b"".join(body), environ)
    return _trickle(b"".join(body), fault.trickle_ms / 1000) if fault.trickle_ms else body


def _half(whole: bytes, environ: dict[str, object]) -> Iterator[bytes]:
    yield whole[: len(whole) // 2]
    hang_up(environ)


def _trickle(whole: bytes, pause_s: float) -> Iterator[bytes]:
    for byte in whole:
        yield bytes([byte])
        time.sleep(pause_s)


def hang_up(environ: dict[str, object]) -> NoReturn:
    """Close the connection without an answer; gunicorn takes this error for a client that went away."""
    connection = environ.get("gunicorn.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError(errno.ECONNRESET, "a fault asked to drop this connection")


def _status(fault: Fault) -> int | None:
    if fault.status is not None:
        return fault.status
    if fault.retry_after is not None:
        return 429
    if fault.location is not None:
        return 302
    return 200 if fault.body is not None or fault.bytes is not None else None


def _body(fault: Fault, status: int) -> Response:
    if fault.bytes is not None:
        return Response(b"x" * fault.bytes, status, content_type=fault.content_type)
    if fault.body is not None:
        return Response(fault.body, status, content_type=fault.content_type)
    if status == limits.TOO_MANY:
        return errors.render(limits.too_many(fault.retry_after or 1))
    if status < 400:  # noqa: PLR2004 - where HTTP's errors begin
        return Response(status=status)
    return errors.envelope(status, [errors.item(request.path, status, f"HTTP-{status}", "Sandbox fault")])
