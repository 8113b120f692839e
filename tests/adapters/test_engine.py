"""The engine over real sockets: what is sent, what each answer and each ending means, and what never leaks."""

import logging
import socket
import ssl
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock
from scripted import Reply, ScriptedTenant
from scripted_engine import Answerer, Chatter, Close, Drip, Drop, Failed, Hang, Raw, Says, ScriptedEngine

from bridge.adapters import engine_answers, wire
from bridge.adapters.engine import MAX_MESSAGE, WebSocketEngine
from bridge.adapters.engine_answers import MAX_ROWS, PAGE_ROWS
from bridge.adapters.wire import Patience
from bridge.errors import (
    AppRefused,
    BadContent,
    BridgeError,
    TenantGarbled,
    TenantRefused,
    TenantThrottled,
    TenantTimeout,
    TenantUnavailable,
)
from bridge.model import Hypercube, Tenant
from bridge.sandbox import certificates
from bridge.telemetry import collect_steps

TOKEN = "tok3n-value"
APP = "0c5f9b1e-app"
PATH = f"/app/{APP}/identity/qlik-bridge"
LONG_S = 30
NOW = 1_800_000_000.0


def opened(handle: int) -> dict[str, Any]:
    return {"qReturn": {"qType": "x", "qHandle": handle, "qGenericId": "x"}}


def sheet(name: str, **data: object) -> dict[str, Any]:
    return {"qInfo": {"qId": name, "qType": "sheet"}, "qMeta": {"title": name}, "qData": data}


def layout_of_sheets(*items: object) -> dict[str, Any]:
    return {"qLayout": {"qAppObjectList": {"qItems": list(items)}}}


def layout_of_cube(rows: int, *, dimension: object = None, measure: object = None) -> dict[str, Any]:
    infos = {"qDimensionInfo": [{"qError": dimension}], "qMeasureInfo": [{"qError": measure}]}
    return {"qLayout": {"qHyperCube": {"qSize": {"qcx": 2, "qcy": rows}, **infos}}}


def pages(rows: int) -> Callable[[Sequence[Any]], Says]:
    """Answer for any window of a cube with so many rows."""

    def answer(params: Sequence[Any]) -> Says:
        (window,) = params[1]
        numbers = range(window["qTop"], min(window["qTop"] + window["qHeight"], rows))
        return {"qDataPages": [{"qMatrix": [[{"qText": f"p{n}"}, {"qText": f"{n},0"}] for n in numbers]}]}

    return answer


def cube(rows: int) -> dict[str, Answerer]:
    return {"GetLayout": layout_of_cube(rows), "GetHyperCubeData": pages(rows)}


@pytest.fixture
def server() -> Iterator[ScriptedEngine]:
    with ScriptedEngine({"OpenDoc": opened(1), "CreateSessionObject": opened(2), **cube(3)}) as engine:
        yield engine


@pytest.fixture
def engine(clock: FakeClock) -> WebSocketEngine:
    return WebSocketEngine(clock, patience=Patience(LONG_S, LONG_S, LONG_S))


@pytest.fixture
def hasty(clock: FakeClock) -> WebSocketEngine:
    """One that soon gives up, for answers that never come; it connects as slowly as a busy machine may be."""
    return WebSocketEngine(clock, patience=Patience(LONG_S, LONG_S, 0.5))


@pytest.fixture
def tenant(acme: Tenant, server: ScriptedEngine) -> Tenant:
    return acme.model_copy(update={"host": server.host})


def read(engine: WebSocketEngine, tenant: Tenant) -> Hypercube:
    try:
        return engine.hypercube(tenant, TOKEN, APP, dimension="Product", measure="Sum(Sales)")
    except BridgeError as error:
        error.add_note(error.detail)  # so that a failing test tells why
        raise


def refused(kind: type[BridgeError], call: Callable[[], object]) -> Any:  # noqa: ANN401 - an error of that kind
    """Return the error of *call*, after a look that it does not tell the token."""
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.detail
    assert TOKEN not in shown
    return caught.value


# --- good answers ----------------------------------------------------------------------------------------


