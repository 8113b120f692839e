"""An engine over a real websocket that answers what the test says."""

import json
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

OVER_S = 30


@dataclass(frozen=True, slots=True)
class Raw:
    """Send this in place of an answer, as it is."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """Answer with a JSON-RPC error."""

    code: object


@dataclass(frozen=True, slots=True)
class Close:
    code: int


class Hang:
    """Never answer."""


class Chatter:
    """Say other things for ever, never the answer."""


class Drop:
    """Let the connection go without a word."""


class Drip:
    """Send the answer in pieces, so slowly that it never ends."""


Says = Mapping[str, Any] | Raw | Failed | Close | Hang | Chatter | Drop | Drip
Answerer = Says | Callable[[Sequence[Any]], Says]


@dataclass(frozen=True, slots=True)
class Opened:
    """One websocket, as it arrived; `code` is how it ended, None until then."""

    path: str
    headers: Mapping[str, str]
    calls: list[Mapping[str, Any]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@dataclass
class ScriptedEngine:
    """`answers[method]` is what to say, or a function of the parameters; `greeting` is said first."""

    answers: dict[str, Answerer] = field(default_factory=dict)
    greeting: list[str] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    opened: list[Opened] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._server: Server = serve(self._converse, "127.0.0.1", 0, ssl=self.tls, compression=None, close_timeout=1)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        port = self._server.socket.getsockname()[1]
        self.host = f"{'https' if self.tls else 'http'}://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join(OVER_S)

    def methods(self) -> list[str]:
        return [call["method"] for each in self.opened for call in each.calls]

    def _converse(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        opened = Opened(websocket.request.path, dict(websocket.request.headers.raw_items()))
        self.opened.append(opened)
        try:
            for message in self.greeting:
                websocket.send(message)
            with suppress(ConnectionClosed, OSError):
                for text in websocket:
                    call = json.loads(text)
                    opened.calls.append(call)
                    self._say(websocket, call)
        finally:
            opened.over.set()

    def _say(self, websocket: ServerConnection, call: Mapping[str, Any]) -> None:
        found = self.answers.get(call["method"], Failed(-32601))
        says = found(call["params"]) if callable(found) else found
        if isinstance(says, Mapping):
            websocket.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": says}))
        elif isinstance(says, Failed):
            error = {"code": says.code, "message": "in words that nobody judges by"}
            websocket.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": error}))
        elif isinstance(says, Raw):
            websocket.send(says.message)
        elif isinstance(says, Close):
            websocket.close(says.code, "a reason that may hold anything: tok3n-value")
        else:
            self._misbehave(websocket, says)

    def _misbehave(self, websocket: ServerConnection, says: Hang | Chatter | Drop | Drip) -> None:
        if isinstance(says, Drop):
            websocket.close_socket()
        elif isinstance(says, Drip):
            websocket.send(self._pieces())
        else:
            while not self._over.wait(0.01) and websocket.close_code is None:
                if isinstance(says, Chatter):
                    websocket.send(json.dumps({"jsonrpc": "2.0", "method": "OnNews", "params": {}}))

    def _pieces(self) -> Any:  # noqa: ANN401 - an endless iterator, which `send` takes
        yield '{"jsonrpc":'
        while not self._over.wait(0.01):
            yield " "
