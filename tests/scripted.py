"""A tenant over a real socket that answers what the test says."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from fakes import FakeClock

NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer. `cut` sends that many bytes of the body and hangs up; `hang` never sends it."""

    status: int = 200
    document: object = None
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    hang: bool = False
    drip: bool = False
    drop: bool = False

    def payload(self) -> bytes:
        if self.body is not None:
            return self.body
        return b"" if self.document is None else json.dumps(self.document).encode()


Answerer = Callable[[Seen], Reply]


@dataclass
class ScriptedTenant:
    """`answers[path]` (with its query, else without) is a Reply or a function of a request; `seen` is what came in."""

    clock: FakeClock
    skew_s: float = 0
    answers: dict[str, Reply | Answerer] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> Self:
        script = self
        self.over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                script._answer(self)

            do_POST = do_GET  # noqa: N815 - http.server's own spelling

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.host = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def paths(self) -> list[str]:
        return [each.path for each in self.seen]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        seen = Seen(handler.command, handler.path, dict(handler.headers.items()), body)
        self.seen.append(seen)
        found = self.answers.get(handler.path) or self.answers.get(handler.path.partition("?")[0], Reply(404))
        reply = found if isinstance(found, Reply) else found(seen)
        try:
            self._write(handler, reply)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True

    def _write(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        handler.close_connection = reply.drop or reply.cut is not None
        if reply.drop:
            return
        payload = reply.payload()
        self._write_head(handler, reply, len(payload))
        if reply.hang:
            self.over.wait(5)
        elif reply.drip:
            self._drip(handler, payload)
        else:
            handler.wfile.write(payload[: reply.cut])

    def _write_head(self, handler: BaseHTTPRequestHandler, reply: Reply, length: int) -> None:
        handler.send_response_only(reply.status)
        if not any(name == "Date" for name, _ in reply.headers):
            handler.send_header("Date", formatdate(self.clock() + self.skew_s, usegmt=True))
        for name, value in reply.headers:
            handler.send_header(name, value)
        if reply.status != NO_CONTENT:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()

    def _drip(self, handler: BaseHTTPRequestHandler, payload: bytes) -> None:
        for byte in payload:
            handler.wfile.write(bytes([byte]))
            if self.over.wait(0.02):
                return
