"""A tenant's engine over WebSocket: one short conversation a question, never repeated here."""

import json
import logging
import secrets
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from requests.structures import CaseInsensitiveDict
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from bridge.adapters import engine_answers
from bridge.adapters.engine_access import app_seen
from bridge.adapters.reach import ANYWHERE, Reach
from bridge.adapters.wire import CHUNK, Answer, Patience, bearer, causes, failure, parsed, trust
from bridge.errors import AppRefused, BadContent, BridgeError, TenantGarbled, TenantTimeout, TenantUnavailable
from bridge.evidence import Credential, OpenedApp, Wanted
from bridge.model import Hypercube, Tenant
from bridge.ports import Clock
from bridge.telemetry import Step, timed

PATIENCE = Patience(read_s=20.0, total_s=30.0)
"""The engine may have to load the app first."""
MAX_MESSAGE = 4_000_000
IDENTITY = "qlik-bridge"
"""A session of our own: without it we would join the one of the person's browser, with all that is selected there."""
GLOBAL = -1
PORTS = {"https": 443, "http": 80}
LOST = 1006
"""The code that stands for a websocket which ended without one."""

silent = logging.Logger("engine")  # noqa: LOG001 - outside the tree: its debug lines would show the Authorization header
silent.disabled = True


class WebSocketEngine:
    """Implements ports.Engine. No error of its methods repeats a token."""

    def __init__(self, clock: Clock, *, patience: Patience = PATIENCE, reach: Reach = ANYWHERE) -> None:
        self._clock = clock
        self._patience = patience
        self._reach = reach
        self._trust = trust()

    def sheets(self, tenant: Tenant, access_token: str, app_id: str) -> Sequence[Mapping[str, Any]]:
        with self._opened(tenant, bearer(access_token), app_id) as app, timed(Step.SHEETS):
            return app.sheets()

    def hypercube(self, tenant: Tenant, access_token: str, app_id: str, *, dimension: str, measure: str) -> Hypercube:
        with self._opened(tenant, bearer(access_token), app_id) as app, timed(Step.HYPERCUBE):
            rows = app.cube(dimension, measure)
        return Hypercube(tuple(row[0] for row in rows), tuple(row[1] for row in rows))

    def reader(self, tenant: Tenant, access_token: str, app_id: str) -> str:
        with self._opened(tenant, bearer(access_token), app_id) as app, timed(Step.READER):
            return app.value("=OSUser()")

    def look(self, tenant: Tenant, credential: Credential, app_id: str, wanted: Wanted) -> OpenedApp:
        """Return what a person finds in an app (see ports.AccessReader.opened)."""
        own = f"{IDENTITY}-{secrets.token_hex(6)}"  # never join a session that another credential opened
        try:
            with self._opened(tenant, credential.headers, app_id, own) as app:
                return app_seen(app, [probe for probe in wanted.probes if probe.app_id == app_id], wanted.salt)
        except AppRefused:
            return OpenedApp(refused="closed to this person")
        except BadContent:
            return OpenedApp(refused="not found by this person")

    @contextmanager
    def _opened(
        self, tenant: Tenant, headers: Mapping[str, str], app_id: str, identity: str = IDENTITY
    ) -> Iterator["_App"]:
        """Hold the app open as the person behind the headers; the websocket is closed whatever happens."""
        deadline = time.monotonic() + self._patience.total_s
        with ExitStack() as open_ones:
            with timed(Step.WEBSOCKET):
                websocket = open_ones.enter_context(self._connected(tenant, headers, _path(app_id, identity), deadline))
            app = _App(websocket)
            with timed(Step.OPEN_APP):
                app.open(app_id)
            yield app

    @contextmanager
    def _connected(
        self, tenant: Tenant, headers: Mapping[str, str], path: str, deadline: float
    ) -> Iterator["_Websocket"]:
        """Connect to the tenant itself: no redirect is followed, and no proxy of the environment is used."""
        parts = urlsplit(tenant.host)
        address = tenant.host.replace("http", "ws", 1) + path
        with ExitStack() as open_ones:
            try:
                place = (parts.hostname or "", parts.port or PORTS[parts.scheme])
                wire = open_ones.enter_context(self._reach.connect(place, partial(_connected, place, self._patience)))
                if parts.scheme == "https":
                    wire.settimeout(self._patience.read_s)
                    wire = open_ones.enter_context(self._trust.wrap_socket(wire, server_hostname=parts.hostname))
                websocket = _Websocket(wire, address, self._patience.read_s, deadline)
                websocket.upgrade(headers)
            except (OSError, ValueError, EOFError, WebSocketException) as error:
                raise self._not_connected(error) from None
            open_ones.callback(websocket.close)
            yield websocket

    def _not_connected(self, error: Exception) -> BridgeError:
        chain = causes(error)
        answer = next((each.response for each in chain if isinstance(each, InvalidStatus)), None)
        if answer is not None:
            headers = CaseInsensitiveDict(answer.headers.raw_items())
            return engine_answers.not_upgraded(
                Answer(answer.status_code, headers, bytes(answer.body or b""), ()), self._clock()
            )
        detail = "websocket: " + " < ".join(type(each).__name__ for each in chain)
        if any(isinstance(each, TimeoutError) for each in chain):
            return TenantTimeout(detail=detail)
        if any(isinstance(each, OSError | EOFError) for each in chain):
            return TenantUnavailable(detail=detail)
        return TenantGarbled(detail=detail)


