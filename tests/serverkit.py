"""The bridge as in production: gunicorn with the configuration of deploy/, several workers, a sandbox behind it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from storykit import PATIENCE_S, ROOT, Tenant, answers, assertion, free_ports, wait_until

CONFIGURATION = ROOT / "deploy" / "gunicorn.conf.py"


def tool(name: str, package: str) -> str:
    """Return the path of a tool that `make test` installs where apt-get may be used."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is not None:
        return found
    pytest.skip(f"{name} is not installed; on Debian: apt-get install {package}")


@dataclass
class Server:
    """A running server; `log` is its standard error."""

    base: str
    process: subprocess.Popen[bytes]
    log: Path

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in found if event in line["event"]]

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def metrics(self) -> Mapping[str, float]:
        """Return every sample by name and labels, as written; 0 for what was not counted yet."""
        text = requests.get(f"{self.base}/metrics", timeout=10).text
        pairs = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
        return defaultdict(float, {name: float(value) for name, _, value in pairs})

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@contextmanager
def running_server(
    port: int, environment: Mapping[str, str], log: Path, *, python: str, folder: Path
) -> Iterator[Server]:
    command = [python, "-m", "gunicorn", f"--config={CONFIGURATION}", "bridge.wsgi:app"]
    own = {"PATH": os.environ["PATH"], **environment, "WEB_BIND": f"127.0.0.1:{port}"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=own, stdout=output, stderr=output)
        server = Server(f"http://127.0.0.1:{port}", process, log)
        try:
            wait_until(answers(f"{server.base}/healthz"), process, "server")
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


@dataclass
class Installation:
    """A folder with all that one bridge owns, the settings for it, and a portal's key."""

    home: Path
    environment: dict[str, str]
    acme: Tenant
    portal: ec.EllipticCurvePrivateKey
    started: ExitStack = field(default_factory=ExitStack)

    def start(self, *, python: str = sys.executable, folder: Path = ROOT, **settings: str) -> Server:
        (port,) = free_ports(1)
        log = self.home / f"{port}.log"
        own = {**self.environment, "TMPDIR": str(self.home), **settings}
        return self.started.enter_context(running_server(port, own, log, python=python, folder=folder))

    def vouch(self, who: str, *groups: str) -> Mapping[str, str]:
        signed = assertion(self.portal, self.environment["BRIDGE_PUBLIC_URL"], who, groups or ["Finance"], {})
        return {"Authorization": f"Bearer {signed}"}

    def token(self, server: Server, who: str) -> requests.Response:
        """Ask as somebody's portal does, over a connection of its own."""
        return requests.post(f"{server.base}/t/acme/access-token", headers=self.vouch(who), timeout=30)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