def test_a_hypercube_is_read_as_the_person(engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine) -> None:
    assert read(engine, tenant) == Hypercube(("p0", "p1", "p2"), ("0,0", "1,0", "2,0"))

    (seen,) = server.opened
    assert (seen.path, seen.headers["Authorization"]) == (PATH, f"Bearer {TOKEN}")
    assert seen.headers["User-Agent"] == "qlik-bridge"
    assert not {"Cookie", "Origin", "Sec-WebSocket-Extensions"} & set(seen.headers)
    assert [(call["method"], call["handle"]) for call in seen.calls] == [
        ("OpenDoc", -1),
        ("CreateSessionObject", 1),
        ("GetLayout", 2),
        ("GetHyperCubeData", 2),
    ]
    assert [call["id"] for call in seen.calls] == [1, 2, 3, 4]
    assert seen.calls[0]["params"] == [APP]
    assert seen.calls[1]["params"][0]["qHyperCubeDef"] == {
        "qDimensions": [{"qDef": {"qFieldDefs": ["Product"]}}],
        "qMeasures": [{"qDef": {"qDef": "Sum(Sales)"}}],
    }


@pytest.mark.parametrize("count", [0, 1, PAGE_ROWS, PAGE_ROWS + 1, 2 * PAGE_ROWS + 7])
def test_all_rows_come_page_by_page(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, count: int
) -> None:
    server.answers |= cube(count)

    found = read(engine, tenant)

    assert found.dimension == tuple(f"p{number}" for number in range(count))
    assert found.measure == tuple(f"{number},0" for number in range(count))
    assert server.methods().count("GetHyperCubeData") == -(-count // PAGE_ROWS)


def test_sheets_come_by_rank(engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine) -> None:
    listed = [sheet("last"), sheet("b", rank=1.5), sheet("none", rank=None), sheet("a", rank=-1), sheet("c", rank=2)]
    server.answers["GetLayout"] = layout_of_sheets(*listed)

    found = engine.sheets(tenant, TOKEN, APP)

    assert [each["qInfo"]["qId"] for each in found] == ["a", "b", "c", "last", "none"]
    assert found[1] == sheet("b", rank=1.5)
    asked = server.opened[0].calls[1]["params"][0]["qAppObjectListDef"]
    assert asked["qType"] == "sheet"
    assert {"title": "/qMetaDef/title", "rank": "/rank", "cells": "/cells"}.items() <= asked["qData"].items()


def test_an_app_without_sheets(engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine) -> None:
    server.answers["GetLayout"] = layout_of_sheets()

    assert engine.sheets(tenant, TOKEN, APP) == []


def test_what_else_the_engine_says_is_passed_over(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine
) -> None:
    server.greeting = [
        '{"jsonrpc":"2.0","method":"OnConnected","params":{"qSessionState":"SESSION_CREATED"}}',
        '{"jsonrpc":"2.0","method":"OnConnected"}',
        '{"jsonrpc":"2.0","method":"OnConnected","params":{"qSessionState":["SESSION_ATTACHED"]}}',
        '{"jsonrpc":"2.0","method":"OnLicenseAccess","params":{}}',
        '{"jsonrpc":"2.0","id":99,"result":{}}',
    ]

    assert read(engine, tenant).dimension == ("p0", "p1", "p2")


def test_an_app_id_cannot_lead_elsewhere(engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine) -> None:
    engine.hypercube(tenant, TOKEN, "../api?x=#/\r\nCookie: a", dimension="Product", measure="Sum(Sales)")

    assert server.opened[0].path == "/app/..%2Fapi%3Fx%3D%23%2F%0D%0ACookie%3A%20a/identity/qlik-bridge"


def test_steps_are_noted(engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine) -> None:
    steps = collect_steps()
    read(engine, tenant)
    server.answers["OpenDoc"] = Close(4203)
    refused(AppRefused, lambda: read(engine, tenant))

    assert [(each.step, each.problem) for each in steps] == [
        ("websocket", ""),
        ("open-app", ""),
        ("hypercube", ""),
        ("websocket", ""),
        ("open-app", "app_refused"),
    ]


def test_no_proxy_of_the_environment_hears_the_token(
    clock: FakeClock, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")

    assert read(WebSocketEngine(clock), tenant).dimension == ("p0", "p1", "p2")


# --- the websocket is always closed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers",
    [{}, {"OpenDoc": Failed(5)}, {"GetLayout": Raw("<html>")}, {"GetHyperCubeData": {}}, {"OpenDoc": Hang()}],
)
def test_the_websocket_is_closed_whatever_happened(
    hasty: WebSocketEngine,
    engine: WebSocketEngine,
    tenant: Tenant,
    server: ScriptedEngine,
    answers: dict[str, Answerer],
) -> None:
    server.answers |= answers
    chosen = hasty if isinstance(answers.get("OpenDoc"), Hang) else engine
    try:
        read(chosen, tenant)
    except BridgeError:
        assert answers

    assert server.opened[0].over.wait(LONG_S)


# --- the upgrade is refused ------------------------------------------------------------------------------

UPGRADES: list[tuple[Reply, type[BridgeError]]] = [
    (Reply(200, {"hello": 1}), TenantGarbled),
    (Reply(301, headers=(("Location", "/elsewhere"),)), TenantGarbled),
    (Reply(302, headers=(("Location", "http://["),)), TenantGarbled),
    (Reply(307, headers=(("Location", "ws://127.0.0.1:9/app"),)), TenantGarbled),
    (Reply(400), TenantRefused),
    (Reply(401, {"errors": [{"code": "AUTH-1", "title": TOKEN}]}), TenantRefused),
    (Reply(403), AppRefused),
    (Reply(404), BadContent),
    (Reply(429, headers=(("Retry-After", "42"),)), TenantThrottled),
    (Reply(500), TenantUnavailable),
    (Reply(503, headers=(("Retry-After", "7"),)), TenantUnavailable),
    (Reply(502, body=b"x" * 3_000_000), TenantGarbled),
    (Reply(body=b"tok3n-value", cut=5), TenantUnavailable),
    (Reply(drop=True), TenantUnavailable),
]


@pytest.mark.parametrize(("reply", "kind"), UPGRADES, ids=[f"upgrade {number}" for number in range(len(UPGRADES))])
def test_an_upgrade_that_is_refused(
    engine: WebSocketEngine, acme: Tenant, scripted: ScriptedTenant, reply: Reply, kind: type[BridgeError]
) -> None:
    scripted.answers[PATH] = reply
    there = acme.model_copy(update={"host": scripted.host})

    error = refused(kind, lambda: read(engine, there))

    assert scripted.paths() == [PATH]
    if kind is TenantRefused:
        assert error.status == reply.status
    if reply.status in {429, 503}:
        assert error.retry_after_s == {429: 42, 503: 7}[reply.status]


def test_a_dead_token_is_a_401_with_qliks_code(engine: WebSocketEngine, acme: Tenant, scripted: ScriptedTenant) -> None:
    scripted.answers[PATH] = Reply(401, {"errors": [{"code": "AUTH-1"}], "traceId": "trace-1"})
    there = acme.model_copy(update={"host": scripted.host})

    error = refused(TenantRefused, lambda: read(engine, there))

    assert (error.status, error.upstream_code, error.trace_id) == (401, "AUTH-1", "trace-1")


def test_nobody_listens(engine: WebSocketEngine, acme: Tenant) -> None:
    there = acme.model_copy(update={"host": "http://127.0.0.1:9"})

    assert "ConnectionRefusedError" in refused(TenantUnavailable, lambda: read(engine, there)).detail


def test_an_upgrade_that_never_comes(clock: FakeClock, acme: Tenant) -> None:
    """The operating system accepts the connection; nobody ever reads it."""
    hasty = WebSocketEngine(clock, patience=Patience(LONG_S, 0.3, LONG_S))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        there = acme.model_copy(update={"host": f"http://127.0.0.1:{deaf.getsockname()[1]}"})
        refused(TenantTimeout, lambda: read(hasty, there))


# --- the engine closes -----------------------------------------------------------------------------------

CODES: list[tuple[int, type[BridgeError]]] = [
    (1000, TenantUnavailable),
    (1001, TenantUnavailable),
    (1011, TenantUnavailable),
    (4001, TenantUnavailable),
    (4002, AppRefused),
    (4003, TenantUnavailable),
    (4004, BadContent),
    (4005, TenantThrottled),
    (4006, TenantRefused),
    (4007, TenantUnavailable),
    (4200, TenantUnavailable),
    (4201, TenantTimeout),
    (4202, TenantRefused),
    (4203, AppRefused),
    (4204, BadContent),
    (4205, TenantThrottled),
    (4220, TenantUnavailable),
    (4230, AppRefused),
    (4240, TenantUnavailable),
    (4999, TenantUnavailable),
]


@pytest.mark.parametrize(("code", "kind"), CODES)
@pytest.mark.parametrize("method", ["OpenDoc", "GetHyperCubeData"])
def test_close_codes(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, method: str, code: int, kind: type[BridgeError]
) -> None:
    server.answers[method] = Close(code)

    error = refused(kind, lambda: read(engine, tenant))

    assert error.detail == f"engine: closed with {code}"
    if kind is TenantRefused:
        assert error.status == {4006: 401, 4202: 400}[code]


@pytest.mark.parametrize("method", ["OpenDoc", "GetHyperCubeData"])
def test_a_lost_connection(engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, method: str) -> None:
    server.answers[method] = Drop()

    assert refused(TenantUnavailable, lambda: read(engine, tenant)).detail == "engine: closed with 1006"


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("SESSION_ERROR_APP_ACCESS_DENIED", AppRefused),
        ("SESSION_ACCESS_CONTROL_SETUP_FAILURE", AppRefused),
        ("SESSION_ERROR_NO_LICENSE", AppRefused),
        ("SESSION_ERROR_LIMIT_EXCEEDED", TenantThrottled),
        ("SESSION_ERROR_SECURITY_HEADER_CHANGED", TenantRefused),
        ("SESSION_ERROR_APP_FAILURE", TenantUnavailable),
    ],
)
def test_a_session_that_is_refused(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, state: str, kind: type[BridgeError]
) -> None:
    server.greeting = [f'{{"jsonrpc":"2.0","method":"OnConnected","params":{{"qSessionState":"{state}"}}}}']

    assert refused(kind, lambda: read(engine, tenant)).detail == f"engine: {state}"


