"""A TLS connection that two threads may use: one that reads the websocket, and whoever sends to it."""

from __future__ import annotations

import select
import ssl
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LOOK_UP_MS = 1000


class GuardedSocket:
    """Lets one thread at a time into the connection: OpenSSL's is not made for reading and writing at once.

    Has what simple-websocket asks of a socket. Who waits to read or to write keeps nobody else from the other.
    """

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.connection = connection
        self.lock = threading.Lock()
        self.sending = threading.Lock()
        connection.setblocking(False)

    def recv(self, size: int) -> bytes:
        return self._patiently(lambda: self.connection.recv(size))

    def send(self, data: bytes) -> int:
        left = memoryview(data)
        with self.sending:
            while left:
                rest = left
                left = left[self._patiently(lambda: self.connection.send(rest)) :]  # noqa: B023 - called at once
        return len(data)

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do a piece of work as soon as the connection is ready for it."""
        while True:
            with self.lock:
                try:
                    return work()
                except ssl.SSLWantReadError:
                    wanted = select.POLLIN
                except ssl.SSLWantWriteError:
                    wanted = select.POLLOUT
            self._wait(wanted)

    def _wait(self, wanted: int) -> None:
        """Wait, and look up now and then: nobody would say that another thread closed the connection."""
        poll = select.poll()
        try:
            poll.register(self.connection.fileno(), wanted)
        except ValueError:
            raise ConnectionResetError from None
        poll.poll(LOOK_UP_MS)

    def fileno(self) -> int:
        return self.connection.fileno()

    def shutdown(self, how: int) -> None:
        self.connection.shutdown(how)

    def close(self) -> None:
        self.connection.close()


def guard(environ: dict[str, object]) -> None:
    """Guard the connection of a request that becomes a websocket, where it speaks TLS."""
    connection = environ.get("gunicorn.socket")
    if isinstance(connection, ssl.SSLSocket):
        environ["gunicorn.socket"] = GuardedSocket(connection)
