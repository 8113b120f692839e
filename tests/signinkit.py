"""A sign-in service in a process of its own, a bridge that relies on it, and people who use both."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet
from databasekit import put_database
from oidc_provider import CLIENT_ID, CLIENT_SECRET
from samples import tenant
from storykit import PATIENCE_S, ROOT, answers, served, wait_until

from bridge.bootstrap import Bridge, build
from bridge.model import AuditEvent, Identity, Rollout
from bridge.settings import read_settings
from bridge.web import create_app

SESSION = "bridge_session"


@dataclass
class Service:
    """The sign-in service, looked at from outside."""

    issuer: str

    def misbehave(self, **mischief: object) -> None:
        assert requests.put(f"{self.issuer}/_control", json=mischief, timeout=10).ok

    def rotate(self) -> None:
        assert requests.post(f"{self.issuer}/_control/rotate", timeout=10).ok

    def told(self) -> dict[str, Any]:
        document: dict[str, Any] = requests.get(f"{self.issuer}/_control", timeout=10).json()
        return document

    def asked(self, path: str) -> int:
        return int(self.told()["asked"].get(path, 0))


@contextmanager
def running_service(port: int, bridge: str) -> Iterator[Service]:
    """Serve the sign-in service for the bridge at this origin."""
    process = subprocess.Popen([sys.executable, str(ROOT / "tests" / "oidc_provider.py"), str(port), bridge], cwd=ROOT)
    service = Service(f"http://127.0.0.1:{port}")
    try:
        wait_until(answers(f"{service.issuer}/_control"), process, "sign-in service")
        yield service
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def oidc_environment(issuer: str, public_url: str, home: Path) -> dict[str, str]:
    return {
        "BRIDGE_SECRET_KEY": "s" * 40,
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": public_url,
        "BRIDGE_DATABASE_URL": f"sqlite:///{put_database(home)}",
        "BRIDGE_KEYS_DIR": str(home),
        "BRIDGE_IDENTITY": "oidc",
        "BRIDGE_OIDC_ISSUER": issuer,
        "BRIDGE_OIDC_CLIENT_ID": CLIENT_ID,
        "BRIDGE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "BRIDGE_ADMIN_GROUPS": "oidc:bridge-admins",
    }


@dataclass
class MovedClock:
    """The real time, moved on by a test."""

    ahead_s: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@dataclass
class Product:
    """A bridge behind a real socket. Acme admits those who sign in by OIDC, globex those with assertions."""

    bridge: Bridge
    base: str
    clock: MovedClock

    def visitor(self) -> "Browser":
        return Browser(self.base)

    def known_as(self, visitor: "Browser") -> Identity:
        """Return whom the visitor's session names."""
        session = self.bridge.sessions.find(visitor.http.cookies[SESSION])
        assert session is not None
        return session.identity


@contextmanager
def running_product(environment: Mapping[str, str], port: int) -> Iterator[Product]:
    clock = MovedClock()
    bridge = build(read_settings(environment), clock=clock)
    for slug, admits in (("acme", "oidc"), ("globex", "assertion")):
        event = AuditEvent(time.time(), "test", "tenant.create", slug, "", None, None)
        bridge.tenants.save(tenant(slug, admits=[admits]), starting_at=Rollout(), event=event)
    try:
        with served(create_app(bridge), port):
            yield Product(bridge, environment["BRIDGE_PUBLIC_URL"], clock)
    finally:
        bridge.close()


@dataclass
class Browser:
    """Somebody at a browser, without the browser. It follows nothing by itself."""

    base: str
    http: requests.Session = field(default_factory=requests.Session)

    def get(self, address: str, **options: Any) -> requests.Response:  # noqa: ANN401 - passed on to requests
        return self.http.get(self._whole(address), timeout=20, allow_redirects=False, **options)

    def post(self, address: str, **options: Any) -> requests.Response:  # noqa: ANN401 - passed on to requests
        return self.http.post(self._whole(address), timeout=20, allow_redirects=False, **options)

    def to_service(self, target: str = "/admin/") -> str:
        """Start signing in; return the service's address."""
        return _onward(self.get("/login", params={"next": target}))

    def to_callback(self, who: str = "ada", target: str = "/admin/") -> str:
        """Sign in at the service; return the address that it sends the browser back to."""
        return _onward(self.post(self.to_service(target), data={"username": who}))

    def sign_in(self, who: str = "ada", target: str = "/admin/") -> requests.Response:
        return self.get(self.to_callback(who, target))

    def sign_out(self) -> requests.Response:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/login").text)
        return self.post("/logout", data={"csrf_token": token[1] if token else ""})

    def _whole(self, address: str) -> str:
        return address if "://" in address else self.base + address


def _onward(answer: requests.Response) -> str:
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def refusal(answer: requests.Response) -> tuple[int, str]:
    """Return the status and code of an error page."""
    code = re.search(r"<dt>Error</dt><dd><code>(\w+)", answer.text)
    assert code, answer.text
    return answer.status_code, code[1]