@pytest.mark.parametrize("value", [None, "alice", {}, {"qText": 7}])
def test_a_reader_without_a_text(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, value: object
) -> None:
    server.answers["EvaluateEx"] = {"qValue": value}

    assert "EvaluateEx" in refused(TenantGarbled, lambda: engine.reader(tenant, TOKEN, APP)).detail


# --- the engine refuses a call ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (5, AppRefused),
        (2, BadContent),
        (1003, BadContent),
        (1019, BadContent),
        (15, TenantUnavailable),
        (503, TenantUnavailable),
        (-32601, TenantGarbled),
        ("5", TenantGarbled),
        (None, TenantGarbled),
        ([5], TenantGarbled),
    ],
)
def test_errors_of_calls(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, code: object, kind: type[BridgeError]
) -> None:
    server.answers["OpenDoc"] = Failed(code)

    assert refused(kind, lambda: read(engine, tenant)).detail.startswith("OpenDoc: error")


@pytest.mark.parametrize(("part", "setting"), [("dimension", "hypercube_dimension"), ("measure", "hypercube_measure")])
def test_a_field_that_the_app_does_not_have_is_named(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, part: str, setting: str
) -> None:
    server.answers["GetLayout"] = layout_of_cube(0, **{part: {"qErrorCode": 7005}})

    error = refused(BadContent, lambda: read(engine, tenant))

    assert f"`content.{setting}`" in error.message


