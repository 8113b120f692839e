"""Load on one address: by wrk where the machine has it, else by threads of this process."""

import http.client
import json
import re
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import requests

CONNECTIONS = 64
SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True)
class Target:
    """One kind of request; each of `values` is sent in turn as `header`. What is slow takes several `turns`."""

    name: str
    url: str
    method: str
    header: str
    values: Sequence[str]
    turns: int = 1
    connections: int = CONNECTIONS


@dataclass(frozen=True)
class Measured:
    """What one run saw. `refused`: answers of 400 and more; `broken`: no answer."""

    per_s: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int
    requests: int

    @classmethod
    def median(cls, runs: "Sequence[Measured]") -> "Measured":
        """Return the median of each figure over all rounds, and the sum of what went wrong."""
        figures = (statistics.median(getattr(run, name) for run in runs) for name in ("per_s", "p50_ms", "p99_ms"))
        sums = (sum(getattr(run, name) for run in runs) for name in ("refused", "broken", "requests"))
        return cls(*figures, *sums)


def generator() -> str:
    """Say what makes the load."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return "threads of Python (wrk is not installed), which are slower than what they measure"
    said = subprocess.run([wrk, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"wrk (debian/)?(\S+)", said)
    return f"wrk {found[2] if found else ''}, one thread"


def run(target: Target, seconds: int, scratch: Path) -> Measured:
    """Send requests on all connections for so long, each as soon as the answer before it came."""
    found = _by_wrk(target, seconds, scratch) if shutil.which("wrk") else _by_threads(target, seconds)
    headers = {target.header: target.values[0]}  # what is left in the server's queue must not meet the next run
    requests.request(target.method, target.url, headers=headers, timeout=60)
    return found


def _by_wrk(target: Target, seconds: int, scratch: Path) -> Measured:
    (file := scratch / "values").write_text("\n".join(target.values) + "\n")
    command = ["wrk", "-t1", f"-c{target.connections}", f"-d{seconds}s", "--timeout=30s", "-s", str(SCRIPT), target.url]
    words = [*command, "--", target.method, target.header, str(file)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.rpartition("RESULT ")[2])
    return Measured(
        found["requests"] / found["us"] * 1e6,
        found["p50_us"] / 1000,
        found["p99_us"] / 1000,
        found["refused"],
        found["broken"],
        found["requests"],
    )


class _Client(threading.Thread):
    """One connection of the stand-in for wrk."""

    def __init__(self, target: Target, values: Iterator[str], until: float) -> None:
        super().__init__()
        self.target, self.values, self.until = target, values, until
        self.took_ms: list[float] = []
        self.refused = self.broken = 0

    def run(self) -> None:
        parts = urlsplit(self.target.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        while time.monotonic() < self.until:
            started = time.perf_counter()
            try:
                headers = {self.target.header: next(self.values), "Content-Length": "0"}
                connection.request(self.target.method, parts.path, headers=headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.broken += 1
                connection.close()
                continue
            self.took_ms.append((time.perf_counter() - started) * 1000)
            self.refused += answer.status >= http.client.BAD_REQUEST
        connection.close()


def _by_threads(target: Target, seconds: int) -> Measured:
    until = time.monotonic() + seconds
    clients = [
        _Client(target, cycle([*target.values[number:], *target.values[:number]]), until)
        for number in range(target.connections)
    ]
    started = time.monotonic()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    took = sorted(ms for client in clients for ms in client.took_ms)
    return Measured(
        len(took) / (time.monotonic() - started),
        took[len(took) // 2],
        took[int(len(took) * 0.99)],
        sum(client.refused for client in clients),
        sum(client.broken for client in clients),
        len(took),
    )
