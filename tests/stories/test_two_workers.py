"""Two bridges over one database, as on two machines: what one of them is told, both do within two seconds."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from storykit import Person, Tenant, free_ports, running_bridge, wait_for

from bridge.bootstrap import build
from bridge.cli.demo import apply_states, demo_environment
from bridge.settings import read_settings

WITHIN_S = 2.0
RAMP = "25 % for 1 s, 50 % for 1 s, 75 % for 1 s, 100 %"


@dataclass
class Workers:
    """Alice has a page open at each worker; erin operates at the first one."""

    alices: list[Person]
    erin: Person

    def change(self, path: str, **body: object) -> dict[str, Any]:
        answer = self.erin.post(
            f"/api/v1/{path}", json={"reason": "story", **body}, headers={"CSRF-Token": self.erin.csrf("acme")}
        )
        assert answer.ok, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def at(self, *stages: str, **more: object) -> None:
        for stage in stages:
            assert self.erin.move("acme", stage, **more).ok

    def paths(self) -> list[str]:
        return [alice.session("acme")["path"] for alice in self.alices]

    def seconds_until(self, *paths: str) -> float:
        started = time.monotonic()
        wait_for(lambda: self.paths() == list(paths))
        return time.monotonic() - started

    def rollout(self) -> dict[str, Any]:
        document: dict[str, Any] = self.erin.get("/api/v1/tenants/acme").json()
        return document

    def trail(self, actor: str) -> list[dict[str, Any]]:
        events = self.erin.get("/api/v1/audit?tenant=acme").json()["events"]
        return [each for each in reversed(events) if each["actor"] == actor]


@pytest.fixture(scope="module")
def running(
    sandbox: tuple[Tenant, Tenant], ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers]:
    home = tmp_path_factory.mktemp("workers")
    acme, globex = sandbox
    for tenant in sandbox:
        tenant.control("POST", "reset")
    environment = demo_environment(home, ports)
    bridge = build(read_settings({name: value for name, value in environment.items() if value}))
    apply_states(bridge, home, ports, {"acme": acme.state(), "globex": globex.state()})
    bridge.close()
    with ExitStack() as started:
        bases = []
        for port in free_ports(2):
            own = environment | {"BRIDGE_PUBLIC_URL": f"http://localhost:{port}"}
            started.enter_context(running_bridge(port, own, home / f"{port}.log"))
            bases.append(f"http://localhost:{port}")
        alices = [Person(base) for base in bases]
        erin = Person(bases[0])
        for person, name in [*((alice, "alice") for alice in alices), (erin, "erin")]:
            assert person.sign_in(name).status_code == 303
        yield Workers(alices, erin)


@pytest.fixture
def workers(running: Workers) -> Workers:
    """The same two processes for every test, acme on the stage `legacy` again."""
    running.at("legacy")
    running.seconds_until("jwt", "jwt")
    return running


def test_a_way_back_reaches_everybody(workers: Workers) -> None:
    workers.at("shadow", "rollout", "oauth", percent=100)
    workers.seconds_until("oauth", "oauth")

    workers.at("shadow")

    assert workers.seconds_until("jwt", "jwt") < WITHIN_S


@pytest.mark.parametrize("whom", ["tenants/acme/", ""])
def test_the_kill_switch_reaches_everybody_and_so_does_its_end(workers: Workers, whom: str) -> None:
    workers.at("shadow", "rollout", percent=100)
    workers.seconds_until("oauth", "oauth")

    workers.change(f"{whom}kill")
    assert workers.seconds_until("jwt", "jwt") < WITHIN_S
    assert [alice.session("acme")["killed"] for alice in workers.alices] == [True, True]
    assert workers.alices[1].access_token("acme").json()["error"] == "still_on_jwt"

    workers.change(f"{whom}revive")
    assert workers.seconds_until("oauth", "oauth") < WITHIN_S
    assert workers.alices[1].access_token("acme").ok


def test_a_ramp_rises_by_itself_and_each_step_is_taken_once(workers: Workers) -> None:
    """Both workers look once a second; nobody asks them to."""
    workers.at("shadow", "rollout")

    started = workers.change("tenants/acme/ramp", steps=RAMP)
    wait_for(lambda: bool(workers.rollout()["percent"] == 100))
    workers.seconds_until("oauth", "oauth")

    steps = workers.trail("ramp")
    assert started["percent"] == 25
    assert [(each["action"], each["after"]["percent"]) for each in steps] == [
        ("ramp.step", 50),
        ("ramp.step", 75),
        ("ramp.step", 100),
    ]
    assert workers.rollout()["ramp"] is None
