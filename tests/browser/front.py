"""A small front server, as nginx would stand there: a few pages of its own, the rest is the bridge's."""

from __future__ import annotations

import http.client
import mimetypes
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    Trouble = Callable[[str, str], Response | None]

PATIENCE_S = 60
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass
class Front:
    """Passes requests on with their Host, notes them, and makes trouble where a test asks for it."""

    port: int
    bridge_port: int
    pages: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    trouble: Trouble | None = None

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    def put(self, path: str, text: str) -> None:
        """Serve a page or script of the test's own."""
        self.pages[path] = text

    def forget(self) -> None:
        self.pages.clear()
        self.calls.clear()
        self.trouble = None

    def count(self, call: str) -> int:
        """Return how often `METHOD path` came, answered with trouble or not."""
        return self.calls.count(call)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        self.calls.append(f"{request.method} {request.path}")
        own = self.pages.get(request.path)
        if own is not None:
            mimetype = mimetypes.guess_type(request.path)[0] or "text/html"
            return Response(own, mimetype=mimetype)(environ, start_response)
        trouble = self.trouble(request.method, request.path) if self.trouble else None
        return (trouble or self._pass_on(request))(environ, start_response)

    def _pass_on(self, request: Request) -> Response:
        address = request.full_path if request.query_string else request.path
        connection = http.client.HTTPConnection("127.0.0.1", self.bridge_port, timeout=PATIENCE_S)
        try:
            connection.request(request.method, address, request.get_data(), dict(request.headers))
            answer = connection.getresponse()
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
            return Response(answer.read(), answer.status, headers)
        except OSError:
            return Response("the bridge does not answer", 502)
        finally:
            connection.close()


class SeededTrouble:
    """Fails a share of the calls to some paths, each once: what comes after a failure goes through."""

    KINDS = (429, 500, 502, 503)

    def __init__(self, seed: int, share: float, *paths: str) -> None:
        self._choice = random.Random(seed)  # noqa: S311 - the same trouble in each run
        self._share = share
        self._paths = paths
        self._failed_last: set[str] = set()
        self._lock = threading.Lock()
        self.failures = 0

    def __call__(self, method: str, path: str) -> Response | None:
        call = f"{method} {path}"
        if call not in self._paths:
            return None
        with self._lock:
            spared, strikes = call in self._failed_last, self._choice.random() < self._share
            self._failed_last.discard(call)
            if spared or not strikes:
                return None
            self._failed_last.add(call)
            self.failures += 1
            status = self._choice.choice(self.KINDS)
        headers = {"Retry-After": "0"} if status in {429, 503} else {}
        return Response("<h1>seeded trouble</h1>", status, headers, mimetype="text/html")
