"""Who still comes by JWT, seen by the bridge and by the tenant: real sockets, the sandbox's own events."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from fakes import FakeClock
from storykit import World, change_tenant

from bridge.bootstrap import Bridge
from bridge.cli import cli

DAY = 86_400
TOKEN, LOGIN = "/t/acme/token", "/login/jwt-session"
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"}


@pytest.fixture
def own_provider(product: Bridge, world: World) -> None:
    """The bridge logs in by an identity provider of its own."""
    provider = world.acme.state()["identity_providers"][1]
    (product.settings.keys_dir / "acme-sync.pem").write_text(provider["private_key"])
    sync = {"sync_issuer": provider["issuer"], "sync_key_id": provider["kid"], "sync_key": "acme-sync.pem"}
    change_tenant(product, "acme", **sync)


def told(world: World, product: Bridge) -> dict[str, Any]:
    product.stragglers.flush()  # as the keeper does each second
    answer: dict[str, Any] = world.person("erin").get("/api/v1/tenants/acme/stragglers").json()
    return answer


def by_tenant(report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in report["evidence"] if each["source"] == "tenant")
    return found


@pytest.mark.usefixtures("own_provider")
def test_a_page_that_logs_in_by_jwt_is_seen_by_both(world: World, product: Bridge) -> None:
    world.at("oauth")
    for name in ("alice", "bob"):
        assert world.person(name).access_token("acme").ok
    quiet = told(world, product)
    carol = world.person("carol")
    signed = carol.get(TOKEN, headers={**FIREFOX, "Referer": f"{world.base}/sales?secret=1"}).json()["token"]
    assert requests.post(world.acme.origin + LOGIN, headers={"Authorization": f"Bearer {signed}"}, timeout=10).ok
    seen = told(world, product)

    assert by_tenant(quiet)["verdict"] == "safe"
    assert quiet["sessions"].items() >= {"told_apart_by": "identity_provider", "bridge": 2, "browsers": {}}.items()
    assert (seen["verdict"], by_tenant(seen)["verdict"]) == ("not_safe", "not_safe")
    assert seen["sessions"]["browsers"] == {"carol": 1}
    assert [(each["subject"], each["origin"], each["agent"]) for each in seen["uses"]] == [
        ("carol", world.base, "Firefox")
    ]


def test_one_provider_on_one_machine_cannot_be_told_apart(world: World, product: Bridge) -> None:
    """All calls come from the loopback address, which proves nothing."""
    world.at("oauth")
    assert world.person("alice").access_token("acme").ok
    report = told(world, product)

    assert by_tenant(report)["verdict"] == "cannot_tell"
    assert report["sessions"].items() >= {"told_apart_by": "nothing", "unclear": 1}.items()


@pytest.mark.usefixtures("own_provider")
def test_a_new_bridge_has_not_listened_long_enough(world: World, product: Bridge) -> None:
    world.at("oauth")
    report = told(world, product)

    assert report["verdict"] == "cannot_tell"
    assert "notes uses since" in report["evidence"][0]["why"]


@pytest.mark.usefixtures("own_provider")
def test_the_command_says_the_same(
    world: World, product: Bridge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.person("alice").get(TOKEN, headers=FIREFOX)
    product.stragglers.flush()
    monkeypatch.setattr(sys.modules["bridge.cli.stragglers"], "wired", lambda: product)
    capsys.readouterr()  # what the server logged
    cli.main(["stragglers", "acme"], standalone_mode=False)
    table = capsys.readouterr().out
    cli.main(["stragglers", "acme", "--since", "3", "--json"], standalone_mode=False)
    document = json.loads(capsys.readouterr().out)

    assert table.startswith("Safe to retire acme? Not safe.")
    assert "alice" in table
    assert "Firefox" in table
    assert document["uses"] == told(world, product)["uses"]


class TestTheCondition:
    """A tenant retires once two quiet weeks have passed since the bridge began to listen."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock(time.time())

    @pytest.fixture
    def product(self, make_product: Callable[..., Bridge], clock: FakeClock) -> Bridge:
        return make_product(clock=clock)

    @pytest.mark.usefixtures("own_provider")
    def test_retired_waits_for_quiet_and_force_is_audited(
        self, world: World, product: Bridge, clock: FakeClock
    ) -> None:
        world.at("oauth")
        erin, carol = world.person("erin"), world.person("carol")
        assert carol.get(TOKEN, headers=FIREFOX).ok
        product.stragglers.flush()
        busy = erin.move("acme", "retired")
        clock.advance(15 * DAY)
        world.acme.control("POST", "clock", {"offset_s": 15 * DAY})
        erin = world.person("erin")
        quiet = erin.move("acme", "retired")

        assert busy.status_code == 409
        assert [each["condition"] for each in busy.json()["unmet"]] == ["no_stragglers"]
        assert "1 subject asked the bridge for a legacy JWT" in busy.json()["unmet"][0]["message"]
        assert quiet.ok, quiet.text
        assert quiet.json()["stage"] == "retired"

    def test_what_cannot_be_told_can_be_passed_by_with_a_reason(self, world: World) -> None:
        world.at("oauth")
        erin = world.person("erin")

        assert erin.move("acme", "retired").status_code == 409
        assert erin.move("acme", "retired", force=True, reason="the portal is gone").ok
        newest = erin.get("/api/v1/audit?limit=1").json()["events"][0]
        assert (newest["action"], newest["reason"]) == ("stage.force", "the portal is gone")
        assert [each["condition"] for each in newest["after"]["overridden"]] == ["no_stragglers"]
