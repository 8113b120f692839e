"""A portal on another site than the bridge: no cookie of the bridge, an assertion of its backend instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser.kit import (
    TOKEN_CALL,
    chart,
    expect_bars,
    expect_blocked,
    expect_state,
    names_in,
    products_of,
)

if TYPE_CHECKING:
    from browserkit import Tabs

    from browser.third_site import ThirdSite
    from browser.worlds import Site

    Third = tuple[Site, ThirdSite]

pytestmark = pytest.mark.real_client


WHO = [(path, cookies, "alice") for path in ("jwt", "oauth") for cookies in ("allowed", "blocked")]


@pytest.mark.parametrize(("path", "cookies", "who"), [*WHO, ("jwt", "allowed", "bob"), ("oauth", "blocked", "bob")])
def test_charts_for_its_people(third: Third, tabs: Tabs, path: str, cookies: str, who: str) -> None:
    site, portal = third
    site.on_path(path)
    portal.content = chart()
    page = tabs(cookies)

    page.goto(f"{portal.origin}/as/{who}")

    if (path, cookies) == ("jwt", "blocked"):
        expect_blocked(page)
        return
    expect_state(page, path, "ready")
    embed = page.locator("qlik-embed")
    products = products_of(site, who)
    expect_bars(embed, len(products))
    assert names_in(embed) == products
    assert page.context.cookies(site.base) == [], "the bridge left nothing in this browser"
    assert portal.vouched == [who]


def test_eight_embeds_vouch_once_and_ask_for_one_token(third: Third, tabs: Tabs) -> None:
    site, portal = third
    site.stage("oauth")
    portal.content = "".join(chart(id=f"chart-{number}") for number in range(8))
    page = tabs("blocked")

    page.goto(f"{portal.origin}/as/alice")

    for number in range(8):
        expect_bars(page.locator(f"#chart-{number}"), len(products_of(site, "alice")))
    assert portal.vouched == ["alice"]
    assert site.front.count(TOKEN_CALL) == 1


def test_nothing_is_kept_in_the_browsers_stores(third: Third, tabs: Tabs) -> None:
    site, portal = third
    site.stage("oauth")
    portal.content = chart()
    page = tabs("blocked")
    page.goto(f"{portal.origin}/as/alice")
    expect_bars(page.locator("qlik-embed"), len(products_of(site, "alice")))

    kept = page.evaluate(
        "[...Object.values({...localStorage}), ...Object.values({...sessionStorage}), document.cookie]"
    )

    assert [text for text in kept if "eyJ" in text or "qbs_" in text] == []


def test_somebody_whom_the_portal_does_not_know(third: Third, tabs: Tabs) -> None:
    site, portal = third
    site.stage("oauth")
    portal.content = chart()
    page = tabs("blocked")

    page.goto(f"{portal.origin}/as/nobody")

    page.wait_for_selector('html[data-bridge-state="signed-out"]')
    assert site.front.count(TOKEN_CALL) == 0