def _connected(place: tuple[str, int], patience: Patience) -> socket.socket:
    return socket.create_connection(place, patience.connect_s)


def _path(app_id: str, identity: str) -> str:
    return f"/app/{quote(app_id, safe='')}/identity/{identity}"


class _App:
    """JSON-RPC with an engine, and the app that it has open."""

    def __init__(self, websocket: "_Websocket") -> None:
        self._websocket = websocket
        self._asked = 0
        self._handle = GLOBAL

    def open(self, app_id: str) -> None:
        self._handle = engine_answers.handle("OpenDoc", self._ask(GLOBAL, "OpenDoc", app_id))

    def make(self, properties: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """Make an object that lives as long as the session; return its handle and its layout."""
        made = self._ask(self._handle, "CreateSessionObject", properties)
        number = engine_answers.handle("CreateSessionObject", made)
        return number, engine_answers.part("GetLayout", self._ask(number, "GetLayout"), "qLayout")

    def reloaded_at(self) -> str:
        """Return the app's stamp of its last reload; empty where it has none."""
        layout = engine_answers.part("GetAppLayout", self._ask(self._handle, "GetAppLayout"), "qLayout")
        stamp = layout.get("qLastReloadTime")
        return stamp if isinstance(stamp, str) else ""

    def sheets(self) -> Sequence[Mapping[str, Any]]:
        return engine_answers.sheet_list(self.make(engine_answers.SHEET_LIST)[1])

    def opens(self, object_id: str) -> bool:
        """Tell whether the person finds an object of the app."""
        return engine_answers.is_found("GetObject", self._ask(self._handle, "GetObject", object_id))

    def cube(self, dimension: str, measure: str) -> list[tuple[str, str]]:
        """Return every row of a measure by a dimension. Raises BadContent where the app has no such thing."""
        cube, layout = self.make(engine_answers.hypercube_properties(dimension, measure))
        return self.rows(cube, engine_answers.row_count(layout))

    def value(self, expression: str) -> str:
        return engine_answers.value(self._ask(self._handle, "EvaluateEx", expression))

    def rows(self, cube: int, count: int) -> list[tuple[str, str]]:
        """Return so many rows of a hypercube, page by page."""
        found: list[tuple[str, str]] = []
        while len(found) < count:
            height = min(engine_answers.PAGE_ROWS, count - len(found))
            page = {"qLeft": 0, "qTop": len(found), "qWidth": 2, "qHeight": height}
            more = engine_answers.rows(self._ask(cube, "GetHyperCubeData", "/qHyperCubeDef", [page]))
            if not more:
                raise TenantUnavailable(detail="GetHyperCubeData: the rows ended early")
            found += more[:height]
        return found

    def _ask(self, handle: int, method: str, *params: object) -> Mapping[str, Any]:
        """Return the result of a call, past whatever else the engine says meanwhile."""
        self._asked += 1
        call = {"jsonrpc": "2.0", "id": self._asked, "handle": handle, "method": method, "params": params}
        try:
            self._websocket.send(json.dumps(call))
            while (message := _document(self._websocket.receive())).get("id") != self._asked:
                if message.get("method") == "OnConnected":
                    engine_answers.check_session(message.get("params"))
        except TimeoutError:
            raise TenantTimeout(detail=f"{method}: no answer in time") from None
        except OSError as error:
            raise failure(error) from None
        return engine_answers.result(method, message)


def _document(message: bytes) -> Mapping[str, Any]:
    try:
        found = parsed(message.decode())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise TenantGarbled(detail="engine: a message that is not a JSON object")
    return found


class _Websocket:
    """A websocket on one thread.

    The library's own client reads on a second one, and two threads in one TLS connection lose data now and then:
    OpenSSL is not made for that. So the library speaks the protocol here, and we read and write.
    """

    def __init__(self, wire: socket.socket, address: str, read_s: float, deadline: float) -> None:
        self._wire = wire
        self._read_s = read_s
        self._deadline = deadline
        self._protocol = ClientProtocol(parse_uri(address), max_size=MAX_MESSAGE, logger=silent)
        self._messages: deque[bytes] = deque()
        self._begun = bytearray()
        self._ended = False

    def upgrade(self, headers: Mapping[str, str]) -> None:
        """Make the opening handshake. Raises what the library says when it fails, or an OSError."""
        request = self._protocol.connect()
        for name, value in headers.items():
            request.headers[name] = value
        request.headers["User-Agent"] = "qlik-bridge"
        self._protocol.send_request(request)
        self._flush()
        while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
            self._read()
        if self._protocol.handshake_exc is not None:
            raise self._protocol.handshake_exc

    def send(self, text: str) -> None:
        self._check_open()
        self._protocol.send_text(text.encode())
        self._flush()

    def receive(self) -> bytes:
        """Return the next message, whole. Raises what the end of the websocket means, or an OSError."""
        while not self._messages:
            self._check_open()
            self._read()
        return self._messages.popleft()

    def close(self) -> None:
        """Say goodbye, and do not wait for an answer; whoever opened the socket closes it."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            with suppress(OSError):
                self._flush()

    def _check_open(self) -> None:
        """Raise what the end means, where there is one: we close for a wrong frame or size, they by a code."""
        theirs, ours = self._protocol.close_rcvd, self._protocol.close_sent
        if ours is not None and not self._protocol.close_rcvd_then_sent:
            raise TenantGarbled(detail=f"engine: closed by us with {ours.code}")
        if theirs is not None or self._ended:
            raise engine_answers.closed(theirs.code if theirs else LOST)

    def _read(self) -> None:
        """Take in what there is, and answer what the protocol wants answered (pings, a close)."""
        self._wire.settimeout(self._left_s())
        data = self._wire.recv(CHUNK)
        if data:
            self._protocol.receive_data(data)
        else:
            self._ended = True
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        with suppress(OSError):  # who closed and left does not hear us; what they said before counts
            self._flush()

    def _take(self, frame: Frame) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            self._begun += frame.data
            if frame.fin:
                self._messages.append(bytes(self._begun))
                self._begun.clear()

    def _flush(self) -> None:
        """Send what waits; the empty part that marks the end is ours to do by closing the socket."""
        self._wire.settimeout(self._left_s())
        for data in filter(None, self._protocol.data_to_send()):
            self._wire.sendall(data)

    def _left_s(self) -> float:
        left_s = min(self._deadline - time.monotonic(), self._read_s)
        if left_s <= 0:
            raise TimeoutError
        return left_s