def test_more_rows_than_are_read_are_an_error_and_not_cut_off(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine
) -> None:
    server.answers |= cube(MAX_ROWS + 1)

    assert str(MAX_ROWS) in refused(TenantGarbled, lambda: read(engine, tenant)).message
    assert "GetHyperCubeData" not in server.methods()


def test_rows_that_end_early_are_no_answer(engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine) -> None:
    server.answers |= {"GetLayout": layout_of_cube(5), "GetHyperCubeData": pages(3)}

    assert "ended early" in refused(TenantUnavailable, lambda: read(engine, tenant)).detail


# --- garbage ---------------------------------------------------------------------------------------------

NOISE: list[Says] = [
    Raw("<html>tok3n-value</html>"),
    Raw(""),
    Raw("null"),
    Raw("[]"),
    Raw('"tok3n-value"'),
    Raw('{"id": NaN}'),
    Raw("[" * 100_000),
    Raw(b"\xff\xfe\x00"),
    Raw('{"jsonrpc":"2.0","id":1}'),
    Raw('{"jsonrpc":"2.0","id":1,"result":[]}'),
    Raw(" " * (MAX_MESSAGE + 1)),
    {},
    {"qReturn": None},
    {"qReturn": {"qHandle": None}},
    {"qReturn": {"qHandle": True}},
    {"qReturn": {"qHandle": "1"}},
]


