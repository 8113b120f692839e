"""Old frames: as they were on the JWT path, the equivalent element on the OAuth path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.kit import (
    CHART,
    RETAIL,
    app_id,
    expect_bars_in_frame,
    expect_blocked,
    expect_state,
    frame_in,
    host_page,
    products_of,
    sign_in,
)

if TYPE_CHECKING:
    from browserkit import Tabs

    from browser.worlds import Site

pytestmark = pytest.mark.real_client

PAGE = "/t/acme/page.html"
STYLE = "<style>iframe { display: block; width: 640px; height: 320px }</style>"


def single(site: Site, **parameters: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in {"appid": app_id(RETAIL), "obj": CHART, **parameters}.items())
    return f"{site.acme.origin}/single/?{query}"


def sheet(site: Site) -> str:
    return f"{site.acme.origin}/sense/app/{app_id(RETAIL)}/sheet/overview/state/analysis"


def test_an_old_frame_on_both_paths(site: Site, tabs: Tabs, path: str, cookies: str) -> None:
    site.on_path(path)
    frame = f'<iframe id="old" title="Sales" class="wide" data-bridge-src="{single(site, opt="ctxmenu")}"></iframe>'
    site.front.put(PAGE, host_page(frame, head=STYLE))
    page = tabs(cookies)

    sign_in(page, site, "alice", PAGE)

    count = len(products_of(site, "alice"))
    if path == "oauth":
        expect_state(page, path, "ready")
        expect(page.locator("#old.wide qlik-embed svg rect")).to_have_count(count)
        assert page.locator("iframe").count() == 0
    elif cookies == "allowed":
        expect_state(page, path, "ready")
        expect_bars_in_frame(frame_in(page, "#old"), "body", count)
    else:
        expect_blocked(page)
        assert page.locator("iframe[src]").count() == 0, "no frame was sent to a sign-in page"


def test_a_sheet_of_an_app_on_both_paths(site: Site, tabs: Tabs, path: str) -> None:
    site.on_path(path)
    frame = f'<iframe id="old" title="Sales" data-bridge-src="{sheet(site)}"></iframe>'
    site.front.put(PAGE, host_page(frame, head=STYLE))
    page = tabs("allowed" if path == "jwt" else "blocked")

    sign_in(page, site, "alice", PAGE)

    expect_state(page, path, "ready")
    place = "#old" if path == "jwt" else "#old iframe"
    expect_bars_in_frame(frame_in(page, place), "body", len(products_of(site, "alice")))


def test_what_cannot_be_mapped_is_said(site: Site, tabs: Tabs) -> None:
    site.stage("oauth")
    listen = """<script>
      window.frames_seen = [];
      document.addEventListener("bridge:frame", (event) => frames_seen.push(event.detail));
    </script>"""
    frame = f'<iframe id="old" title="Sales" data-bridge-src="{single(site, snapshot="monday")}"></iframe>'
    site.front.put(PAGE, host_page(frame, head=listen))
    page = tabs("blocked")

    sign_in(page, site, "alice", PAGE)

    page.wait_for_function("frames_seen.length === 1")
    assert [each["name"] for each in page.evaluate("frames_seen[0].unmapped")] == ["snapshot"]


def test_a_bare_frame_of_the_tenant_needs_its_cookies(site: Site, tabs: Tabs, cookies: str) -> None:
    """Without the bridge: what companies have today, and what becomes of it."""
    site.front.put(PAGE, host_page('<iframe id="bare" title="Sales"></iframe>', head=STYLE))
    page = tabs(cookies)
    sign_in(page, site, "alice", PAGE)
    page.wait_for_selector('html[data-bridge-state="ready"], html[data-bridge-state="cookies-blocked"]')

    page.locator("#bare").evaluate("(frame, address) => { frame.src = address }", single(site))

    if cookies == "allowed":
        expect_bars_in_frame(frame_in(page, "#bare"), "body", len(products_of(site, "alice")))
    else:
        expect(page.frame_locator("#bare").locator("body")).to_contain_text("Sign in")
