"""The bridge's impersonations beside the sandbox's own events of them, over real sockets."""

import json
import sys
from typing import Any

import pytest
import requests
from storykit import Tenant, World

from bridge.bootstrap import Bridge
from bridge.cli import cli


def impersonate_without_the_bridge(tenant: Tenant, user_id: str) -> None:
    """Use the issuing client's secret as a thief would."""
    client = next(each for each in tenant.state()["clients"] if each["role"] == "issuing")
    body = {
        "grant_type": "urn:qlik:oauth:user-impersonation",
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "user_lookup": {"field": "userId", "value": user_id},
        "scope": "user_default",
    }
    assert requests.post(f"{tenant.origin}/oauth/token", json=body, timeout=10).ok


def test_each_impersonation_is_joined_and_one_that_is_not_ours_stands_out(
    world: World, product: Bridge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.at("oauth")
    issued = world.person("alice").access_token("acme", **{"X-Request-Id": "story-1"})
    assert world.person("bob").access_token("acme").ok
    carol = world.acme.me(world.person("carol").access_token("acme").text)
    impersonate_without_the_bridge(world.acme, carol["id"])
    monkeypatch.setattr(sys.modules["bridge.cli.audit"], "wired", lambda: product)
    capsys.readouterr()  # what the server logged

    cli.main(["audit", "impersonations", "acme", "--json"], standalone_mode=False)
    report = json.loads(capsys.readouterr().out)
    cli.main(["audit", "impersonations", "acme"], standalone_mode=False)
    table = capsys.readouterr().out

    found = {each["subject"]: each for each in report["impersonations"]}
    assert report["counts"] == {"joined": 2, "ambiguous": 1, "bridge_only": 0, "tenant_only": 1}
    assert (found["alice"]["joined"], found["alice"]["request_id"]) == ("joined", "story-1")
    assert found["alice"]["token_id"] == issued.headers["Token-Id"]
    assert found["alice"]["tenant_token_id"]
    assert found[None]["user_id"] == carol["id"]
    assert table.startswith("2 joined, 1 ambiguous, 0 bridge only, 1 tenant only")
    assert "tenant only: The bridge knows of none: somebody else has the client's secret" in table
    assert issued.text not in table + json.dumps(report)
    assert page_by_page(world) == report["impersonations"][::-1]


def page_by_page(world: World) -> list[dict[str, Any]]:
    """Return what the API tells, one impersonation a page; each page asks the tenant anew."""
    erin, found, before = world.person("erin"), [], ""
    while True:
        page = erin.get(f"/api/v1/tenants/acme/impersonations?limit=1{before}").json()
        found += page["impersonations"]
        if page["next"] is None:
            return found
        before = f"&before={page['next']}"