@pytest.mark.parametrize("says", NOISE, ids=[f"noise {number}" for number in range(len(NOISE))])
def test_noise(engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, says: Says) -> None:
    server.answers["OpenDoc"] = says

    refused(TenantGarbled, lambda: read(engine, tenant))


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"qLayout": []},
        {"qLayout": {"qHyperCube": {}}},
        layout_of_cube(-1),
        {"qLayout": {"qHyperCube": layout_of_cube(1)["qLayout"]["qHyperCube"] | {"qSize": {"qcy": True}}}},
        {"qLayout": {"qHyperCube": layout_of_cube(1)["qLayout"]["qHyperCube"] | {"qDimensionInfo": []}}},
        {"qLayout": {"qHyperCube": layout_of_cube(1)["qLayout"]["qHyperCube"] | {"qMeasureInfo": ["Sales"]}}},
        layout_of_sheets("overview"),
        {"qLayout": {"qAppObjectList": {"qItems": {}}}},
    ],
)
def test_garbled_layouts(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, layout: dict[str, Any]
) -> None:
    server.answers["GetLayout"] = layout

    refused(TenantGarbled, lambda: read(engine, tenant))
    refused(TenantGarbled, lambda: engine.sheets(tenant, TOKEN, APP))


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"qDataPages": None},
        {"qDataPages": [1]},
        {"qDataPages": [{"qMatrix": [[{"qText": "one"}]]}]},
        {"qDataPages": [{"qMatrix": [["one", "two"]]}]},
        {"qDataPages": [{"qMatrix": [[{"qText": "one"}, {"qText": 2}]]}]},
        {"qDataPages": [{"qMatrix": [[{"qText": "one"}, {}]]}]},
    ],
)
def test_garbled_pages(engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, found: dict[str, Any]) -> None:
    server.answers["GetHyperCubeData"] = found

    refused(TenantGarbled, lambda: read(engine, tenant))


# --- slow ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("says", [Hang(), Chatter(), Drip()], ids=lambda says: type(says).__name__)
@pytest.mark.parametrize("method", ["OpenDoc", "GetHyperCubeData"])
def test_nobody_waits_for_ever(
    hasty: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, method: str, says: Says
) -> None:
    server.answers[method] = says

    assert refused(TenantTimeout, lambda: read(hasty, tenant)).detail.endswith("no answer in time")


# --- TLS -------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return one file with a key and its certificate for 127.0.0.1."""
    key = certificates.rsa_key()
    path = tmp_path / "server.pem"
    path.write_text(
        certificates.self_signed(key, "localhost", ("127.0.0.1", "localhost")) + certificates.private_pem(key)
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[ScriptedEngine]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ScriptedEngine({"OpenDoc": opened(1), "CreateSessionObject": opened(2), **cube(3)}, tls=context) as engine:
        yield engine


def test_a_certificate_that_nobody_vouches_for_is_refused(
    engine: WebSocketEngine, acme: Tenant, secure: ScriptedEngine
) -> None:
    there = acme.model_copy(update={"host": secure.host})

    assert "SSLCertVerificationError" in refused(TenantUnavailable, lambda: read(engine, there)).detail
    assert secure.opened == []


def test_certificates_are_trusted_as_over_http(
    clock: FakeClock, acme: Tenant, secure: ScriptedEngine, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "DEFAULT_CA_BUNDLE_PATH", str(certificate))

    assert read(WebSocketEngine(clock), acme.model_copy(update={"host": secure.host})).dimension == ("p0", "p1", "p2")


# --- nothing leaks ---------------------------------------------------------------------------------------


def test_no_log_of_any_level_holds_the_token(
    engine: WebSocketEngine, tenant: Tenant, server: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        read(engine, tenant)
        server.answers["OpenDoc"] = Close(4203)
        refused(AppRefused, lambda: read(engine, tenant))

    ours = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    assert [record.getMessage() for record in ours if TOKEN in record.getMessage()] == []


def test_the_tables_name_no_code_that_is_not_documented() -> None:
    assert set(engine_answers.CLOSED) <= {code for code, _ in CODES}
