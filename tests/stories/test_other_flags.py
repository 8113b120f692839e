"""A tenant whose path is decided by another flag provider, over the web app and a real sandbox."""

from collections.abc import Callable, Iterator
from typing import Any

import flagkit
import pytest
from storykit import World

from bridge.bootstrap import Bridge


@pytest.fixture
def people() -> Iterator[set[tuple[str, str]]]:
    """Whom the other product's rule moves, as tenant and subject."""
    flagkit.PILOTS.people.clear()
    yield flagkit.PILOTS.people
    flagkit.PILOTS.people.clear()


@pytest.fixture
def product(make_product: Callable[..., Bridge]) -> Bridge:
    return make_product(BRIDGE_FLAGS="flagkit:pilots")


@pytest.fixture
def world(product: Bridge, serve: Callable[[Bridge], World]) -> World:
    return serve(product)


def events(world: World, product: Bridge, action: str) -> list[dict[str, Any]]:
    product.rollouts.flush()  # as the keeper does each second
    listed: list[dict[str, Any]] = world.person("erin").get("/api/v1/audit").json()["events"]
    return [each for each in reversed(listed) if each["action"] == action]


def test_the_path_follows_the_other_provider_and_the_audit_says_so(
    world: World, product: Bridge, people: set[tuple[str, str]]
) -> None:
    people |= {("acme", "alice"), ("globex", "bob")}
    alice, bob = world.person("alice"), world.person("bob")
    assert alice.session("acme")["path"] == "jwt"  # not before the stage lets the flag decide
    world.at("rollout", percent=0)

    assert [each.session("acme")["path"] for each in (alice, bob, alice)] == ["oauth", "jwt", "oauth"]
    token = alice.access_token("acme")
    assert token.ok
    assert world.acme.me(token.text)["subject"] == "alice"
    assert bob.access_token("acme").json()["error"] == "still_on_jwt"

    people.remove(("acme", "alice"))
    assert alice.session("acme")["path"] == "jwt"
    assert alice.access_token("acme").json()["error"] == "still_on_jwt"
    people.add(("acme", "bob"))
    assert bob.access_token("acme").ok

    told = [
        (each["actor"], each["tenant"], each["before"], each["after"]) for each in events(world, product, "path.change")
    ]
    assert [(actor, tenant, before["path"], after["path"]) for actor, tenant, before, after in told] == [
        ("flags:In-Memory Provider", "acme", "jwt", "oauth"),
        ("flags:In-Memory Provider", "acme", "oauth", "jwt"),
        ("flags:In-Memory Provider", "acme", "jwt", "oauth"),
    ]
    assert [after["subject"] for *_, after in told] == ["alice", "alice", "bob"]
    assert [(after["reason"], after["variant"]) for *_, after in told] == [
        ("TARGETING_MATCH", "pilots"),
        ("DEFAULT", "off"),
        ("TARGETING_MATCH", "pilots"),
    ]
    assert all(each["request_id"] for each in events(world, product, "path.change"))


def test_an_operator_sees_what_a_person_got_and_why(
    world: World, product: Bridge, people: set[tuple[str, str]]
) -> None:
    people.add(("acme", "alice"))
    world.at("rollout")
    world.person("alice").session("acme")
    product.rollouts.flush()
    erin = world.person("erin")
    rule = {"path": "oauth", "reason": "TARGETING_MATCH", "variant": "pilots", "provider": "In-Memory Provider"}

    seen = erin.get("/api/v1/tenants/acme/people/alice").json()
    assert seen["decision"] == rule
    assert seen["noted"] == rule | {"since": seen["noted"]["since"]}

    people.clear()
    seen = erin.get("/api/v1/tenants/acme/people/alice").json()
    assert (seen["decision"]["path"], seen["decision"]["variant"]) == ("jwt", "off")
    assert seen["noted"]["path"] == "oauth"  # until they come again
    assert len(events(world, product, "path.change")) == 1


def test_a_percentage_of_ours_does_not_count_beside_it(world: World, people: set[tuple[str, str]]) -> None:
    people.add(("acme", "bob"))
    world.at("rollout", percent=100)

    assert world.person("alice").session("acme")["path"] == "jwt"
    assert world.person("bob").session("acme")["path"] == "oauth"


def test_the_stage_stays_the_master(world: World, product: Bridge, people: set[tuple[str, str]]) -> None:
    people.add(("acme", "alice"))
    world.at("rollout")
    alice = world.person("alice")
    assert alice.session("acme")["path"] == "oauth"

    assert world.person("erin").move("acme", "legacy").ok

    assert alice.session("acme")["path"] == "jwt"
    assert len(events(world, product, "path.change")) == 1
