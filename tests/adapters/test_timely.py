"""A tenant that sends a byte now and then, in its head or its body, keeps nobody longer than the deadline."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from bridge.adapters.wire import Patience, Wire
from bridge.deadline import within
from bridge.errors import TenantTimeout

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"
PAUSE_S = 0.05


class Trickler:
    """Answers every connection with the bytes that it is given, one after the other, and never comes to an end."""

    def __init__(self) -> None:
        self.at_once = b""
        self.over = threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._door.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self.over.set()
        socket.create_connection(self._door.getsockname()).close()
        self._thread.join()
        self._door.close()

    def _serve(self) -> None:
        while not self.over.is_set():
            connection, _ = self._door.accept()
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        try:
            connection.sendall(self.at_once)
            for byte in HEAD if not self.at_once else b"x" * 1000:
                if self.over.wait(PAUSE_S):
                    return
                connection.sendall(bytes([byte]))
        except OSError:  # the other side has had enough
            return


@pytest.fixture
def trickler() -> Iterator[Trickler]:
    started = Trickler()
    yield started
    started.close()


@pytest.mark.parametrize("at_once", [b"", HEAD], ids=["head", "body"])
@pytest.mark.parametrize("limit", ["patience", "deadline"])
def test_it_is_given_up_in_time(trickler: Trickler, at_once: bytes, limit: str) -> None:
    trickler.at_once = at_once
    wire, started = Wire(Patience(1, 0.3, 0.3) if limit == "patience" else Patience()), time.monotonic()

    with within(0.3 if limit == "deadline" else 60), pytest.raises(TenantTimeout) as failure:
        wire.send("GET", trickler.address)

    assert failure.value.is_lost
    assert 0.25 < time.monotonic() - started < 3


def test_nothing_is_asked_when_time_is_up(trickler: Trickler) -> None:
    with within(0), pytest.raises(TenantTimeout) as failure:
        Wire().send("GET", trickler.address)

    assert not failure.value.is_lost


def test_an_answer_may_take_longer_than_a_connection() -> None:
    door, is_late = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        connection, _ = door.accept()
        with connection:
            connection.recv(4096)
            is_late.wait(0.4)
            connection.sendall(HEAD.replace(b"1000", b"2") + b"ok")

    thread = threading.Thread(target=serve)
    thread.start()
    wire = Wire(Patience(connect_s=0.1, read_s=10, total_s=10))

    assert wire.send("GET", f"http://127.0.0.1:{door.getsockname()[1]}/").body == b"ok"
    thread.join()
    door.close()
