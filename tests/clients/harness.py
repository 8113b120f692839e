"""What a test in this folder holds: a tenant of the sandbox, and a client that runs as its own process."""

from __future__ import annotations

import filecmp
import json
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

import jwt
import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_S = 30
NODE = Path(__file__).parent / "node"

Json = dict[str, Any]


def a_user(name: str) -> Json:
    """Return a user to create: somebody whom no login brought to the tenant."""
    return {"subject": f"crm|{name}", "name": name.title(), "email": f"{name}@customer.example"}


def is_installed(lock: Path, place: Path) -> bool:
    """Tell whether `place` was made from `lock` as it stands now."""
    stamp = place / ".installed.lock"
    return stamp.exists() and filecmp.cmp(lock, stamp, shallow=False)


def go_without(what: str) -> NoReturn:
    pytest.skip(f"{what} is not installed as locked: run tests/clients/setup.sh")


class Tenant:
    """A tenant of the sandbox, as a test prepares it and looks into it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def control(self, method: str, what: str, body: Json | None = None) -> Any:  # noqa: ANN401 - any JSON
        answer = requests.request(method, f"{self.url}/_sandbox/{what}", json=body, timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def reset(self) -> None:
        self.control("POST", "reset")

    def switch(self, **switches: object) -> None:
        self.control("POST", "switches", switches)

    def fault(self, endpoint: str, **trouble: object) -> None:
        self.control("POST", "faults", {"endpoint": endpoint, **trouble})

    def all(self, kind: str) -> list[Json]:
        """Return the tenant's `people`, `users`, `clients`, `identity_providers`, ..."""
        found: list[Json] = self.control("GET", "state")[kind]
        return found

    def one(self, kind: str, **wanted: str) -> Json:
        return next(entry for entry in self.all(kind) if wanted.items() <= entry.items())

    def client(self, role: str) -> dict[str, str]:
        """Return id and secret of the `management` or the `issuing` client."""
        client = self.one("clients", role=role)
        return {"clientId": client["client_id"], "clientSecret": client["client_secret"]}

    def calls(self) -> list[str]:
        """Return what arrived since the preparation, each call as `METHOD path status`."""
        return ["{method} {path} {status}".format_map(call) for call in self.calls_in_full()]

    def calls_in_full(self) -> list[Json]:
        calls: list[Json] = self.control("GET", "calls")
        return calls

    def forget_calls(self) -> None:
        self.control("DELETE", "calls")

    def sign_in(self, name: str) -> Json:
        """Log a person in by JWT, as preparation; return the user that the tenant then has."""
        person = self.one("people", name=name)
        answer = requests.post(
            f"{self.url}/login/jwt-session",
            headers={"Authorization": f"Bearer {self.login_jwt(person)}"},
            timeout=TIMEOUT_S,
        )
        assert answer.status_code == requests.codes.ok, answer.text
        self.forget_calls()
        return self.one("users", subject=person["subject"])

    def login_jwt(self, person: Json) -> str:
        provider, now = self.all("identity_providers")[0], int(time.time())
        claims = {
            "iss": provider["issuer"],
            "aud": "qlik.api/login/jwt-session",
            "sub": person["subject"],
            "subType": "user",
            "name": person["display_name"],
            "email": person["email"],
            "email_verified": True,
            "groups": person["groups"],
            "jti": str(uuid4()),
            "iat": now,
            "nbf": now - 5,
            "exp": now + 60,
        }
        return jwt.encode(claims, provider["private_key"], algorithm="RS256", headers={"kid": provider["kid"]})


@dataclass(frozen=True)
class Client:
    """What runs a named scenario, and returns what its library gave: `{"ok": ...}` or `{"error": ...}`."""

    run: Callable[[str, Json], Json]

    def ok(self, scenario: str, **given: object) -> Any:  # noqa: ANN401 - whatever the scenario prints
        result = self.run(scenario, given)
        assert "ok" in result, result
        return result["ok"]

    def error(self, scenario: str, **given: object) -> Json:
        result = self.run(scenario, given)
        assert "error" in result, result
        error: Json = result["error"]
        return error


def program_for_each(*command: str) -> Client:
    """Return a client that starts a program for each scenario."""

    def run(scenario: str, given: Json) -> Json:
        done = subprocess.run(
            [*command, scenario, json.dumps(given)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == 0, done.stderr
        result: Json = json.loads(done.stdout)
        return result

    return Client(run)


@contextmanager
def program_for_all(*command: str) -> Iterator[Client]:
    """Lend a client that tells one program about each scenario."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        tell, hear = process.stdin, process.stdout

        def run(scenario: str, given: Json) -> Json:
            tell.write(json.dumps([scenario, given]) + "\n")
            tell.flush()
            assert select([hear], [], [], TIMEOUT_S)[0], f"{scenario}: no answer within {TIMEOUT_S} s"
            result: Json = json.loads(hear.readline())
            return result

        yield Client(run)
