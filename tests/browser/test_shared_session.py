"""A page's own @qlik/api beside its embeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.kit import expect_bars, products_of, sign_in

if TYPE_CHECKING:
    from browserkit import Tabs

    from browser.worlds import Site

pytestmark = pytest.mark.real_client

PAGE = "/shared-session.html"


def test_qlik_api_joins_the_session_of_the_embeds(tls_site: Site, tabs: Tabs) -> None:
    """It names no host and no proof; those of the embeds' script tag hold for it too."""
    tls_site.stage("oauth")
    tls_site.front.put(PAGE, (Path(__file__).parent / "pages" / "shared-session.html").read_text())
    page = tabs("blocked")
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))

    sign_in(page, tls_site, "alice", PAGE)

    expect(page.locator("body")).to_have_attribute("data-reader", "alice")
    expect_bars(page.locator("qlik-embed"), len(products_of(tls_site, "alice")))
    assert [socket["user"] for socket in tls_site.acme.state()["sockets"]] == ["alice"]
    assert not problems
