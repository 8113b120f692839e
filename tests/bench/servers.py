"""Processes to measure: WSGI servers of several makers, a portal in Node, a tenant that only answers."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import requests
from storykit import PATIENCE_S, ROOT, free_ports, wait_until

from bench.ground import NotMeasured
from bench.load import Target
from bench.rivals import cookie
from bridge.sandbox.certificates import private_pem, rsa_key

NODE = ROOT / "tests" / "bench" / "node"
WORKERS = 2


@dataclass(frozen=True)
class Kind:
    """A way to serve a WSGI application: `words(app, port)` is the Python module and its arguments."""

    name: str
    threads: int
    words: Callable[[str, int], Sequence[str]]


def gunicorn(worker: str, threads: int) -> Callable[[str, int], Sequence[str]]:
    def words(app: str, port: int) -> Sequence[str]:
        shape = [f"--workers={WORKERS}", f"--threads={threads}", f"--worker-class={worker}", "--graceful-timeout=5"]
        production = [f"--config={ROOT / 'deploy' / 'gunicorn.conf.py'}"] if app.startswith("bridge.") else []
        quiet = ["--log-level=warning", "--no-control-socket"]
        return ["gunicorn", *production, *shape, *quiet, f"--bind=127.0.0.1:{port}", app]

    return words


def _granian(threads: int) -> Callable[[str, int], Sequence[str]]:
    def words(app: str, port: int) -> Sequence[str]:
        shape = [f"--workers={WORKERS}", f"--blocking-threads={threads}", "--interface=wsgi", "--no-ws"]
        return ["granian", *shape, "--log-level=warning", f"--port={port}", app]

    return words


def _waitress(app: str, port: int) -> Sequence[str]:
    return ["waitress", "--threads=16", f"--listen=127.0.0.1:{port}", app]


CHOSEN = Kind("gunicorn gthread, 2 x 16", 16, gunicorn("gthread", 16))
"""What production takes: docs/decisions/033-server.md."""
KINDS = (
    CHOSEN,
    Kind("gunicorn gthread, 2 x 4", 4, gunicorn("gthread", 4)),
    Kind("granian, 2 x 4", 4, _granian(4)),
    Kind("waitress, 1 x 16", 16, _waitress),
    Kind("gunicorn gevent, 2", 16, gunicorn("gevent", 16)),
)


def _answers(port: int) -> Callable[[], bool]:
    """Tell whether somebody answers; that something listens says nothing of gunicorn's workers."""

    def asked() -> bool:
        try:
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
        except requests.RequestException:
            return False
        return True

    return asked


@contextmanager
def process(command: Sequence[str], port: int, log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """Run a command until the block ends; it is up when somebody answers at *port*. Yield its process id."""
    with log.open("ab") as output:
        child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output)
        try:
            wait_until(_answers(port), child, " ".join(command[:3]))
            yield child.pid
        finally:
            child.terminate()
            try:
                child.wait(PATIENCE_S / 4)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def served(kind: Kind, app: str, port: int, home: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """Serve a WSGI application; yield the process id of the server."""
    own = {**environment, "PYTHONPATH": str(ROOT / "tests"), "TMPDIR": str(home), "WEB_THREADS": str(kind.threads)}
    command = [sys.executable, "-m", *kind.words(app, port)]
    with process(command, port, home / f"{app.partition(':')[0]}-{port}.log", own) as pid:
        yield pid


@contextmanager
def tenants(home: Path, latencies: Sequence[int]) -> Iterator[dict[int, str]]:
    """Serve one tenant for each latency (milliseconds); yield their addresses."""
    ports = dict(zip(latencies, free_ports(len(latencies)), strict=True))
    command = [sys.executable, "-m", "bench.tenant", *(f"{port}:{ms}" for ms, port in ports.items())]
    with process(command, ports[latencies[-1]], home / "tenant.log", {"PYTHONPATH": str(ROOT / "tests")}):
        yield {ms: f"http://127.0.0.1:{port}" for ms, port in ports.items()}


@contextmanager
def rival(kind: Kind, home: Path, addresses: Mapping[int, str]) -> Iterator[str]:
    """Serve what the bridge is compared with."""
    (port,) = free_ports(1)
    (pem := home / f"rival-{port}.pem").write_text(private_pem(rsa_key()))
    environment = {"BENCH_TENANTS": json.dumps({str(ms): at for ms, at in addresses.items()}), "BENCH_KEY": str(pem)}
    with served(kind, "bench.rival_app:app", port, home, environment):
        yield f"http://127.0.0.1:{port}"


def null(base: str, name: str = "null") -> Target:
    """Return the request to the endpoint that does nothing but read a session."""
    return Target(name, f"{base}/null", "POST", "Cookie", [cookie("person")])


@contextmanager
def node(home: Path, tenant: str) -> Iterator[tuple[str, str]]:
    """Serve a portal as Qlik's sample has it; yield its address, and the Cookie header of somebody signed in."""
    program = which("node")
    if program is None or not (NODE / "node_modules" / "express").exists():
        raise NotMeasured("Node.js and the packages of tests/bench/node are not here")
    (port,) = free_ports(1)
    command = [program, str(NODE / "server.mjs"), str(port), tenant]
    with process(command, port, home / "node.log", {"NODE_ENV": "production"}):
        base = f"http://127.0.0.1:{port}"
        found = requests.get(f"{base}/login/person", timeout=10).headers["Set-Cookie"].partition(";")[0]
        yield base, found
