"""A guardrail steps a tenant back, and the pages that are open there follow by themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import requests
from playwright.sync_api import expect

from browser.kit import chart, expect_bars, expect_state, host_page, names_in, products_of, sign_in, wait_for_sockets_by

if TYPE_CHECKING:
    from typing import Any

    from playwright.sync_api import Page

    from browser.conftest import Open
    from browser.worlds import Site

pytestmark = pytest.mark.real_client

LIMIT_S = 10
SHORT_MINUTE = "const { setInterval: real } = window; window.setInterval = (f, ms) => real(f, ms === 60_000 ? 500 : ms)"
WITHOUT_A_TOKEN = ("bob", "carol", "erin")


def opened(site: Site, tabs: Open, slug: str) -> Page:
    """Return a page of alice's on the new path, with her chart. For it a minute lasts half a second."""
    address = f"/t/{slug}/page.html"
    site.front.put(address, host_page(chart(slug=slug)))
    page = tabs("allowed")
    page.add_init_script(SHORT_MINUTE)
    sign_in(page, site, "alice", address)
    expect_state(page, "oauth", "ready")
    expect_bars(page.locator("qlik-embed"), len(products_of(site, "alice", slug)))
    page.evaluate("window.stillTheSame = true")
    page.evaluate("window.troubles = []; document.addEventListener('bridge:error', (it) => troubles.push(it.detail))")
    return page


def break_tokens(site: Site) -> float:
    """Let globex mint nothing any more, and people come who have no token; return the moment."""
    for person in map(site.person, WITHOUT_A_TOKEN):  # an earlier test may have left them one
        headers = {"CSRF-Token": person.csrf("globex")}
        assert person.http.delete(f"{site.base}/t/globex/session", headers=headers, timeout=20).status_code == 204
    site.globex.control("POST", "faults", {"endpoint": "/oauth/token", "status": 500, "times": None})
    since = time.monotonic()
    for name in WITHOUT_A_TOKEN:
        assert site.person(name).access_token("globex").status_code == 503
    return since


def audit(site: Site, slug: str) -> list[dict[str, Any]]:
    bearer = {"Authorization": f"Bearer {site.operator}"}
    answer = requests.get(f"{site.base}/api/v1/audit?tenant={slug}", headers=bearer, timeout=20)
    found: list[dict[str, Any]] = answer.json()["events"]
    return found


def test_open_pages_follow_and_nothing_is_lost(site: Site, tabs: Open) -> None:
    for slug in ("acme", "globex"):
        site.stage("rollout", slug=slug)
    here, elsewhere = (opened(site, tabs, slug) for slug in ("globex", "acme"))
    known = len(audit(site, "acme"))

    since = break_tokens(site)
    while site.person("erin").session("globex")["stage"] != "shadow":
        assert time.monotonic() - since < LIMIT_S, f"not stepped back within {LIMIT_S} s"

    expect_state(here, "jwt", "ready")  # and nobody touches it
    wait_for_sockets_by(site.globex, "alice", "cookie")
    expect_bars(here.locator("qlik-embed"), len(products_of(site, "alice", "globex")))
    assert names_in(here.locator("qlik-embed")) == products_of(site, "alice", "globex")
    assert here.evaluate("[window.stillTheSame, troubles]") == [True, []], "not reloaded, and no error on the way"

    expect_state(elsewhere, "oauth", "ready")
    assert elsewhere.evaluate("[window.stillTheSame, troubles]") == [True, []]
    assert site.front.count("GET /t/acme/session") > 1, "it asked, and stayed"
    assert {each["how"] for each in site.acme.state()["sockets"]} == {"accessToken"}
    assert len(audit(site, "acme")) == known

    event = audit(site, "globex")[0]
    assert (event["actor"], event["action"], event["after"]["stage"]) == ("guardrail", "stage.step_back", "shadow")
    [evidence] = event["after"]["evidence"]
    assert (evidence["guardrail"], evidence["action"]) == ("issue_errors", "step_back")
    expect_the_console_to_say_so(site, tabs, event["reason"])


def expect_the_console_to_say_so(site: Site, tabs: Open, reason: str) -> None:
    console = tabs("blocked")
    sign_in(console, site, "erin", "/admin/tenants/globex")
    expect(console.locator(".notice.bad")).to_have_text(f"Stepped back: {reason}")
