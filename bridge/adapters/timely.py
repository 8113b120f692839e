"""Answers that come in time or not at all: a socket's own limit is for each piece, and pieces may go on for ever."""

import io
import socket
from http.client import HTTPResponse
from typing import Any

from bridge.deadline import left_s


class TimelyResponse(HTTPResponse):
    """An answer of which each byte, those of its head too, must come before the deadline of this thread."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as http.client has it
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_InTime(sock, self.fp.detach()))


class _InTime(io.RawIOBase):
    """What a socket says, read with as much patience as is left."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer, as io has it
        left, limit = left_s(), self._sock.gettimeout()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left if limit is None else min(left, limit))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
