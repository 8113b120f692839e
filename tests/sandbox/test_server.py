"""The real thing over real sockets: two ports, one process, an orderly end."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from cryptography import x509

from bridge.sandbox import __main__, certificates, server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@contextmanager
def serving(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Start the sandbox and give its process and both origins, read from the lines that it prints when ready."""
    acme, globex = free_ports()
    command = [sys.executable, "-m", "bridge.sandbox", "--acme-port", str(acme), "--globex-port", str(globex), *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        assert [line.split(" ready at ")[0] for line in lines] == ["sandbox: acme", "sandbox: globex"], lines
        yield process, lines[0].split()[-1], lines[1].split()[-1]
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()  # type: ignore[union-attr]  # it is a pipe


@pytest.fixture(scope="module")
def origins() -> Iterator[tuple[str, str]]:
    with serving() as (_process, acme, globex):
        yield acme, globex


def get(url: str, **options: Any) -> requests.Response:  # noqa: ANN401 - requests names them
    return requests.get(url, timeout=10, **options)


def post(url: str, body: object = None) -> requests.Response:
    return requests.post(url, json=body, timeout=10)


def test_a_port_is_a_tenant_whatever_the_host_header_says(origins: tuple[str, str]) -> None:
    acme, globex = origins
    assert get(f"{acme}/_sandbox/state").json()["tenant"]["slug"] == "acme"
    other = globex.removeprefix("http://")
    assert get(f"{acme}/_sandbox/state", headers={"Host": other}).json()["tenant"]["slug"] == "acme"
    assert get(f"{globex}/_sandbox/state").json()["tenant"] | {"id": ""} == {
        "id": "",
        "slug": "globex",
        "name": "Globex",
        "origin": globex,
    }


def test_there_is_one_date_header_and_it_follows_the_clock(origins: tuple[str, str]) -> None:
    acme, globex = origins
    post(f"{acme}/_sandbox/clock", {"offset_s": 7200})
    with socket.create_connection(("127.0.0.1", int(acme.rsplit(":", 1)[1])), timeout=10) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head = connection.makefile("rb").read().split(b"\r\n\r\n")[0].decode()
    dates = [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("Date:")]
    post(f"{acme}/_sandbox/reset")
    assert len(dates) == 1
    ahead = parsedate_to_datetime(dates[0]) - parsedate_to_datetime(get(f"{globex}/login").headers["Date"])
    assert 7198 <= ahead.total_seconds() <= 7202


def test_connections_stay_open(origins: tuple[str, str]) -> None:
    connection = http.client.HTTPConnection(origins[0].removeprefix("http://"), timeout=10)
    used = []
    for _ in range(2):
        connection.request("GET", "/.well-known/oauth-authorization-server")
        connection.getresponse().read()
        assert connection.sock is not None
        used.append(connection.sock.getsockname())
    connection.close()
    assert used[0] == used[1]


@pytest.mark.parametrize(("when", "logged"), [("before", None), ("after", 200)])
def test_a_dropped_connection_has_no_answer(origins: tuple[str, str], when: str, logged: int | None) -> None:
    acme = origins[0]
    requests.delete(f"{acme}/_sandbox/calls", timeout=10)
    post(f"{acme}/_sandbox/faults", {"endpoint": "/login", "drop": when})
    with pytest.raises(requests.ConnectionError):
        get(f"{acme}/login")
    assert [call["status"] for call in get(f"{acme}/_sandbox/calls").json()] == [logged]
    assert get(f"{acme}/login").status_code == 200


def test_half_an_answer_and_one_byte_by_byte(origins: tuple[str, str]) -> None:
    acme = origins[0]
    path = "/.well-known/oauth-authorization-server"
    whole = get(f"{acme}{path}").content
    post(f"{acme}/_sandbox/faults", {"endpoint": path, "drop": "midway"})
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match=rf"\({len(whole) // 2} bytes read"):
        get(f"{acme}{path}")
    post(f"{acme}/_sandbox/faults", {"endpoint": path, "trickle_ms": 0.1})
    with requests.get(f"{acme}{path}", stream=True, timeout=10) as trickling:
        pieces = list(iter(trickling.raw.read1, b""))
    assert b"".join(pieces) == whole
    assert len(pieces) > 10


def test_a_long_jwt_reaches_the_tenant_which_refuses_it(origins: tuple[str, str]) -> None:
    headers = {"Authorization": "Bearer " + "x" * 60_000}
    answer = requests.post(f"{origins[0]}/login/jwt-session", headers=headers, timeout=10)
    assert answer.status_code == 431


def test_a_204_and_a_10_mb_body_arrive_whole(origins: tuple[str, str]) -> None:
    acme = origins[0]
    post(f"{acme}/_sandbox/faults", {"endpoint": "/login", "status": 204})
    assert get(f"{acme}/login").status_code == 204
    post(f"{acme}/_sandbox/faults", {"endpoint": "/login", "bytes": 10_000_000})
    assert len(get(f"{acme}/login").content) == 10_000_000


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_quietly_and_leaves_no_process(how: signal.Signals) -> None:
    with serving() as (process, acme, _globex):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = children.read_text().split() if children.exists() else []
        with requests.Session() as session:  # a connection that is still open must not hold it up
            session.get(f"{acme}/login", timeout=10)
            process.send_signal(how)
            assert process.wait(5) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
        assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_it_ends_with_its_parent() -> None:
    acme, globex = free_ports()
    command = f"{sys.executable} -m bridge.sandbox --exit-with-parent --acme-port {acme} --globex-port {globex}"
    parent = subprocess.Popen(
        ["/bin/sh", "-c", f"{command} & read line"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert "acme ready" in parent.stdout.readline()
    parent.kill()
    parent.wait(10)
    parent.stdout.read()  # ends when the last process that holds the pipe has ended
    parent.stdout.close()
    assert parent.stdin is not None
    parent.stdin.close()
    with pytest.raises(requests.ConnectionError):
        get(f"http://127.0.0.1:{acme}/login")


def test_tls_is_self_signed_and_leaves_no_files(tmp_path: Path) -> None:
    with serving("--tls", TMPDIR=str(tmp_path)) as (process, acme, _globex):
        assert acme.startswith("https://127.0.0.1:")
        folder = next(tmp_path.glob("sandbox-tls-*"))
        found = get(f"{acme}/_sandbox/state", verify=str(folder / "cert.pem")).json()
        assert found["tenant"]["origin"] == acme
        post_fault = {"endpoint": "/login", "drop": "before"}
        requests.post(f"{acme}/_sandbox/faults", json=post_fault, verify=str(folder / "cert.pem"), timeout=10)
        with pytest.raises(requests.ConnectionError):
            get(f"{acme}/login", verify=str(folder / "cert.pem"))
        process.terminate()
        process.wait(10)
        assert list(tmp_path.glob("sandbox-tls-*")) == []


def test_tls_certificates_name_loopback_alone() -> None:
    pem = certificates.self_signed(certificates.rsa_key(), "localhost", server.HOSTS)
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "127.0.0.2", "::1"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])  # noqa: S104 - refused
def test_it_never_listens_beyond_this_machine(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--host", host]) == 2
    assert "loopback" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "::1"])
def test_every_loopback_address_will_do(host: str) -> None:
    server.refuse_public(host)
