"""What reaches a page that is open already: a stage that moved, a sign-out, another person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
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
    from browserkit import Tabs
    from playwright.sync_api import Page

    from browser.worlds import Site

pytestmark = pytest.mark.real_client

PAGE = "/t/acme/page.html"
CREDENTIALS = {"jwt": "cookie", "oauth": "accessToken"}
"""How the tenant sees a page's websockets."""


def opened(site: Site, tabs: Tabs, cookies: str, who: str = "alice", slug: str = "acme") -> Page:
    address = f"/t/{slug}/page.html"
    site.front.put(address, host_page(chart(slug=slug)))
    page = tabs(cookies)
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
