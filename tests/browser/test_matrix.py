"""Path x cookies x person: the same page on both paths, and what blocked third-party cookies do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.kit import (
    LEDGER,
    PEOPLE,
    PIPELINE,
    chart,
    expect_bars,
    expect_blocked,
    expect_refused,
    expect_state,
    host_page,
    names_in,
    products_of,
    sign_in,
)

if TYPE_CHECKING:
    from browserkit import Tabs

    from browser.worlds import Site

pytestmark = pytest.mark.real_client

PAGE = "/t/acme/page.html"


@pytest.mark.parametrize("who", PEOPLE)
def test_a_page_with_a_chart(site: Site, tabs: Tabs, path: str, cookies: str, who: str) -> None:
    site.on_path(path)
    site.front.put(PAGE, host_page(chart()))
    page = tabs(cookies)

    sign_in(page, site, who, PAGE)

    if (path, cookies) == ("jwt", "blocked"):
        expect_blocked(page)
        assert page.url == site.base + PAGE, "the page stays where it is"
        return
    expect_state(page, path, "ready")
    embed = page.locator("qlik-embed")
    products = products_of(site, who)
    expect_bars(embed, len(products))
    assert names_in(embed) == products


def test_people_see_different_rows(site: Site) -> None:
    """Else the matrix above would show nothing."""
    seen = {who: products_of(site, who) for who in PEOPLE}

    assert len({frozenset(products) for products in seen.values()}) == len(PEOPLE)
    assert all(seen[who] < seen["erin"] for who in ("alice", "bob", "carol"))
    assert seen["alice"] - seen["bob"]
    assert seen["bob"] - seen["alice"]


@pytest.mark.parametrize(("who", "opens"), [("carol", set()), ("alice", {LEDGER}), ("bob", {PIPELINE})])
def test_an_app_that_somebody_may_not_open_says_so(
    site: Site, tabs: Tabs, path: str, who: str, opens: set[str]
) -> None:
    site.on_path(path)
    site.front.put(PAGE, host_page(chart(LEDGER, id="ledger"), chart(PIPELINE, id="pipeline")))
    page = tabs("allowed")

    sign_in(page, site, who, PAGE)

    expect_state(page, path, "ready")
    for app in (LEDGER, PIPELINE):
        embed = page.locator(f"#{app.lower()}")
        if app in opens:
            expect(embed.locator("canvas").first).to_be_visible()
        else:
            expect_refused(embed)


def test_the_two_modes_of_the_browser_differ(site: Site, tabs: Tabs) -> None:
    """The same page, person and path: what blocks is the browser alone."""
    site.front.put(PAGE, host_page(chart()))
    allowed, blocked = tabs("allowed"), tabs("blocked")
    for page in (allowed, blocked):
        sign_in(page, site, "alice", PAGE)

    expect_state(allowed, "jwt", "ready")
    expect_state(blocked, "jwt", "cookies-blocked")
    assert site.front.count("POST /t/acme/client-events") == 1
