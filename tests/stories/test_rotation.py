"""Secrets and keys are replaced while people work: two workers, a steady load, and not one request fails."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec
from storykit import (
    PATIENCE_S,
    PORTAL_ISSUER,
    Tenant,
    assertion,
    free_ports,
    portal_keys,
    running_bridge,
    wait_until,
)

from bridge.bootstrap import build
from bridge.cli import main
from bridge.cli.demo import apply_states, demo_environment
from bridge.model import Stage
from bridge.services.stages import Move
from bridge.settings import read_settings

WITHIN_S = 2.0
EVERYBODY = ("alice", "bob", "carol", "erin")
CONFIG = """\
from bridge.cli.demo_server import *

workers = 2
raw_env = open({settings!r}).read().splitlines()
"""
"""As an operator has it: settings in a file, which a reload (SIGHUP) reads again."""


@dataclass
class Installation:
    """A bridge of two workers in front of acme, and an operator's shell beside it."""

    home: Path
    acme: Tenant
    base: str
    key: ec.EllipticCurvePrivateKey
    settings: dict[str, str]
    server: subprocess.Popen[bytes] | None = None
    kept: dict[str, str] = field(default_factory=dict)

    def configure(self, **settings: str) -> None:
        self.settings |= settings
        (self.home / "bridge.env").write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))

    def reload(self) -> None:
        """Let new workers take the settings and the old ones finish; return when the old ones are gone."""
        assert self.server is not None
        before = self._workers()
        self.server.send_signal(signal.SIGHUP)
        wait_until(
            lambda: len(self._workers()) == len(before) and not self._workers() & before, self.server, "new workers"
        )

    def _workers(self) -> set[str]:
        assert self.server is not None
        return set(Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text().split())

    def run(self, *words: str, exits: int = 0) -> str:
        """Run `qlik-bridge` as an operator would, in this process, because starting one takes longer."""
        said, code = io.StringIO(), 0
        with (
            patch.dict(os.environ, self.settings),
            patch.object(sys, "argv", ["qlik-bridge", *words]),
            redirect_stdout(said),
            redirect_stderr(said),
        ):
            try:
                main()
            except SystemExit as ending:
                code = int(ending.code or 0)
        assert code == exits, said.getvalue()
        return said.getvalue()

    def declare(self, old: str, new: str) -> None:
        """Change the tenants file."""
        file = self.home / "tenants.toml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def apply(self, **options: int) -> str:
        return self.run("tenants", "apply", str(self.home / "tenants.toml"), "--yes", **options)

    def ask(self, who: str) -> requests.Response:
        """Ask for the token of somebody."""
        vouched = assertion(self.key, self.base, who, ["Finance"], {})
        headers = {"Authorization": f"Bearer {vouched}", "Accept": "application/json"}
        return requests.post(f"{self.base}/t/acme/access-token", headers=headers, timeout=20)

    def at_acme(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever it answers
        """Do what an administrator of the tenant does."""
        answer = requests.request(
            method, f"{self.acme.origin}/api/v1/{path}", headers=self.acme.admin(), json=body, timeout=20
        )
        assert answer.ok, answer.text
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def installation(
    sandbox: tuple[Tenant, Tenant], ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    acme, globex = sandbox
    for tenant in sandbox:
        tenant.control("POST", "reset")
    acme.control("POST", "switches", {"tier2_per_minute": 100_000})
    home = tmp_path_factory.mktemp("rotation")
    (port,) = free_ports(1)
    key, jwks = portal_keys()
    (home / "jwks.json").write_text(jwks)
    found = Installation(home, acme, f"http://localhost:{port}", key, {})
    found.configure(**_settings(home, ports, found.base))
    _set_up(found, ports, {"acme": acme.state(), "globex": globex.state()})
    (home / "gunicorn.conf.py").write_text(CONFIG.format(settings=str(home / "bridge.env")))
    with running_bridge(port, os.environ, home / "log", f"file:{home / 'gunicorn.conf.py'}") as found.server:
        yield found
    acme.control("POST", "reset")


def _settings(home: Path, ports: dict[str, int], base: str) -> dict[str, str]:
    wanted = demo_environment(home, ports) | {
        "BRIDGE_PUBLIC_URL": base,
        "BRIDGE_IDENTITY": "assertion",
        "BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER,
        "BRIDGE_ASSERTION_JWKS": str(home / "jwks.json"),
        "BRIDGE_BUDGET_CALLS_PER_MINUTE": "100000",
    }
    left_out = {"BRIDGE_DEMO_PEOPLE", "BRIDGE_ADMIN_GROUPS"}
    return {name: value for name, value in wanted.items() if name.startswith("BRIDGE_") and name not in left_out}


def _set_up(installation: Installation, ports: dict[str, int], states: dict[str, Any]) -> None:
    bridge = build(read_settings(installation.settings))
    try:
        apply_states(bridge, installation.home, ports, states)
        installation.declare('admits = ["demo"]', 'admits = ["assertion"]')
        installation.apply()
        for stage in (Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH):
            bridge.stages.move("acme", Move(stage, "test", "story", 100))
    finally:
        bridge.close()


@dataclass
class Load:
    """People who have a token ask for it again and again; newcomers, each of whom is logged in and gets a first one."""

    installation: Installation
    troubles: list[str] = field(default_factory=list)
    newcomers: int = 0
    warm: int = 0
    begun: float = 0.0
    """When the last newcomer who was served had begun to ask."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def keep_asking(self) -> None:
        while not self._stop.wait(0.1):
            for who in EVERYBODY:
                answer = self._served(who)
                if answer is not None and answer.headers["Token-Id"] != self.installation.kept[who]:
                    self.troubles.append(f"{who} got another token")
                self.warm += 1

    def keep_coming(self) -> None:
        while not self._stop.wait(0.15):
            begun = time.monotonic()
            if self._served(f"newcomer-{begun}") is not None:
                self.newcomers += 1
                self.begun = begun

    def _served(self, who: str) -> requests.Response | None:
        try:
            answer = self.installation.ask(who)
        except requests.RequestException as error:
            self.troubles.append(f"{who}: {type(error).__name__}: {error}")
            return None
        if answer.status_code == 200:
            return answer
        self.troubles.append(f"{who}: {answer.status_code} {answer.text}")
        return None

    def goes_on(self, *, after_s: float = 0.0) -> None:
        """Wait until a newcomer was served who began to ask from now on, or *after_s* later."""
        since, give_up = time.monotonic() + after_s, time.monotonic() + PATIENCE_S
        while self.begun < since:
            assert not self.troubles, self.troubles[:3]
            assert time.monotonic() < give_up, "nobody was served"
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()


@pytest.fixture
def load(installation: Installation) -> Iterator[Load]:
    installation.kept = {who: installation.ask(who).headers["Token-Id"] for who in EVERYBODY}
    load = Load(installation)
    asking: list[Callable[[], None]] = [load.keep_asking, load.keep_coming]
    threads = [threading.Thread(target=each) for each in asking]
    for each in threads:
        each.start()
    try:
        load.goes_on()
        yield load
    finally:
        load.stop()
        for each in threads:
            each.join(PATIENCE_S)
    assert load.troubles == []
    assert min(load.newcomers, load.warm) > 0


def test_a_new_secret_is_taken_by_every_worker(installation: Installation, load: Load) -> None:
    old = (installation.home / "acme-issuing.secret").read_text()
    client = next(each for each in installation.acme.state()["clients"] if each["role"] == "issuing")["client_id"]
    made = installation.at_acme("POST", f"oauth-clients/{client}/client-secrets")
    load.goes_on()
    (installation.home / "acme-issuing.secret").write_text(made["clientSecret"])
    plan = installation.apply()
    assert "issuing_client.secret: (secret) -> (another secret)" in plan
    assert made["clientSecret"] not in plan
    installation.at_acme("DELETE", f"oauth-clients/{client}/client-secrets/{old[-5:]}")
    load.goes_on()
    load.goes_on(after_s=WITHIN_S)


def test_a_secret_that_was_removed_too_early_is_named_and_a_new_one_mends_it(installation: Installation) -> None:
    kept = installation.ask("alice").headers["Token-Id"]
    client = next(each for each in installation.acme.state()["clients"] if each["role"] == "issuing")["client_id"]
    made = installation.at_acme("POST", f"oauth-clients/{client}/client-secrets")
    old = (installation.home / "acme-issuing.secret").read_text()
    installation.at_acme("DELETE", f"oauth-clients/{client}/client-secrets/{old[-5:]}")

    refused = installation.ask("too-early")
    assert (refused.status_code, refused.json()["error"]) == (502, "tenant_refused")
    assert "its secret was removed there" in refused.json()["message"]
    assert "tenants apply" in refused.json()["message"]
    assert installation.ask("alice").headers["Token-Id"] == kept

    (installation.home / "acme-issuing.secret").write_text(made["clientSecret"])
    installation.apply()
    applied = time.monotonic()
    while (answer := installation.ask("too-early")).status_code != 200:
        assert time.monotonic() - applied < WITHIN_S, answer.text
    assert installation.ask("alice").headers["Token-Id"] == kept


def test_a_new_signing_key_takes_over(installation: Installation, load: Load) -> None:
    provider = installation.acme.state()["identity_providers"][0]
    installation.declare('signing_key = "acme.pem"', 'signing_key = "acme-2.pem"')
    installation.declare(f'key_id = "{provider["kid"]}"', 'key_id = "acme-2"')
    refused = installation.apply(exits=2)
    assert "acme-2.pem cannot be read" in refused
    assert "keys new acme-2" in refused
    load.goes_on()

    pair = json.loads(installation.run("keys", "new", "acme-2", "--bits", "2048", "--json"))
    options = {"issuer": provider["issuer"], "staticKeys": [{"kid": "acme-2", "pem": pair["certificate_pem"]}]}
    installation.at_acme(
        "POST", "identity-providers", {"protocol": "jwtAuth", "provider": "external", "options": options}
    )
    installation.apply()
    load.goes_on(after_s=WITHIN_S)
    installation.at_acme("DELETE", f"identity-providers/{provider['id']}")
    load.goes_on()


def test_a_new_encryption_key_takes_over(installation: Installation, load: Load) -> None:
    old, new = installation.settings["BRIDGE_ENCRYPTION_KEYS"], Fernet.generate_key().decode()
    installation.configure(BRIDGE_ENCRYPTION_KEYS=f"{old},{new}")
    installation.reload()
    installation.configure(BRIDGE_ENCRYPTION_KEYS=f"{new},{old}")
    installation.reload()
    load.goes_on()
    before = json.loads(installation.run("secrets", "status", "--json"))
    assert before["values_by_key"][1] > len(EVERYBODY)
    assert before["keys_that_may_go"] == []

    done = json.loads(installation.run("secrets", "rotate", "--json"))
    assert done["resealed"] >= before["values_by_key"][1]
    assert (done["values_by_key"][1], done["keys_that_may_go"]) == (0, [2])
    assert (done["dropped"], done["locked_tokens"], done["locked_tenants"]) == (0, [], [])

    installation.configure(BRIDGE_ENCRYPTION_KEYS=new)
    installation.reload()
    load.goes_on()
    assert json.loads(installation.run("secrets", "status", "--json"))["locked_tokens"] == []
