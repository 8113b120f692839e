"""What people get while the tenant is broken: every line of docs/reference/faults.md, over both databases."""

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from faultkit import (
    IMPATIENT_S,
    LOGIN,
    MINT,
    NEAR_ITS_END_S,
    SIX_HOURS_S,
    TOO_NEAR_S,
    WHO,
    Place,
    Row,
    as_told,
    table,
)
from storykit import free_ports

from bridge import deadline
from bridge.deadline import SPARE_S
from bridge.sandbox import certificates
from bridge.services.leases import CALL_S

AT: Mapping[str, tuple[str, float]] = {
    "at the login": (LOGIN, 0),
    "at the question who that is": (WHO, 0),
    "at the mint": (MINT, 0),
    "a token is kept": (MINT, SIX_HOURS_S),
    "it is near its end": (MINT, NEAR_ITS_END_S),
}
"""By column: the call that is broken, and how much life the person's token has left."""
FAULTS: Mapping[str, Mapping[str, Any]] = {
    "answers 429 with `Retry-After: 30`": {"status": 429, "retry_after": 30},
    "answers 429 without it": {"status": 429, "body": "{}"},
    "answers 500": {"status": 500},
    "answers 503 with `Retry-After: 20`": {"status": 503, "retry_after": 20},
    "answers too late": {"latency_ms": 4_000},
    "hangs up": {"drop": "before"},
    "does the work and hangs up": {"drop": "after"},
    "does so once": {"drop": "after", "times": 1},
    "answers something else": {"body": "<html>Maintenance</html>", "content_type": "text/html"},
    "sends half an answer": {"drop": "midway"},
    "sends it byte by byte": {"trickle_ms": 3_000},
}
TAKE_TIME = {"answers too late", "sends it byte by byte"}
HOSTS = {"refuses connections": "closed", "has a bad certificate": "selfsigned", "has no address": "nameless"}
"""What is broken before any call arrives, by the host that shows it."""
TABLE = table("The tenant")
CASES = [pytest.param(row, column, id=f"{row.fault}, {column}") for row in TABLE for column in AT if row.cells[column]]
numbers = count()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with ExitStack() as open_ones:
        port = open_ones.enter_context(_self_signed(tmp_path_factory.mktemp("tls")))
        yield {
            "closed": f"http://127.0.0.1:{free_ports(1)[0]}",
            "selfsigned": f"https://127.0.0.1:{port}",
            "nameless": "https://nobody.invalid",
        }


class _self_signed:  # noqa: N801 - a context manager
    """A tenant whose certificate nobody should believe."""

    def __init__(self, folder: Path) -> None:
        key = certificates.rsa_key()
        pem = folder / "both.pem"
        pem.write_text(certificates.private_pem(key) + certificates.self_signed(key, "localhost", ("127.0.0.1",)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> int:
        self._thread.start()
        return self._server.server_port

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_the_table_names_each_fault_once() -> None:
    assert [row.fault for row in TABLE] == [*FAULTS, *HOSTS]
    assert {column for row in TABLE for column in row.cells} == set(AT)


@pytest.mark.parametrize(("row", "column"), CASES)
def test_people_get_what_the_table_says(
    broken: Place, hosts: Mapping[str, str], row: Row, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, life_s = AT[column]
    slug = f"t{next(numbers)}"
    visitor = broken.visitor(slug, f"{slug}-person", host=hosts.get(HOSTS.get(row.fault, ""), ""))
    if life_s:
        broken.keep(visitor, life_s)
    elif calls == MINT:
        broken.know(visitor)
    if fault := FAULTS.get(row.fault):
        broken.break_calls(calls, **fault)
    if row.fault in TAKE_TIME:
        monkeypatch.setattr(deadline, "PATIENCE_S", IMPATIENT_S)

    got = visitor.ask()

    assert as_told(got) == row.cells[column]
    assert got.took_s < (IMPATIENT_S if row.fault in TAKE_TIME else CALL_S) + SPARE_S
    tried = len(broken.acme.calls(calls))
    lost = broken.count("bridge_mints_lost_total", tenant=slug)
    if life_s == SIX_HOURS_S or not fault:
        assert (tried, lost) == (0, 0)
    else:
        assert tried == row.tries
        assert lost == (row.lost if calls == MINT else 0)


LEAVES_TOKENS = ["does the work and hangs up", "does so once", "sends half an answer", "sends it byte by byte"]


@pytest.mark.parametrize("name", LEAVES_TOKENS)
def test_the_tenant_has_the_tokens_that_are_kept_and_those_that_count_as_lost(
    broken: Place, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = broken.visitor(f"t{next(numbers)}", f"lost-{next(numbers)}")
    broken.break_calls(MINT, **FAULTS[name])
    if name in TAKE_TIME:
        monkeypatch.setattr(deadline, "PATIENCE_S", IMPATIENT_S)

    got = visitor.ask()

    state = broken.acme.state()
    user_id = next(user["id"] for user in state["users"] if user["subject"] == visitor.sub)
    theirs = [token for token in state["tokens"] if token["user_id"] == user_id]
    assert len(theirs) == (got.status == 200) + broken.count("bridge_mints_lost_total", tenant=visitor.slug) > 0


@pytest.mark.parametrize("life_s", [TOO_NEAR_S, -1])
def test_a_token_is_never_served_at_its_end(broken: Place, life_s: float) -> None:
    visitor = broken.visitor(f"t{next(numbers)}")
    broken.keep(visitor, life_s)
    broken.break_calls(MINT, status=503)

    assert as_told(visitor.ask()) == "503 `tenant_unavailable`, after 1 s"


def test_after_five_failures_one_call_in_ten_seconds_is_tried(broken: Place) -> None:
    visitor, other = broken.visitor(f"t{next(numbers)}"), broken.visitor(f"t{next(numbers)}")
    broken.break_calls(LOGIN, status=500)
    for _ in range(3):  # twice each, and the sixth is not made any more
        visitor.ask()
    assert len(broken.acme.calls(LOGIN)) == 5

    assert 5 < (visitor.ask().wait or 0) <= 10
    assert as_told(other.ask()) == "503 `tenant_unavailable`, after 1 s", "who has failures of its own to come"
    broken.acme.forget_calls()

    broken.clock.ahead_s = 11
    spent = broken.spent(visitor)
    for _ in range(2):
        assert 5 < (visitor.ask().wait or 0) <= 10
    assert (broken.acme.calls(), broken.spent(visitor) - spent) == ([LOGIN], 1)

    broken.heal()
    broken.clock.ahead_s = 22
    assert as_told(visitor.ask()) == "200"


def test_a_tenant_that_wants_no_calls_keeps_no_other_tenant_waiting(broken: Place) -> None:
    visitor, other = broken.visitor(f"t{next(numbers)}"), broken.visitor(f"t{next(numbers)}")
    broken.break_calls(LOGIN, status=429, retry_after=60, times=1)

    for _ in range(2):
        got = visitor.ask()
        assert (got.code, 55 < (got.wait or 0) <= 60) == ("tenant_throttled", True)
    assert other.ask().status == 200
    assert len(broken.acme.calls(LOGIN)) == 2
