"""What reaches a page that is open already: a stage that moved, by whomever, a sign-out, another person."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import requests
from playwright.sync_api import expect

from browser.kit import (
    TOKEN_CALL,
    chart,
    expect_bars,
    expect_state,
    host_page,
    names_in,
    products_of,
    sign_in,
    wait_for_sockets_by,
)

if TYPE_CHECKING:
    from typing import Any

    from browserkit import Tabs
    from playwright.sync_api import Page

    from browser.worlds import Site

pytestmark = pytest.mark.real_client

PAGE = "/t/acme/page.html"
CREDENTIALS = {"jwt": "cookie", "oauth": "accessToken"}
"""How the tenant sees a page's websockets."""
STEP_BACK_S = 10
WITHOUT_A_TOKEN = ("bob", "carol", "erin")
HEAR_TROUBLES = "window.troubles = []; document.addEventListener('bridge:error', (it) => troubles.push(it.detail))"
SHORT_MINUTE = "const { setInterval: real } = window; window.setInterval = (f, ms) => real(f, ms === 60_000 ? 500 : ms)"


def opened(site: Site, tabs: Tabs, cookies: str, who: str = "alice", slug: str = "acme", script: str = "") -> Page:
    address = f"/t/{slug}/page.html"
    site.front.put(address, host_page(chart(slug=slug)))
    page = tabs(cookies)
    page.add_init_script(script)
    sign_in(page, site, who, address)
    expect_bars(page.locator("qlik-embed"), len(products_of(site, who, slug)))
    page.evaluate("window.stillTheSame = true")
    return page


def look_at(page: Page) -> None:
    """Come back to the tab after a minute, as somebody who had another one in front."""
    page.evaluate("const now = Date.now; Date.now = () => now() + 61_000")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_stage_moves_forward_and_back(site: Site, tabs: Tabs) -> None:
    page = opened(site, tabs, "allowed")
    expect_state(page, "jwt", "ready")

    for stage, path in (("oauth", "oauth"), ("legacy", "jwt")):
        site.stage(stage)
        look_at(page)
        expect_state(page, path, "ready")
        wait_for_sockets_by(site.acme, "alice", CREDENTIALS[path])
        expect_bars(page.locator("qlik-embed"), len(products_of(site, "alice")))
        assert names_in(page.locator("qlik-embed")) == products_of(site, "alice")

    assert page.evaluate("window.stillTheSame"), "nothing was reloaded"


def test_a_rollback_reaches_a_page_by_its_next_token(site: Site, tabs: Tabs) -> None:
    site.stage("oauth", slug="globex")
    page = opened(site, tabs, "allowed", "erin", "globex")

    site.stage("legacy", slug="globex")
    site.globex.control("POST", "tokens/expire", {"user": "erin"})
    site.globex.control("POST", "sockets/close", {"code": 4003})

    expect_state(page, "jwt", "ready")
    wait_for_sockets_by(site.globex, "erin", CREDENTIALS["jwt"])
    expect_bars(page.locator("qlik-embed"), len(products_of(site, "erin", "globex")))
    assert page.evaluate("window.stillTheSame"), "nothing was reloaded"


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


def test_a_guardrails_step_back_reaches_pages_that_nobody_touches(site: Site, tabs: Tabs) -> None:
    for slug in ("acme", "globex"):
        site.stage("rollout", slug=slug)
    here, elsewhere = (opened(site, tabs, "allowed", slug=slug, script=SHORT_MINUTE) for slug in ("globex", "acme"))
    for page in (here, elsewhere):
        page.evaluate(HEAR_TROUBLES)
    known = len(audit(site, "acme"))

    with site.guarded("globex", minimum=len(WITHOUT_A_TOKEN)):
        since = break_tokens(site)
        while site.person("erin").session("globex")["stage"] != "shadow":
            assert time.monotonic() - since < STEP_BACK_S, f"not stepped back within {STEP_BACK_S} s"

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


def expect_the_console_to_say_so(site: Site, tabs: Tabs, reason: str) -> None:
    console = tabs("blocked")
    sign_in(console, site, "erin", "/admin/tenants/globex")
    expect(console.locator(".notice.bad").filter(has_text="Stepped back")).to_contain_text(reason)


def test_a_rollback_explains_itself_where_cookies_are_blocked(site: Site, tabs: Tabs) -> None:
    site.stage("oauth")
    page = opened(site, tabs, "blocked")

    site.stage("legacy")
    look_at(page)

    expect_state(page, "jwt", "cookies-blocked")


def test_a_sign_out_in_another_tab(site: Site, tabs: Tabs, path: str) -> None:
    site.on_path(path)
    page = opened(site, tabs, "allowed")
    other = tabs("allowed")
    other.goto(f"{site.base}/")

    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/login**")
    look_at(page)

    expect_state(page, path, "signed-out")
    expect(page.locator("canvas")).to_have_count(0)


def test_another_person_signs_in_in_another_tab(site: Site, tabs: Tabs) -> None:
    """Whatever the page then shows is theirs; nothing of the person before is left."""
    site.stage("oauth")
    page = opened(site, tabs, "blocked")
    other = tabs("blocked")

    sign_in(other, site, "bob", PAGE)
    look_at(page)

    page.wait_for_function("window.qlikBridge?.session?.subject?.sub === 'bob'")
    expect_bars(page.locator("qlik-embed"), len(products_of(site, "bob")))
    assert names_in(page.locator("qlik-embed")) == products_of(site, "bob")
    assert site.front.count(TOKEN_CALL) == 3
