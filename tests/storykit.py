"""What stories are told with: processes, tenants seen from outside, people without a browser."""

import re
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, f"{what}: the process ended with {process.returncode}"
        assert time.monotonic() < give_up, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.02)


def answers(url: str) -> Callable[[], bool]:
    def asked() -> bool:
        try:
            return requests.get(url, timeout=2).ok
        except requests.RequestException:
            return False

    return asked


@dataclass
class Tenant:
    """A sandbox tenant, looked at from outside."""

    origin: str

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.origin}/_sandbox/state", timeout=10).json()
        return answer

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        answer = requests.request(method, f"{self.origin}/_sandbox/{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer

    def calls(self, *paths: str) -> list[str]:
        """Return the paths called, those given alone when any is given."""
        listed = [call["path"] for call in self.control("GET", "calls").json() if call["method"] != "OPTIONS"]
        return [path for path in listed if not paths or path in paths]

    def forget_calls(self) -> None:
        self.control("DELETE", "calls")

    def me(self, token: str) -> dict[str, Any]:
        answer = requests.get(
            f"{self.origin}/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=10
        )
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def idp_groups(self, token: str) -> set[str]:
        groups = self.me(token)["assignedGroups"]
        return {group["name"] for group in groups if group["providerType"] == "idp"} - {"com.qlik.Everyone"}


@dataclass
class Person:
    """Somebody at a browser, without the browser."""

    base: str
    http: requests.Session = field(default_factory=requests.Session)
    heard: list[str] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - passed on to requests
        return self._note(self.http.get(self.base + path, timeout=20, allow_redirects=False, **options))

    def post(self, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - passed on to requests
        return self._note(self.http.post(self.base + path, timeout=20, allow_redirects=False, **options))

    def _note(self, answer: requests.Response) -> requests.Response:
        """Keep every error answer: the leak test searches them."""
        if answer.status_code >= 400:
            self.heard.append(answer.text)
        return answer

    def sign_in(self, username: str) -> requests.Response:
        page = self.get("/login")
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert found, page.text
        return self.post("/login", data={"username": username, "csrf_token": found[1]})

    def sign_out(self) -> requests.Response:
        return self.post("/logout", headers={"CSRF-Token": self.csrf("acme")})

    def session(self, slug: str) -> dict[str, Any]:
        answer = self.get(f"/t/{slug}/session")
        assert answer.ok, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def csrf(self, slug: str) -> str:
        return str(self.session(slug)["csrf"])

    def access_token(self, slug: str, **headers: str) -> requests.Response:
        return self.post(f"/t/{slug}/access-token", headers={"CSRF-Token": self.csrf(slug), **headers})

    def move(self, slug: str, to: str, **more: object) -> requests.Response:
        body = {"to": to, "reason": "story", **more}
        return self.post(f"/api/v1/tenants/{slug}/stage", json=body, headers={"CSRF-Token": self.csrf("acme")})


@dataclass
class Demo:
    """`qlik-bridge demo`, running."""

    base: str
    acme: Tenant
    globex: Tenant
    process: subprocess.Popen[bytes]
    log: Path
    home: Path
    people: list[Person] = field(default_factory=list)

    def person(self, username: str | None = None) -> Person:
        somebody = Person(self.base)
        self.people.append(somebody)
        if username:
            assert somebody.sign_in(username).status_code == 303
        return somebody

    def at(self, stage: str, percent: float = 0) -> None:
        """Walk acme to a stage, from wherever it is, and forget what that caused."""
        erin = self.person("erin")
        assert erin.move("acme", "legacy").ok
        order = ["legacy", "shadow", "rollout", "oauth", "retired"]
        for step in order[1 : order.index(stage) + 1]:
            assert erin.move("acme", step, percent=percent).ok
        self.acme.forget_calls()
        self.globex.forget_calls()
