"""Reading and sending at once on one TLS connection."""

from __future__ import annotations

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox import certificates
from bridge.sandbox.guarded import GuardedSocket, guard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 30
CHUNK = b"x" * 50_000
TIMES = 40


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """The server's and the client's end of a TLS connection."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    private = certificates.rsa_key()
    key.write_text(certificates.private_pem(private))
    certificate.write_text(certificates.self_signed(private, "localhost", ("localhost",)))
    at_server, at_client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(certificate))
    at_server.load_cert_chain(certificate, key)
    plain_server, plain_client = socket.socketpair()
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(at_server.wrap_socket, plain_server, server_side=True)
        client = at_client.wrap_socket(plain_client, server_hostname="localhost")
        server = accepted.result(PATIENCE_S)
    client.settimeout(PATIENCE_S)
    with server, client:
        yield server, client


def read(connection: GuardedSocket, size: int) -> bytes:
    arrived = bytearray()
    while len(arrived) < size:
        arrived.extend(connection.recv(65_536))
    return bytes(arrived)


def send(connection: GuardedSocket) -> list[int]:
    return [connection.send(CHUNK) for _ in range(TIMES)]


def test_threads_read_and_send_at_once_more_than_fits_on_the_way(pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    ends = [GuardedSocket(each) for each in pair]
    with ThreadPoolExecutor(6) as pool:
        reads = [pool.submit(read, each, len(CHUNK) * TIMES * 2) for each in ends]
        sends = [pool.submit(send, end) for end in ends for _ in range(2)]
        assert [each.result(PATIENCE_S) for each in sends] == 4 * [TIMES * [len(CHUNK)]]
        assert [each.result(PATIENCE_S) for each in reads] == 2 * [CHUNK * TIMES * 2]


def test_sending_does_not_wait_for_somebody_who_reads(pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    server, client = pair
    guarded = GuardedSocket(server)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(guarded.recv(10)))
    reader.start()
    guarded.send(b"hello")
    assert client.recv(10) == b"hello"
    client.sendall(b"you too")
    reader.join(PATIENCE_S)
    assert read == [b"you too"]


@pytest.mark.parametrize("here", [True, False])
def test_reading_ends_with_the_connection(pair: tuple[ssl.SSLSocket, ssl.SSLSocket], here: bool) -> None:  # noqa: FBT001 - a parameter of the test
    server, client = pair
    guarded = GuardedSocket(server)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(guarded.recv, 10)
        if here:
            guarded.close()
        else:
            client.close()
        try:
            assert reading.result(PATIENCE_S) == b""
        except OSError:
            assert here


def test_only_tls_connections_are_guarded(pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    plain, _other = socket.socketpair()
    with plain, _other:
        for connection, kind in ((plain, socket.socket), (pair[0], GuardedSocket)):
            environ: dict[str, object] = {"gunicorn.socket": connection}
            guard(environ)
            assert type(environ["gunicorn.socket"]) is kind
