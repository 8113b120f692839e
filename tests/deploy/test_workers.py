"""Two real workers: what they count adds up, one that dies takes nothing along, and the end drops nobody."""

import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.multiprocess import MultiProcessCollector
from serverkit import Installation, Server
from storykit import wait_until

MINTS, LOGINS = "/oauth/token", "/login/jwt-session"
PEOPLE = 40
CALLS = 'bridge_upstream_calls_total{{call="{}",outcome="{}",tenant="acme"}}'
MINTED, THROTTLED, LOGGED_IN = (
    CALLS.format("mint", "ok"),
    CALLS.format("mint", "tenant_throttled"),
    CALLS.format("log_in", "ok"),
)
ANSWERED = 'bridge_http_requests_total{route="/t/<tenant>/access-token",status="200"}'
SEEN = "bridge_store_seen_timestamp_seconds"


@pytest.fixture(scope="module")
def bridge(install: Callable[..., Installation]) -> Installation:
    return install()


@pytest.fixture(scope="module")
def server(bridge: Installation) -> Server:
    return bridge.start()


def counted(file: Path, name: str) -> float:
    """Return what one worker counted, by the file in which it does."""
    families = MultiProcessCollector.merge([str(file)])  # type: ignore[no-untyped-call]
    return float(sum(each.value for family in families for each in family.samples if each.name == name))


def _files(bridge: Installation, server: Server, kind: str) -> list[Path]:
    """Return the files in which the present workers count; one that is just coming up has none yet."""
    return [file for pid in server.workers() for file in bridge.home.glob(f"qlik-bridge-metrics-*/{kind}_{pid}.db")]


def test_workers_look_at_the_database_also_while_nobody_asks(bridge: Installation, server: Server) -> None:
    files = _files(bridge, server, "gauge_livemin")
    begun = max(counted(file, SEEN) for file in files)

    wait_until(lambda: all(counted(file, SEEN) > begun + 1 for file in files), server.process, "two workers that look")


def test_a_reload_brings_new_workers_and_the_counters_go_on(bridge: Installation, server: Server) -> None:
    assert bridge.token(server, "ada").ok
    old = set(server.workers())

    server.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: not old & set(server.workers()) and len(server.workers()) == 2, server.process, "workers of their own"
    )

    assert bridge.token(server, "ada").ok
    after = server.metrics()
    assert (after[ANSWERED], after[MINTED]) == (2, 1)


def test_what_a_worker_counted_outlives_it(bridge: Installation, server: Server) -> None:
    for number in range(10):
        assert bridge.token(server, f"early-{number}").ok
    before, killed = server.metrics(), server.workers()[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(
        lambda: killed not in server.workers() and len(_files(bridge, server, "gauge_livemin")) == 2,
        server.process,
        "a new worker",
    )

    after = server.metrics()

    assert (after[MINTED], after[ANSWERED]) == (before[MINTED], before[ANSWERED])
    wait_until(lambda: server.metrics()[SEEN] > before[SEEN], server.process, "live workers alone are told of")
    assert list(bridge.home.glob(f"qlik-bridge-metrics-*/gauge_live*_{killed}.db")) == []


def test_metrics_of_two_workers_are_what_the_tenant_counted(bridge: Installation, server: Server) -> None:
    bridge.acme.forget_calls()
    before = server.metrics()
    with ThreadPoolExecutor(6) as crowd:  # no more than may wait at one worker
        answers = [
            answer
            for _twice in range(2)
            for answer in crowd.map(lambda number: bridge.token(server, f"person-{number}"), range(PEOPLE))
        ]
    bridge.acme.control("POST", "faults", {"endpoint": MINTS, "status": 429, "retry_after": 600, "times": 1})
    throttled = bridge.token(server, "late")

    after = server.metrics()

    assert ({each.status_code for each in answers}, throttled.status_code) == ({200}, 503)
    files = _files(bridge, server, "counter")
    assert [counted(file, "bridge_tokens_issued_total") > 0 for file in files] == [True, True]
    assert after[MINTED] - before[MINTED] == PEOPLE
    assert after[THROTTLED] == 1
    assert len(bridge.acme.calls(MINTS)) == PEOPLE + 1
    assert after[LOGGED_IN] - before[LOGGED_IN] == len(bridge.acme.calls(LOGINS))
    assert after[ANSWERED] - before[ANSWERED] == 2 * PEOPLE
    assert after['bridge_budget_frozen_seconds{tenant="acme"}'] > 0


def test_the_end_drops_no_request_that_was_let_in(install: Callable[..., Installation]) -> None:
    """More than the threads can take at once: some are under way, some wait. While they do, nobody new is let in."""
    bridge = install()
    server = bridge.start(WEB_THREADS="3", BRIDGE_THREADS="1000")
    bridge.acme.control("POST", "faults", {"endpoint": MINTS, "latency_ms": 1000, "times": 12})
    address = (urlsplit(server.base).hostname or "", urlsplit(server.base).port or 0)
    asked = [_asked(bridge, address, f"person-{number}") for number in range(12)]
    with ThreadPoolExecutor(len(asked)) as readers:
        reading = [readers.submit(_answer, each) for each in asked]
        wait_until(lambda: len(bridge.acme.calls(MINTS)) >= 3, server.process, "requests under way")

        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not _lets_in(address), server.process, "the door is closed")
        unanswered = [each for each in reading if not each.done()]
        answers = [each.result() for each in reading]

    assert server.process.wait(30) == 0
    assert unanswered, "the door was closed while people were still inside"
    assert [answer.split(b" ")[1] for answer in answers] == [b"200"] * len(asked)
    assert len({answer.rsplit(b"\r\n", 1)[1] for answer in answers}) == len(asked)
    assert list(bridge.home.glob("qlik-bridge-metrics-*")) == []
    assert len([line for line in server.lines("request") if line.get("status") == 200]) >= len(asked)
    assert server.lines("Worker exiting"), "gunicorn's own lines are JSON, too"


def _asked(bridge: Installation, address: tuple[str, int], who: str) -> socket.socket:
    lines = ["POST /t/acme/access-token HTTP/1.1", "Host: bridge.example.com", "Content-Length: 0", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in bridge.vouch(who).items()]
    connection = socket.create_connection(address, timeout=30)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def _answer(connection: socket.socket) -> bytes:
    with connection, connection.makefile("rb") as answer:
        return answer.read()


def _lets_in(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
