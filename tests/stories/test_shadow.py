"""Stage `shadow`: the new path is tried beside the old one, and nobody notices."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from storykit import World, change_tenant

from bridge.bootstrap import Bridge
from bridge.cli import main
from bridge.cli.demo import demo_environment
from bridge.evidence import ParityPlan
from bridge.model import Content, Stage
from bridge.services import shadow as module
from bridge.services.stages import Move

LIMIT_S = 30
HANG_MS = 30_000
EVERYBODY = ["alice", "bob", "carol", "erin"]


@pytest.fixture
def shadowed(
    make_product: Callable[..., Bridge], ports: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], Bridge]:
    """Acme in `shadow` with a sample of so many per cent, and a shell whose settings lead to the same bridge."""
    monkeypatch.setattr(module, "REST_S", 0.0)
    environment = demo_environment(tmp_path, ports)
    ours = {name: value for name, value in environment.items() if name.startswith("BRIDGE_")}
    for name, value in ours.items():
        monkeypatch.setenv(name, value)

    def make(percent: float) -> Bridge:
        bridge = make_product(**ours)
        change_tenant(bridge, "acme", content=Content(), parity=ParityPlan(sample_percent=percent, max_apps=1))
        bridge.stages.move("acme", Move(Stage.SHADOW, "test"))
        return bridge

    return make


def within(limit_s: float, condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up, f"not within {limit_s} s"
        time.sleep(0.05)


def metric(bridge: Bridge, name: str, **labels: str) -> float:
    return bridge.metrics.registry.get_sample_value(name, {"tenant": "acme", **labels}) or 0


def trials(bridge: Bridge) -> float:
    found = [each for each in bridge.metrics.registry.collect() if each.name == "bridge_shadow_trials"]
    return sum(sample.value for sample in found[0].samples if sample.name.endswith("_total"))


def test_who_signs_in_is_compared_and_still_gets_the_old_path(
    shadowed: Callable[[float], Bridge], serve: Callable[[Bridge], World]
) -> None:
    bridge = shadowed(100)
    world = serve(bridge)
    sessions = [world.person(name).session("acme") for name in EVERYBODY]
    within(LIMIT_S, lambda: trials(bridge) == len(EVERYBODY))

    def counted() -> dict[str, int]:
        told = world.person("erin").get("/api/v1/tenants/acme/shadow").json()
        return {name: count for name, count in told["counts"].items() if count}

    within(LIMIT_S, lambda: counted().get("taken") == len(EVERYBODY) == sum(counted().values()) / 2)

    assert {each["path"] for each in sessions} == {"jwt"}
    assert {each.sub for each in bridge.parity.latest("acme")} == set(EVERYBODY)
    alice = world.person("alice")
    assert alice.session("acme")["path"] == "jwt"
    assert alice.get("/t/acme/token").ok
    assert alice.access_token("acme").status_code == 409


def test_a_sample_of_zero_calls_nobody(shadowed: Callable[[float], Bridge], serve: Callable[[Bridge], World]) -> None:
    bridge = shadowed(0)
    world = serve(bridge)
    world.acme.forget_calls()
    for name in EVERYBODY:
        assert world.person(name).session("acme")["path"] == "jwt"

    assert bridge.shadow.waiting() == 0
    assert world.acme.calls() == []


def test_tokens_are_answered_while_every_shadow_call_hangs(
    shadowed: Callable[[float], Bridge], serve: Callable[[Bridge], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = shadowed(100)
    monkeypatch.setattr(bridge.shadow._background, "_room", 1)
    world = serve(bridge)
    for endpoint in ("/login/jwt-session", "/oauth/token", "/api/v1"):
        fault = {"endpoint": endpoint, "latency_ms": HANG_MS, "times": None}
        world.acme.control("POST", "faults", fault)
    people = [world.person(name) for name in EVERYBODY]

    started = time.monotonic()
    answers = [each.get("/t/acme/token") for each in people for _ in range(5)]
    took_s = time.monotonic() - started

    assert all(each.ok for each in answers)
    assert took_s < 5, "twenty answers took longer than one hanging call may"
    assert bridge.shadow.waiting() <= 1
    assert metric(bridge, "bridge_shadow_dropped_total") >= 2
    world.acme.control("DELETE", "faults")


def test_the_dry_run_says_what_would_come_and_changes_nothing(
    shadowed: Callable[[float], Bridge],
    serve: Callable[[Bridge], World],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bridge = shadowed(0)
    world = serve(bridge)
    people = tmp_path / "people.csv"
    people.write_text(
        "sub,name,email,groups,as_of\n"
        "alice,Alice,alice@example.com,Finance;Nobody has this yet,2026-01-01T00:00:00Z\n"
        "newcomer,New,new@example.com,Finance,2026-01-01T00:00:00Z\n"
    )
    before = world.acme.state()
    code, found = command(monkeypatch, capsys, "shadow", "plan", "acme", "--subjects", str(people), "--json")

    assert code == 0
    after = world.acme.state()
    assert (after["people"], after["groups"]) == (before["people"], before["groups"])
    assert found["people"] == 2
    assert "newcomer" in found["new_users"]
    assert "Nobody has this yet" in found["new_groups"]
    assert found["licences"] == {
        "assigned_by_itself": {"analyzer": True, "professional": False},
        "allotments": [
            {"name": "professional", "units": 10, "used": 0},
            {"name": "analyzer", "units": 100, "used": 0},
        ],
    }


def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, dict[str, Any]]:
    monkeypatch.setattr(sys, "argv", ["qlik-bridge", *words])
    capsys.readouterr()
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    assert code == 0, out + err
    return code, json.loads(out)
