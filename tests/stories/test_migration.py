"""Three tenants beside each other at one bridge.

Acme walks from `legacy` to `retired`: each stage waits for its evidence, and nothing is forced. Globex is stepped back
by a guardrail. Who moves at initech, the company's own flag service says.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import flagkit
import pytest
from fakes import FakeClock
from storykit import PATIENCE_S, Person, Tenant, World, change_tenant, free_ports, running_sandbox

from bridge.bootstrap import Bridge
from bridge.guarding import Guardrails
from bridge.model import Identity, Rollout, Subject
from bridge.services.tenants import Declared

DAY_S = 86_400
STEP_BACK_S = 10
PEOPLE = {"alice": {"Finance", "EMEA"}, "bob": {"Sales", "AMER"}, "carol": set[str]()}
SERVICE = "flags:In-Memory Provider"


@dataclass
class Desk:
    """Erin at her desk with her tenants, while days go by."""

    world: World
    product: Bridge
    clock: FakeClock
    initech: Tenant
    days: float = 0

    def pass_days(self, days: float) -> None:
        self.days += days
        self.clock.advance(days * DAY_S)
        for tenant in (self.world.acme, self.world.globex, self.initech):
            tenant.control("POST", "clock", {"offset_s": self.days * DAY_S})

    def erin(self) -> Person:
        return self.world.person("erin")

    def unmet(self) -> list[str]:
        plan = self.erin().get("/api/v1/tenants/acme/plan").json()
        return [each["condition"] for each in plan["unmet"]]

    def go(self, to: str, slug: str = "acme", **more: object) -> None:
        answer = self.erin().move(slug, to, **more)
        assert answer.ok, answer.text

    def prove(self, name: str) -> None:
        subject = Subject(name, name.title(), f"{name}@example.com", frozenset(PEOPLE[name]))
        result = self.product.parity.compare("acme", Identity(subject, "demo", "demo", self.clock()))
        assert [check for check in result.checks if check.is_open] == []

    def paths(self, slug: str = "acme") -> dict[str, str]:
        return {name: self.world.person(name).session(slug)["path"] for name in PEOPLE}

    def stage(self, slug: str) -> str:
        return self.product.tenants.get(slug).rollout.stage.value

    def story(self, slug: str, *kinds: str) -> list[dict[str, Any]]:
        """Return what the audit tells of a tenant, from the beginning."""
        self.product.rollouts.flush()  # as the keeper does each second
        events = self.erin().get(f"/api/v1/audit?tenant={slug}").json()["events"]
        return [each for each in reversed(events) if each["action"].startswith(kinds)]


@pytest.fixture
def moved() -> Iterator[set[tuple[str, str]]]:
    """Whom the company's flag service moves, as tenant and subject."""
    flagkit.PILOTS.people.clear()
    yield flagkit.PILOTS.people
    flagkit.PILOTS.people.clear()


@pytest.fixture
def initech(ports: dict[str, int]) -> Iterator[Tenant]:
    """A third tenant, from a sandbox of its own."""
    port, unused = free_ports(2)
    with running_sandbox(port, unused, f"http://localhost:{ports['bridge']}"):
        yield Tenant(f"http://127.0.0.1:{port}")


@pytest.fixture
def desk(make_product: Callable[..., Bridge], serve: Callable[[Bridge], World], initech: Tenant) -> Desk:
    """Acme wants three people proven and one quiet day, globex minds three people without a token."""
    clock = FakeClock(time.time())
    product = make_product(clock=clock, BRIDGE_FLAGS="flagkit:pilots")
    register(product, "initech", initech)
    world = serve(product)
    provider = world.acme.state()["identity_providers"][1]
    (product.settings.keys_dir / "acme-sync.pem").write_text(provider["private_key"])
    sync = {"sync_issuer": provider["issuer"], "sync_key_id": provider["kid"], "sync_key": "acme-sync.pem"}
    parity = product.tenants.get("acme").tenant.parity.model_copy(update={"subjects_needed": len(PEOPLE)})
    change_tenant(product, "acme", own_flags=True, parity=parity, quiet_days=1, **sync)
    few = Guardrails.model_validate({"issue_errors": {"minimum": len(PEOPLE)}})
    change_tenant(product, "globex", own_flags=True, guardrails=few)
    return Desk(world, product, clock, initech)


def register(product: Bridge, slug: str, tenant: Tenant) -> None:
    """Declare one more tenant, like those that are there but for what is its own."""
    state = tenant.state()
    provider, clients = state["identity_providers"][0], {each["role"]: each for each in state["clients"]}
    (product.settings.keys_dir / f"{slug}.pem").write_text(provider["private_key"])
    own = {
        "slug": slug,
        "name": slug.title(),
        "host": tenant.origin,
        "issuer": provider["issuer"],
        "key_id": provider["kid"],
        "signing_key": f"{slug}.pem",
        "web_integration_id": state["web_integrations"][0]["id"],
    } | {f"{role}_client": {"id": each["client_id"], "secret": each["client_secret"]} for role, each in clients.items()}
    like = product.tenants.get("acme").tenant
    declared = like.from_documents(like.public_document() | own, {})
    product.declared.apply(product.declared.plan([Declared(declared, Rollout())]), actor="test")


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = PATIENCE_S) -> None:
    give_up = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up, f"{what}: not within {limit_s} s"
        time.sleep(0.05)


