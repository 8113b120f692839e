"""An end of deploy's workers that drops nobody, over an application that only echoes."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from storykit import free_ports, listens, wait_until

APP = """
import time
def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.3)
    read = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [read]

class Bridge:
    def close(self):
        pass

app.extensions = {"qlik-bridge": Bridge()}
"""

DEPLOY = Path(__file__).parents[2] / "deploy"
MOMENT_S = 0.2
"""How long clients are inside before they speak."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    (port,) = free_ports(1)
    (tmp_path / "its_app.py").write_text(APP)
    shape = ["--workers=2", "--threads=2", f"--bind=127.0.0.1:{port}"]
    command = [sys.executable, "-m", "gunicorn", f"--config={DEPLOY / 'gunicorn.conf.py'}", *shape, "its_app:app"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
        wait_until(listens(port), process, "gunicorn")
        yield f"http://127.0.0.1:{port}", process
        process.terminate()


def test_the_end_answers_whoever_was_let_in(server: tuple[str, subprocess.Popen[bytes]]) -> None:
    base, process = server
    with ThreadPoolExecutor(12) as crowd:
        asked = [crowd.submit(requests.get, f"{base}/slow", timeout=20) for _ in range(12)]
        wait_until(lambda: any(each.done() for each in asked), process, "the first answer")
        process.send_signal(signal.SIGTERM)
        answers = [each.result() for each in asked]

    assert [answer.status_code for answer in answers] == [200] * 12
    assert process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(base.rpartition(":")[2])), timeout=5)


def _asks_on(address: tuple[str, int], begun: threading.Event, over: threading.Event) -> list[bytes]:
    """Come in, speak a moment later, and so on, until nobody is let in or it is over; return the first lines."""
    answers: list[bytes] = []
    while not over.is_set():
        try:
            wire = socket.create_connection(address, timeout=20)
        except ConnectionRefusedError:
            break
        with wire, suppress(ConnectionResetError):
            answers.append(b"nothing")
            over.wait(MOMENT_S)
            wire.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            answers[-1] = wire.makefile("rb").readline()
        begun.set()
    return answers


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_clients_that_never_pause_lose_nothing(
    server: tuple[str, subprocess.Popen[bytes]], how: signal.Signals
) -> None:
    base, process = server
    address, begun, over = ("127.0.0.1", int(base.rpartition(":")[2])), threading.Event(), threading.Event()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    old = set(children.read_text().split())
    with ThreadPoolExecutor(8) as crowd:
        asked = [crowd.submit(_asks_on, address, begun, over) for _ in range(8)]
        assert begun.wait(20)
        process.send_signal(how)
        if how == signal.SIGHUP:
            wait_until(lambda: not old & set(children.read_text().split()), process, "new workers")
            over.set()
        answers = {line for each in asked for line in each.result()}

    assert answers == {b"HTTP/1.1 200 OK\r\n"}
