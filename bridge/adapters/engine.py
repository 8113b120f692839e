"""A tenant's engine over WebSocket: one short conversation a question, never repeated here."""

import json
import logging
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from requests.structures import CaseInsensitiveDict
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from bridge.adapters import engine_answers
from bridge.adapters.wire import Answer, Patience, causes, failure, parsed, trust
from bridge.errors import BridgeError, TenantGarbled, TenantTimeout, TenantUnavailable
from bridge.model import Hypercube, Tenant
from bridge.ports import Clock
from bridge.telemetry import Step, timed

PATIENCE = Patience(read_s=20.0, total_s=30.0)
"""The engine may have to load the app first."""
CLOSING_S = 1.0
MAX_MESSAGE = 4_000_000
IDENTITY = "qlik-bridge"
"""A session of our own: without it we would join the one of the person's browser, with all that is selected there."""
GLOBAL = -1
PORTS = {"https": 443, "http": 80}
OURS = {1002, 1007, 1009}
"""Codes with which our side closes a websocket: bad frames, bad text, too large a message."""

silent = logging.Logger("engine")  # noqa: LOG001 - outside the tree: its debug lines would show the Authorization header
silent.disabled = True


class WebSocketEngine:
    """Implements ports.Engine. No error of its methods repeats a token."""

    def __init__(self, clock: Clock, *, patience: Patience = PATIENCE) -> None:
        self._clock = clock
        self._patience = patience
        self._trust = trust()

    def sheets(self, tenant: Tenant, access_token: str, app_id: str) -> Sequence[Mapping[str, Any]]:
        with self._opened(tenant, access_token, app_id) as app, timed(Step.SHEETS):
            _, layout = app.make(engine_answers.SHEET_LIST)
            return engine_answers.sheet_list(layout)

    def hypercube(self, tenant: Tenant, access_token: str, app_id: str, *, dimension: str, measure: str) -> Hypercube:
        with self._opened(tenant, access_token, app_id) as app, timed(Step.HYPERCUBE):
            cube, layout = app.make(engine_answers.hypercube_properties(dimension, measure))
            rows = app.rows(cube, engine_answers.row_count(layout))
        return Hypercube(tuple(row[0] for row in rows), tuple(row[1] for row in rows))

    @contextmanager
    def _opened(self, tenant: Tenant, access_token: str, app_id: str) -> Iterator["_App"]:
        """Hold the app open as the person of the token; the websocket is closed whatever happens."""
        deadline = time.monotonic() + self._patience.total_s
        with timed(Step.WEBSOCKET):
            websocket = self._connected(tenant, access_token, app_id)
        with websocket:
            app = _App(websocket, self._patience.read_s, deadline)
            with timed(Step.OPEN_APP):
                app.open(app_id)
            yield app

    def _connected(self, tenant: Tenant, access_token: str, app_id: str) -> ClientConnection:
        """Connect by a socket of our own: the library would follow redirects, and ask the environment for a proxy."""
        parts = urlsplit(tenant.host)
        place = (parts.hostname, parts.port or PORTS[parts.scheme])
        address = f"{tenant.host.replace('http', 'ws', 1)}/app/{quote(app_id, safe='')}/identity/{IDENTITY}"
        try:
            wire = socket.create_connection(place, self._patience.connect_s)
            return self._upgraded(wire, address, access_token)
        except (OSError, ValueError, EOFError, WebSocketException) as error:
            raise self._not_connected(error) from None

    def _upgraded(self, wire: socket.socket, address: str, access_token: str) -> ClientConnection:
        """Speak TLS where the address says so, and websocket; the socket is closed when that fails."""
        wire.settimeout(None)
        try:
            return connect(
                address,
                sock=wire,
                ssl=self._trust if address.startswith("wss:") else None,
                additional_headers={"Authorization": f"Bearer {access_token}"},
                user_agent_header="qlik-bridge",
                compression=None,
                proxy=None,
                open_timeout=self._patience.read_s,
                close_timeout=CLOSING_S,
                ping_interval=None,
                max_size=MAX_MESSAGE,
                logger=silent,
            )
        except BaseException:
            wire.close()
            raise

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


class _App:
    """JSON-RPC with an engine, and the app that it has open."""

    def __init__(self, websocket: ClientConnection, read_s: float, deadline: float) -> None:
        self._websocket = websocket
        self._read_s = read_s
        self._deadline = deadline
        self._asked = 0
        self._handle = GLOBAL

    def open(self, app_id: str) -> None:
        self._handle = engine_answers.handle("OpenDoc", self._ask(GLOBAL, "OpenDoc", app_id))

    def make(self, properties: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """Make an object that lives as long as the session; return its handle and its layout."""
        made = self._ask(self._handle, "CreateSessionObject", properties)
        number = engine_answers.handle("CreateSessionObject", made)
        return number, engine_answers.part("GetLayout", self._ask(number, "GetLayout"), "qLayout")

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
            while (message := self._next()).get("id") != self._asked:
                if message.get("method") == "OnConnected":
                    engine_answers.check_session(message.get("params"))
        except ConnectionClosed as closing:
            raise _closed(closing) from None
        except TimeoutError:
            raise TenantTimeout(detail=f"{method}: no answer in time") from None
        except OSError as error:
            raise failure(error) from None
        return engine_answers.result(method, message)

    def _next(self) -> Mapping[str, Any]:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        try:
            message = parsed(self._websocket.recv(min(left_s, self._read_s)))
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise TenantGarbled(detail="engine: a message that is not a JSON object")
        return message


def _closed(closing: ConnectionClosed) -> BridgeError:
    if closing.sent is not None and closing.sent.code in OURS and not closing.rcvd_then_sent:
        return TenantGarbled(detail=f"engine: closed by us with {closing.sent.code}")
    return engine_answers.closed(closing.rcvd.code if closing.rcvd else 1006)