def test_each_tenant_has_a_story_of_its_own(desk: Desk, moved: set[tuple[str, str]]) -> None:
    acme_proves_itself(desk)
    globex_is_stepped_back(desk)
    initech_follows_its_flag_service(desk, moved)
    assert desk.paths() == {"alice": "oauth", "bob": "jwt", "carol": "jwt"}, "acme has noticed nothing"
    acme_walks_on_to_the_end(desk)

    assert desk.stage("globex") == "shadow", "a step back holds"
    assert desk.stage("initech") == "rollout"
    assert [(each["action"], each["after"]["stage"]) for each in desk.story("acme", "stage.", "ramp.")] == [
        ("stage.move", "shadow"),
        ("stage.move", "rollout"),
        ("ramp.start", "rollout"),
        ("ramp.step", "rollout"),
        ("stage.move", "oauth"),
        ("stage.move", "retired"),
    ]
    assert {each["actor"] for each in desk.story("acme", "stage.", "ramp.")} == {"demo:erin", "ramp"}


def acme_proves_itself(desk: Desk) -> None:
    desk.go("shadow")

    assert desk.unmet() == ["fresh_parity"]
    refused = desk.erin().move("acme", "rollout")
    assert refused.status_code == 409
    assert "qlik-bridge parity acme" in refused.json()["unmet"][0]["message"]

    for name in PEOPLE:
        desk.prove(name)
    assert desk.unmet() == []
    desk.go("rollout", cohorts={"subjects": [], "groups": ["Finance"]})
    assert desk.paths() == {"alice": "oauth", "bob": "jwt", "carol": "jwt"}


def globex_is_stepped_back(desk: Desk) -> None:
    for stage in ("shadow", "rollout"):
        desk.go(stage, "globex", percent=100)
    assert set(desk.paths("globex").values()) == {"oauth"}
    desk.world.globex.control("POST", "faults", {"endpoint": "/oauth/token", "status": 500, "times": None})
    people = [desk.world.person(name) for name in PEOPLE]
    assert {each.access_token("globex").status_code for each in people} == {503}
    wait_until(lambda: desk.stage("globex") == "shadow", "the step back", STEP_BACK_S)

    assert set(desk.paths("globex").values()) == {"jwt"}
    assert all(each.get("/t/globex/token").ok for each in people), "nobody lost anything"
    [event] = [each for each in desk.story("globex", "stage.") if each["actor"] == "guardrail"]
    assert (event["action"], event["after"]["evidence"][0]["guardrail"]) == ("stage.step_back", "issue_errors")


def initech_follows_its_flag_service(desk: Desk, moved: set[tuple[str, str]]) -> None:
    moved.add(("initech", "bob"))
    moved |= {(slug, "carol") for slug in ("acme", "globex")}  # who have flags of their own
    for stage in ("shadow", "rollout"):
        desk.go(stage, "initech", percent=100)

    assert desk.paths("initech") == {"alice": "jwt", "bob": "oauth", "carol": "jwt"}
    token = desk.world.person("bob").access_token("initech")
    assert desk.initech.me(token.text)["subject"] == "bob"
    erin = desk.erin()
    headers = {"CSRF-Token": erin.csrf("acme")}
    refused = erin.post("/api/v1/tenants/initech/ramp", json={"steps": "100 %", "reason": "x"}, headers=headers)
    assert [each["condition"] for each in refused.json()["unmet"]] == ["own_flags"]
    told = [(each["actor"], each["after"]["subject"], each["after"]["path"]) for each in desk.story("initech", "path.")]
    assert told == [(SERVICE, "bob", "oauth")]
    assert desk.story("acme", "path.") == desk.story("globex", "path.") == []


def acme_walks_on_to_the_end(desk: Desk) -> None:
    erin = desk.erin()
    started = erin.post(
        "/api/v1/tenants/acme/ramp",
        json={"steps": "1 % for 1 day, 100 %", "reason": "a calm week"},
        headers={"CSRF-Token": erin.csrf("acme")},
    )
    assert (started.status_code, started.json()["percent"]) == (200, 1)
    desk.pass_days(1)  # then by the bridge itself, which nobody asks
    wait_until(lambda: desk.product.tenants.get("acme").rollout.percentage == 100, "the ramp's last step")
    assert set(desk.paths().values()) == {"oauth"}

    desk.go("oauth")
    assert desk.world.person("bob").get("/t/acme/token").ok
    desk.product.stragglers.flush()  # as the keeper does each second
    assert set(desk.unmet()) == {"no_stragglers"}  # a second one says that the tenant could not be read in time
    by_bridge = desk.erin().get("/api/v1/tenants/acme/plan").json()["unmet"][0]
    assert "1 subject asked the bridge for a legacy JWT" in by_bridge["message"]
    desk.pass_days(1.5)
    assert desk.world.person("bob").access_token("acme").ok
    assert desk.unmet() == []
    desk.go("retired")

    assert desk.world.person("bob").get("/t/acme/token").status_code == 410
    token = desk.world.person("alice").access_token("acme").text
    assert desk.world.acme.idp_groups(token) == PEOPLE["alice"]
