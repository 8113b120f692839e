"""What a real server lets through to the bridge, started as the README says: sizes, and two readings of one request."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from storykit import wait_until

from bridge.bootstrap import build
from bridge.settings import read_settings

ROOT = Path(__file__).parents[2]
MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    operator: str

    def send(self, *lines: str, body: bytes = b"", host: str = "Host: bridge.example.com") -> tuple[int, str]:
        """Send a request as it is written here, and return the status and the rest of the answer."""
        head = [lines[0], *([host] if host else []), *lines[1:], "Connection: close", "", ""]
        with socket.create_connection(("127.0.0.1", self.port), 10) as wire:
            wire.sendall("\r\n".join(head).encode("latin-1"))
            with suppress(OSError):  # it may have answered already, and hung up
                wire.sendall(body)
            answer = _read(wire)
        return int(answer.split(" ", 2)[1]), answer

    def serves(self) -> bool:
        try:
            return self.send("GET /healthz HTTP/1.1")[0] == 200
        except TimeoutError:
            return False

    def send_as_operator(self, *lines: str, body: bytes = b"") -> tuple[int, str]:
        return self.send(*lines, f"Authorization: Bearer {self.operator}", "Content-Type: application/json", body=body)


def _read(wire: socket.socket) -> str:
    answer = b""
    with suppress(ConnectionResetError):  # what was sent after the answer is read by nobody
        while data := wire.recv(65536):
            answer += data
    return answer.decode("latin-1")


def _command() -> list[str]:
    line = next(each for each in (ROOT / "README.md").read_text().splitlines() if each.startswith("gunicorn "))
    told = line.replace("127.0.0.1:8080", "127.0.0.1:0")
    return [sys.executable, "-m", *told.split(), "--no-control-socket"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("wire")
    given = {
        "BRIDGE_SECRET_KEY": "s" * 40,
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": "https://bridge.example.com",
        "BRIDGE_DATABASE_URL": f"sqlite:///{place / 'bridge.db'}",
        "BRIDGE_KEYS_DIR": str(place),
        "BRIDGE_IDENTITY": "header",
        "BRIDGE_TRUSTED_PROXIES": "127.0.0.1",
        "BRIDGE_ADMIN_GROUPS": "header:bridge-admins",
    }
    bridge = build(read_settings(given))
    operator = bridge.operators.new_token("test", actor="test")
    bridge.close()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    with subprocess.Popen(_command(), cwd=ROOT, env=clean | given, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        listening = next(found for line in process.stderr if (found := re.search(rb"Listening at: \S+:(\d+)", line)))
        served = Server(int(listening[1]), operator)
        wait_until(served.serves, process, "gunicorn's worker")
        yield served
        process.terminate()
        process.stderr.read()


def test_it_serves(server: Server) -> None:
    assert server.send("GET /healthz HTTP/1.1")[0] == 200
    assert server.send_as_operator("GET /api/v1/whoami HTTP/1.1")[0] == 200


@pytest.mark.parametrize("path", ["/api/v1/kill", "/t/acme/access-token", "/logout", "/nothing"])
def test_a_body_that_is_announced_too_large_is_refused_unread(server: Server, path: str) -> None:
    status, answer = server.send_as_operator(f"POST {path} HTTP/1.1", f"Content-Length: {MAX_BODY + 1}")

    assert (status, "too_large" in answer) == (413, True)


@pytest.mark.parametrize("size", [10, MAX_BODY + 10])
def test_a_body_without_a_length_is_refused(server: Server, size: int) -> None:
    """One that grows too large would else be cut off, and what is left be done."""
    body = b'{"reason": "r"}' + b" " * size
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    status, answer = server.send_as_operator("POST /api/v1/kill HTTP/1.1", "Transfer-Encoding: chunked", body=chunk)

    assert (status, "Content-Length, not in chunks" in answer) == (400, True), answer


@pytest.mark.parametrize(
    "lines",
    [
        ("GET /healthz HTTP/1.1", "X-Long: " + "x" * 200_000),
        ("GET /healthz?" + "x" * 200_000 + " HTTP/1.1",),
        ("GET /healthz HTTP/1.1", *(f"X-{number}: x" for number in range(120))),
    ],
    ids=["field", "line", "fields"],
)
def test_headers_have_limits(server: Server, lines: tuple[str, ...]) -> None:
    assert server.send(*lines)[0] in {400, 414, 431}


def test_an_assertion_with_many_groups_passes_them(server: Server) -> None:
    assert server.send("GET /healthz HTTP/1.1", "Authorization: Bearer " + "x" * 30_000)[0] == 200


SMUGGLED = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        (f"Content-Length: {len(SMUGGLED)}", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", f"Content-Length: {len(SMUGGLED)}"),
        ("Content-Length: +5",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding : chunked",),
        ("X-Folded: a", " b"),
        ("X-Bad\x00: a",),
    ],
    ids=["both", "two", "signed", "unknown", "not last", "space", "folded", "control"],
)
def test_a_request_that_can_be_read_two_ways_is_refused(server: Server, lines: tuple[str, ...]) -> None:
    status, answer = server.send("POST /api/v1/kill HTTP/1.1", *lines, body=SMUGGLED)

    assert status in {400, 501}, answer
    assert answer.count("HTTP/1.1 ") == 1


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "Script-Name"])
def test_no_header_says_where_the_application_begins(server: Server, name: str) -> None:
    """Else a route that a proxy keeps closed is reached by another address."""
    assert server.send("GET /elsewhere/healthz HTTP/1.1", f"{name}: /elsewhere")[0] == 404


NAMED = ("X-Forwarded-Name: Ada", "X-Forwarded-Email: ada@example.com", 'X-Forwarded-Groups: ["bridge-admins"]')


def test_a_header_that_only_looks_like_an_identity_is_none(server: Server) -> None:
    """WSGI writes `-` and `_` alike; proxies strip the one and may pass the other on."""
    assert server.send("GET /api/v1/whoami HTTP/1.1", "X-Forwarded-User: ada", *NAMED)[0] == 200
    assert server.send("GET /api/v1/whoami HTTP/1.1", "X_Forwarded_User: ada", *NAMED)[0] == 401


def test_two_names_are_not_the_first_one_and_two_lists_of_groups_are_none(server: Server) -> None:
    twice = server.send("GET /api/v1/whoami HTTP/1.1", "X-Forwarded-User: eve", "X-Forwarded-User: ada", *NAMED)
    groups = server.send("GET /api/v1/whoami HTTP/1.1", "X-Forwarded-User: eve", *NAMED, "X-Forwarded-Groups: []")

    assert '"header:ada"' not in twice[1]
    assert groups[0] == 401


@pytest.mark.parametrize("host", ["", "Host: a\r\nHost: b", "Host: a b", "Host: a/../b"])
def test_a_host_that_is_none_breaks_nothing(server: Server, host: str) -> None:
    assert server.send("GET /t/acme/session HTTP/1.1", host=host)[0] in {400, 401, 404}
