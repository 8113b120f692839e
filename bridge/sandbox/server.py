"""Serves all tenants from one gunicorn worker, one port each, because a tenant's state is in memory."""

# mypy: disable-error-code="import-untyped, misc"
# gunicorn ships no types, so it is untyped to import (import-untyped) and to derive from (misc).

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.http import wsgi

from bridge.sandbox import app, certificates, seed, sockets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from flask import Flask

HOSTS = ("localhost", "127.0.0.1", "127.0.0.2", "::1")


def run(
    ports: Mapping[str, int],
    *,
    portal_origins: Sequence[str],
    tls: bool = False,
    host: str = "127.0.0.1",
    web_threads: int = 256,
    exit_with_parent: bool = False,
) -> None:
    """Serve one tenant per entry of `ports` until SIGTERM or SIGINT. Needs the main thread, for its signals."""
    refuse_public(host)
    apps = app.create_apps(seed.build(ports, portal_origins))
    scheme = "https" if tls else "http"
    ready = [f"sandbox: {slug} ready at {scheme}://{_in_url(host)}:{port}" for slug, port in ports.items()]
    by_port = {port: apps[slug] for slug, port in ports.items()}
    owner = os.getpid()
    with contextlib.ExitStack() as stack:
        certificate = stack.enter_context(_certificate(host)) if tls else {}
        options = {
            "bind": [f"{_in_url(host)}:{port}" for port in by_port],
            "threads": web_threads,
            "worker_int": lambda _worker: end_at_once(apps.values()),
            "post_worker_init": lambda _worker: print("\n".join(ready), flush=True),  # noqa: T201 - the ready lines
            **certificate,
        }
        try:
            Server(by_port, options, exit_with_parent=exit_with_parent).run()
        except SystemExit as ending:
            # The worker is a fork that passes here as well; only the first process may go on.
            if os.getpid() != owner or ending.code:
                raise


def end_at_once(apps: Iterable[Flask]) -> NoReturn:
    """Say goodbye to open websockets and end the worker: each holds a thread, and Python would wait for them."""
    for each in apps:
        sockets.close_all(each.extensions["tenant"], sockets.GOING_AWAY)
    os._exit(0)


def refuse_public(host: str) -> None:
    """Refuse to listen beyond this machine: the sandbox hands out its secrets to whoever asks."""
    with contextlib.suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return
    raise ValueError(f"the sandbox listens on loopback addresses alone, not on {host}")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextlib.contextmanager
def _certificate(host: str) -> Iterator[dict[str, str]]:
    """Make a self-signed certificate, on disk only while the server runs: gunicorn reads it from files."""
    folder, owner = Path(tempfile.mkdtemp(prefix="sandbox-tls-")), os.getpid()
    key = certificates.rsa_key()
    try:
        keyfile, certfile = folder / "key.pem", folder / "cert.pem"
        keyfile.write_text(certificates.private_pem(key))
        certfile.write_text(certificates.self_signed(key, "localhost", tuple(dict.fromkeys((*HOSTS, host)))))
        yield {"keyfile": str(keyfile), "certfile": str(certfile)}
    finally:
        if os.getpid() == owner:
            shutil.rmtree(folder)


class DatedResponse(wsgi.Response):
    """Sends the app's Date header, which follows the sandbox's clock; gunicorn would drop it and send its own."""

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        super().process_headers(headers)
        self.headers += [(name, value) for name, value in headers if name.lower() == "date"]

    def default_headers(self) -> list[str]:
        headers: list[str] = super().default_headers()
        if any(name.lower() == "date" for name, _value in self.headers):
            headers = [header for header in headers if not header.startswith("Date:")]
        return headers


class PromptArbiter(Arbiter):
    """Stops at once, as nothing here is worth waiting for, and also when its parent process is gone."""

    def __init__(self, server: Server, parent: int | None) -> None:
        super().__init__(server)
        self.parent = parent

    def handle_term(self) -> None:
        self.handle_int()  # a graceful end would wait for connections that clients keep open

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        if self.parent is not None and os.getppid() != self.parent:
            self.handle_int()
        signals: list[int] = super().wait_for_signals(min(timeout, 0.25))
        return signals


class Server(BaseApplication):
    """gunicorn with threads: unlike Flask's own server it delivers websocket close codes."""

    def __init__(self, apps: Mapping[int, Any], options: dict[str, Any], *, exit_with_parent: bool) -> None:
        self.apps = apps
        self.options = options
        self.parent = os.getppid() if exit_with_parent else None
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "workers": 1,
            "worker_class": "gthread",
            "timeout": 0,  # a slow answer is a fault that somebody asked for, not a stuck worker
            "graceful_timeout": 1,
            "keepalive": 75,
            "loglevel": "error",
            "limit_request_field_size": 0,  # how long a header may be is a switch
            "limit_request_line": 0,
            "forwarded_allow_ips": "",  # nothing stands in front: the scheme is that of the socket
            "control_socket_disable": True,
            **self.options,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401 - gunicorn has no types
        # gunicorn looks the class up in its module, which is the only place to put another one.
        wsgi.Response = DatedResponse
        return self.dispatch

    def dispatch(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - as above
        """Choose the tenant by the port that the connection came to; a Host header can say anything."""
        port = environ["gunicorn.socket"].getsockname()[1]
        answer: Iterable[bytes] = self.apps[port](environ, start_response)
        return answer

    def run(self) -> None:
        PromptArbiter(self, self.parent).run()
