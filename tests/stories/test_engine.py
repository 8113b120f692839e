"""What the bridge reads from the sandbox's engine: each person's own rows, and a plain refusal."""

import time
from collections import Counter
from uuid import NAMESPACE_URL, uuid5

import pytest
from engine_contract import Case, EngineContract
from storykit import World, change_tenant

from bridge.adapters.engine import WebSocketEngine
from bridge.bootstrap import Bridge
from bridge.model import Content


def app_id(name: str, slug: str = "acme") -> str:
    return str(uuid5(NAMESPACE_URL, f"{slug}/{name}"))


def names(timing: str) -> list[str]:
    return [each.split(";")[0] for each in timing.split(", ")]


@pytest.fixture
def moved(world: World, product: Bridge) -> World:
    """Acme on the new path, with the products of its retail app as the hypercube."""
    content = {"app_id": app_id("Retail sales"), "hypercube_dimension": "Product", "hypercube_measure": "Sum(Sales)"}
    change_tenant(product, "acme", content=Content(**content))
    world.at("oauth")
    return world


class TestSandboxEngine(EngineContract):
    @pytest.fixture
    def case(self, moved: World, product: Bridge) -> Case:
        tokens = {who: moved.person(who).access_token("acme").text for who in ("alice", "bob", "carol")}
        tenant = product.tenants.get("acme").tenant
        dead = {"dead": "no-such-token"}
        return Case(WebSocketEngine(time.time), tenant, tokens | dead, app_id("Retail sales"), app_id("Ledger"))


REGIONS = {"alice": {"EMEA", "Online"}, "bob": {"AMER", "Online"}, "carol": {"Online"}, "erin": None}
"""What the sandbox's section access opens to the groups of each person; None: everything."""


def test_each_person_reads_their_rows_and_only_those(moved: World) -> None:
    """The sums prove that no row of another region is in them."""
    rows = next(app["rows"] for app in moved.acme.state()["apps"] if app["name"] == "Retail sales")
    sizes = {}
    for who, regions in REGIONS.items():
        expected: Counter[str] = Counter()
        for row in rows:
            if regions is None or row["Region"] in regions:
                expected[row["Product"]] += row["Sales"]

        found = moved.person(who).get("/t/acme/hypercube").json()

        sums = [float(text.replace(",", "")) for text in found["returnedMeasure"]]
        assert dict(zip(found["returnedDimension"], sums, strict=True)) == expected
        sizes[who] = len(sums)
    assert sizes == {"alice": 5, "bob": 4, "carol": 2, "erin": 8}


def test_sheets_are_the_published_ones(moved: World) -> None:
    sheets = moved.person("alice").get("/app-sheets").json()

    assert [sheet["qInfo"]["qId"] for sheet in sheets] == ["overview", "details"]


def test_carol_is_told_that_she_may_not_open_the_ledger(moved: World, product: Bridge) -> None:
    change_tenant(product, "acme", content=Content(app_id=app_id("Ledger")))

    refused = moved.person("carol").get("/t/acme/app-sheets")
    allowed = moved.person("alice").get("/t/acme/app-sheets")

    assert (refused.status_code, refused.json()["error"]) == (403, "app_refused")
    assert "does not let this person open the app" in refused.json()["message"]
    assert allowed.status_code == 200


def test_an_app_that_is_gone_is_for_an_operator(moved: World, product: Bridge) -> None:
    change_tenant(product, "acme", content=Content(app_id=app_id("Gone")))

    answer = moved.person("alice").get("/t/acme/app-sheets")

    assert (answer.status_code, answer.json()["error"]) == (404, "bad_content")
    assert "`content.app_id`" in answer.json()["message"]


def test_the_way_there_is_told_step_by_step(moved: World) -> None:
    alice = moved.person("alice")

    first = names(alice.get("/t/acme/hypercube").headers["Server-Timing"])
    token = names(alice.access_token("acme").headers["Server-Timing"])

    login = ["session", "jwt-login", "groups", "mint"]
    assert first == [*login, "websocket", "open-app", "hypercube", "total"]
    assert token == ["session", "kept", "total"]


def test_a_token_that_the_tenant_forgot_is_replaced_on_the_way(moved: World) -> None:
    alice = moved.person("alice")
    before = alice.access_token("acme").text
    moved.acme.control("POST", "tokens/expire", {})

    assert alice.get("/t/acme/hypercube").status_code == 200
    assert alice.access_token("acme").text != before


def test_no_websocket_stays_open(moved: World) -> None:
    assert moved.person("alice").get("/t/acme/hypercube").status_code == 200

    def ours() -> list[object]:
        return [each for each in moved.acme.state()["sockets"] if each["user"] == "alice"]

    give_up = time.monotonic() + 30
    while ours():
        assert time.monotonic() < give_up
