"""A tenant walks from `legacy` to `retired`: each stage waits for its evidence, and nothing is forced."""

import time
from collections.abc import Callable

import pytest
from fakes import FakeClock
from storykit import PATIENCE_S, Person, World, change_tenant

from bridge.bootstrap import Bridge
from bridge.model import Identity, Subject

DAY_S = 86_400
PEOPLE = {"alice": {"Finance", "EMEA"}, "bob": {"Sales", "AMER"}, "carol": set[str]()}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(time.time())


@pytest.fixture
def product(make_product: Callable[..., Bridge], clock: FakeClock) -> Bridge:
    return make_product(clock=clock)


@pytest.fixture
def ready(product: Bridge, world: World) -> World:
    """Acme wants three people proven and one quiet day, and the bridge logs in by a provider of its own."""
    provider = world.acme.state()["identity_providers"][1]
    (product.settings.keys_dir / "acme-sync.pem").write_text(provider["private_key"])
    sync = {"sync_issuer": provider["issuer"], "sync_key_id": provider["kid"], "sync_key": "acme-sync.pem"}
    parity = product.tenants.get("acme").tenant.parity.model_copy(update={"subjects_needed": len(PEOPLE)})
    change_tenant(product, "acme", parity=parity, quiet_days=1, **sync)
    return world


class Journey:
    """Erin at her desk, while days go by."""

    def __init__(self, world: World, product: Bridge, clock: FakeClock) -> None:
        self.world, self.product, self.clock = world, product, clock
        self.days = 0.0

    def pass_days(self, days: float) -> None:
        self.days += days
        self.clock.advance(days * DAY_S)
        for tenant in (self.world.acme, self.world.globex):
            tenant.control("POST", "clock", {"offset_s": self.days * DAY_S})

    def erin(self) -> Person:
        return self.world.person("erin")

    def unmet(self) -> list[str]:
        plan = self.erin().get("/api/v1/tenants/acme/plan").json()
        return [each["condition"] for each in plan["unmet"]]

    def go(self, to: str, **more: object) -> None:
        answer = self.erin().move("acme", to, **more)
        assert answer.ok, answer.text

    def prove(self, name: str) -> None:
        subject = Subject(name, name.title(), f"{name}@example.com", frozenset(PEOPLE[name]))
        result = self.product.parity.compare("acme", Identity(subject, "demo", "demo", self.clock()))
        assert [check for check in result.checks if check.is_open] == []

    def paths(self) -> dict[str, str]:
        return {name: self.world.person(name).session("acme")["path"] for name in PEOPLE}

    def wait_for_percent(self, percent: float) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while self.product.tenants.get("acme").rollout.percentage != percent:
            assert time.monotonic() < give_up, f"the ramp did not reach {percent} %"
            time.sleep(0.05)


def test_from_legacy_to_retired_on_evidence_alone(ready: World, product: Bridge, clock: FakeClock) -> None:
    journey = Journey(ready, product, clock)
    journey.go("shadow")

    assert journey.unmet() == ["fresh_parity"]
    refused = journey.erin().move("acme", "rollout")
    assert refused.status_code == 409
    assert "qlik-bridge parity acme" in refused.json()["unmet"][0]["message"]

    for name in PEOPLE:
        journey.prove(name)
    assert journey.unmet() == []
    journey.go("rollout", cohorts={"subjects": [], "groups": ["Finance"]})
    assert journey.paths() == {"alice": "oauth", "bob": "jwt", "carol": "jwt"}

    erin = journey.erin()
    started = erin.post(
        "/api/v1/tenants/acme/ramp",
        json={"steps": "1 % for 1 day, 100 %", "reason": "a calm week"},
        headers={"CSRF-Token": erin.csrf("acme")},
    )
    assert (started.status_code, started.json()["percent"]) == (200, 1)
    journey.pass_days(1)
    journey.wait_for_percent(100)  # by the bridge itself, which nobody asks
    assert set(journey.paths().values()) == {"oauth"}

    journey.go("oauth")
    assert journey.world.person("bob").get("/t/acme/token").ok
    assert set(journey.unmet()) == {"no_stragglers"}  # a second one says that the tenant could not be read in time
    by_bridge = journey.erin().get("/api/v1/tenants/acme/plan").json()["unmet"][0]
    assert "1 subject asked the bridge for a legacy JWT" in by_bridge["message"]
    journey.pass_days(1.5)
    assert journey.world.person("bob").access_token("acme").ok
    assert journey.unmet() == []
    journey.go("retired")

    assert journey.world.person("bob").get("/t/acme/token").status_code == 410
    token = journey.world.person("alice").access_token("acme").text
    assert ready.acme.idp_groups(token) == PEOPLE["alice"]
    events = list(reversed(journey.erin().get("/api/v1/audit?tenant=acme").json()["events"]))
    told = [
        (each["action"], each["after"]["stage"]) for each in events if each["action"].startswith(("stage.", "ramp."))
    ]
    assert told == [
        ("stage.move", "shadow"),
        ("stage.move", "rollout"),
        ("ramp.start", "rollout"),
        ("ramp.step", "rollout"),
        ("stage.move", "oauth"),
        ("stage.move", "retired"),
    ]
