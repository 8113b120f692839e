"""gunicorn's worker whose connections are served by granian: `gunicorn --worker-class bridge.worker.Worker`. Why: 033.

gunicorn starts, watches and replaces processes; granian, written in Rust, reads and writes HTTP. WSGI runs in as many
threads as `threads` says.
"""

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from granian import _futures, _granian, http
from gunicorn.workers.sync import SyncWorker

granian: Any = _granian  # what its stubs say of these is not so

LOOK_EVERY_S = 0.1
HEAD_BYTES = 64 * 1024
"""How long the head of a request may be in all: an assertion carries hundreds of groups."""
LOOPBACK = "127.0.0.1"
LINGER_S = 1.0
"""How long connections that are kept open may still ask, after SIGTERM; each is closed by its answer."""
REST_S = 5.0
"""How long one of those who came last may take to say what they want."""
IDLE_THREAD_S = 600
IN_LINE = 1024
"""How many requests may wait for a thread; connections beyond wait in the kernel's own line."""

FORGEABLE = (
    "This worker cannot tell X_Forwarded_User from X-Forwarded-User, so BRIDGE_IDENTITY=header could be forged"
    " through a proxy that passes such names on. Set WEB_WORKER=gthread (gunicorn --worker-class gthread)."
)

ENVIRON: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "granian",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


class _Start:
    """WSGI's start_response."""

    __slots__ = ("headers", "status")

    def __call__(self, status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> Callable[[bytes], Any]:
        self.status, self.headers = int(status[:3]), headers
        return _refuse_to_write


def _refuse_to_write(_data: bytes) -> None:
    raise NotImplementedError("WSGI's old write() is not served here")


def _lead_nowhere(door: int) -> None:
    """Let granian, which serves on whoever is inside, wait at a door to which nobody comes."""
    with socket.create_server((LOOPBACK, 0)) as nowhere:
        nowhere.setblocking(False)
        os.dup2(nowhere.fileno(), door, inheritable=False)


def _last_of(listener: Any) -> list[tuple[socket.socket, Any]]:  # noqa: ANN401 - gunicorn's own
    """Return whom the kernel has let in already, and close the door behind them."""
    waiting = []
    with suppress(BlockingIOError):
        while True:
            waiting.append(listener.accept())
    listener.close()
    return waiting


class Worker(SyncWorker):  # type: ignore[misc]  # gunicorn says nothing of its types
    """Serves until SIGTERM; then nobody is kept on the line, and the door closes behind whoever was let in."""

    @classmethod
    def check_config(cls, _cfg: object, _log: object) -> None:
        """End at once where people are known by headers: granian reads `X_Name` as `X-Name`, which proxies let pass."""
        if "header" in map(str.strip, os.environ.get("BRIDGE_IDENTITY", "").split(",")):
            sys.exit(FORGEABLE)

    def run(self) -> None:
        stop, loop, is_over = granian.WorkerSignal(), asyncio.new_event_loop(), threading.Event()
        stop.add_cb(is_over.set)
        answers = _futures._new_cbscheduler(loop, self._answer, impl_asyncio=True)  # type: ignore[no-untyped-call]  # noqa: SLF001
        doors = [os.dup(listener.fileno()) for listener in self.sockets]
        for listener, door in zip(self.sockets, doors, strict=True):
            self._core(listener, door).serve_str(answers, loop, stop)
        self._stay_while(lambda: self.alive and self.ppid == os.getppid())
        for door in doors:
            _lead_nowhere(door)
        with ThreadPoolExecutor(self.cfg.threads) as crowd:
            rest = [crowd.submit(self._serve_one, *each) for listener in self.sockets for each in _last_of(listener)]
            asked_to_go = time.monotonic()
            self._stay_while(lambda: time.monotonic() < asked_to_go + LINGER_S)
            stop.set()  # not before: granian hangs up on whoever has come in and not yet spoken
            self._stay_while(lambda: not is_over.is_set() or not all(each.done() for each in rest))

    def _serve_one(self, connection: socket.socket, address: Any) -> None:  # noqa: ANN401 - gunicorn's own
        """Answer somebody who came while the door was closing: the kernel let them in, and nobody else will."""
        connection.settimeout(REST_S)
        self.handle(connection, connection, address)  # as a listener it tells its address

    def _stay_while(self, condition: Callable[[], bool]) -> None:
        """Wait, and let the master know that we live."""
        while condition():
            self.notify()
            time.sleep(LOOK_EVERY_S)

    def _core(self, listener: Any, door: int) -> Any:  # noqa: ANN401 - gunicorn's and granian's own
        """Return what serves a listener; granian's own server makes it in the same way."""
        holder = (None, granian.SocketHolder(door, listener.FAMILY == socket.AF_UNIX, self.cfg.backlog))
        http1 = http.HTTP1Settings(keep_alive=self.cfg.keepalive > 0, max_buffer_size=HEAD_BYTES)
        threads = (1, 1, self.cfg.threads, IDLE_THREAD_S, IN_LINE)
        no_tls: tuple[Any, ...] = (False, None, None, None, "tls1.3", None, [], False)
        return granian.WSGIWorker(1, holder, None, *threads, "1", http1, None, None, *no_tls, (None, None))

    def _answer(self, exchange: Any, scope: dict[str, Any]) -> int:  # noqa: ANN401 - granian's own
        """Run the application for one request."""
        start = _Start()
        body = self.wsgi(ENVIRON | scope, start)
        try:
            content = b"".join(body)
        finally:
            if hasattr(body, "close"):
                body.close()
        if not self.alive:
            start.headers.append(("Connection", "close"))
        exchange.response_bytes(start.status, start.headers, content)
        return start.status
