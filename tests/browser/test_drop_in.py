"""Pages written for Qlik's samples work with the bridge in place of their own server."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.kit import (
    PEOPLE,
    expect_bars,
    expect_bars_in_frame,
    frame_in,
    names_in,
    products_of,
    rows_of,
    sign_in,
)

if TYPE_CHECKING:
    from browserkit import Tabs
    from playwright.sync_api import Page

    from browser.worlds import Site

pytestmark = pytest.mark.real_client

PAGES = Path(__file__).parent / "pages"
AUTHOR = "erin"
"""Whose private sheet the app holds."""
LEGACY, IMPERSONATION = "/t/acme/legacy.html", "/impersonation.html"


def put_legacy(site: Site) -> None:
    """Its relative `config` and `token` reach the bridge, because it is served under the tenant's address."""
    site.front.put(LEGACY, (PAGES / "legacy.html").read_text())


def put_impersonation(site: Site) -> None:
    site.front.put(IMPERSONATION, (PAGES / "impersonation.html").read_text())


@pytest.mark.parametrize("who", PEOPLE)
def test_a_legacy_page_draws_while_cookies_are_allowed(tls_site: Site, tabs: Tabs, who: str) -> None:
    put_legacy(tls_site)
    page = tabs("allowed")

    sign_in(page, tls_site, who, LEGACY)

    expect(page.locator("body")).to_have_attribute("data-state", "drawn")
    count = len(products_of(tls_site, who))
    expect_bars(page.locator("#chart"), count)
    expect_bars_in_frame(frame_in(page, "#frame"), "body", count)


def test_a_legacy_page_fails_when_cookies_are_blocked(tls_site: Site, tabs: Tabs) -> None:
    """Its login is answered with 200 all the same; nothing after that knows the person."""
    put_legacy(tls_site)
    page = tabs("blocked")

    with page.expect_response(re.compile("/login/jwt-session")) as login:
        sign_in(page, tls_site, "alice", LEGACY)

    assert login.value.status == 200
    expect(page.locator("body")).to_have_attribute("data-state", "failed")
    expect(page.locator("#outcome")).to_have_text("csrf-token: 401")
    assert page.locator("canvas").count() == 0
    expect(page.frame_locator("#frame").locator("body")).to_contain_text("Sign in")


def test_a_legacy_page_ends_with_the_old_path(tls_site: Site, tabs: Tabs) -> None:
    tls_site.stage("retired")
    put_legacy(tls_site)
    page = tabs("allowed")

    sign_in(page, tls_site, "alice", LEGACY)

    expect(page.locator("#outcome")).to_have_text("token: 410")


@pytest.mark.parametrize(("cookies", "who"), [("allowed", "alice"), *(("blocked", who) for who in PEOPLE)])
def test_a_page_made_from_the_impersonation_sample(tls_site: Site, tabs: Tabs, cookies: str, who: str) -> None:
    tls_site.stage("oauth")
    put_impersonation(tls_site)
    page = tabs(cookies)

    sign_in(page, tls_site, who, IMPERSONATION)

    expect(page.locator("body")).to_have_attribute("data-state", "ready")
    products = products_of(tls_site, who)
    expect_bars(page.locator("#by-id"), len(products))
    expect_bars(page.locator("#on-the-fly"), len(products))
    assert names_in(page.locator("#by-id")) == products
    assert texts(page, "#sheets li") == ["Overview", "Details", *(["Drafts"] if who == AUTHOR else [])]
    assert sales_in(page) == sales_by_region(tls_site, who)
    expect(page.locator("#classic svg rect")).to_have_count(len(products))
    expect(page.locator("#sheet canvas").first).to_be_visible()
    for product in products:
        expect(page.locator("#field")).to_contain_text(product)
    page.locator("#app iframe").scroll_into_view_if_needed()  # nothing is painted in frames out of sight
    expect(page.frame_locator("#app iframe").locator("body")).to_have_attribute("data-ready", "1")


def texts(page: Page, selector: str) -> list[str]:
    return page.locator(selector).all_inner_texts()


def sales_in(page: Page) -> dict[str, int]:
    """Return what the bridge read from the engine, as the page shows it."""
    cells = texts(page, "#rows td")
    return {name: int(re.sub(r"\D", "", figure)) for name, figure in zip(cells[::2], cells[1::2], strict=True)}


def sales_by_region(site: Site, who: str) -> dict[str, int]:
    sales: Counter[str] = Counter()
    for row in rows_of(site, who):
        sales[row["Region"]] += row["Sales"]
    return dict(sales)
