"""What may go wrong while a page is open: tokens refused and expired, a tenant in trouble, sockets closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from browser.front import SeededTrouble
from browser.kit import (
    CHART,
    TOKEN_CALL,
    chart,
    expect_bars,
    expect_state,
    host_page,
    names_in,
    products_of,
    sign_in,
    sockets_of,
    wait_for_new_socket,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Open
    from browser.worlds import Site

pytestmark = pytest.mark.real_client

PAGE = "/t/acme/page.html"
HOURS_S = 3600

WITH_QLIKS_CLIENT = """
async ({ rounds, path }) => {
  // Qlik's own modules, as the tenant's main.js has them; each call is refused once, so each needs a token again.
  const { invokeFetch } = await QlikMain.import("invoke-fetch@v1");
  const outcomes = [];
  for (let round = 0; round < rounds; round += 1) {
    const call = { method: "GET", pathTemplate: path, options: { hostConfig: qlikBridge.hostConfig, noCache: true } };
    const answer = await invokeFetch("test", call).catch((error) => error);
    outcomes.push(answer.status ?? String(answer));
  }
  return outcomes;
}
"""


def opened(site: Site, tabs: Open, who: str = "alice", *content: str) -> Page:
    """Return a page of the new path that has drawn its chart, and is marked so that a reload shows."""
    site.stage("oauth")
    site.front.put(PAGE, host_page(*(content or (chart(),))))
    page = tabs("blocked")
    sign_in(page, site, who, PAGE)
    expect_bars(page.locator("qlik-embed").first, len(products_of(site, who)))
    page.evaluate("window.stillTheSame = true")
    return page


def expect_to_resume(page: Page, site: Site, who: str = "alice") -> None:
    """Close the page's websockets; wait for a new one, and see that the same page answers with this person's rows."""
    known = sockets_of(site, who)
    site.acme.control("POST", "sockets/close", {"code": 4003})
    wait_for_new_socket(site, who, known)
    assert names_in(page.locator("qlik-embed").first) == products_of(site, who)
    expect_state(page, "oauth", "ready")
    assert page.evaluate("window.stillTheSame"), "nothing was reloaded"


def test_a_websocket_closed_with_4003_resumes(site: Site, tabs: Open) -> None:
    page = opened(site, tabs)

    expect_to_resume(page, site)
    assert site.front.count(TOKEN_CALL) == 1, "the token was good"


def test_a_token_refused_in_mid_page_is_replaced(site: Site, tabs: Open) -> None:
    page = opened(site, tabs)

    site.acme.control("POST", "tokens/expire", {"user": "alice"})
    expect_to_resume(page, site)
    assert site.front.count(TOKEN_CALL) == 2


def test_an_expired_token_is_replaced(site: Site, tabs: Open) -> None:
    page = opened(site, tabs)

    site.acme.control("POST", "clock", {"offset_s": 7 * HOURS_S})
    expect_to_resume(page, site)
    assert site.front.count(TOKEN_CALL) == 2


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 429, "retry_after": 1}, id="429"),
        pytest.param({"status": 500, "times": 2}, id="500"),
        pytest.param({"latency_ms": 3000}, id="slow"),
        pytest.param({"drop": "before", "times": 2}, id="dropped"),
    ],
)
def test_a_tenant_in_trouble_while_a_token_is_renewed(site: Site, tabs: Open, fault: dict[str, Any]) -> None:
    page = opened(site, tabs)

    site.acme.control("POST", "tokens/expire", {"user": "alice"})
    site.acme.control("POST", "faults", {"endpoint": "/oauth/token", **fault})
    expect_to_resume(page, site)
    assert site.acme.control("GET", "faults").json() == [], "the trouble was met"


def test_eight_embeds_ask_for_one_token(site: Site, tabs: Open) -> None:
    page = opened(site, tabs, "alice", *(chart(id=f"chart-{number}") for number in range(8)))

    for number in range(8):
        expect_bars(page.locator(f"#chart-{number}"), len(products_of(site, "alice")))
    assert site.front.count(TOKEN_CALL) == 1


@pytest.mark.parametrize("load", range(10))
def test_ten_loads_under_seeded_trouble(site: Site, tabs: Open, load: int) -> None:
    """At the bridge, and at the tenant from where the bridge gets its tokens."""
    site.stage("oauth")
    routes = (TOKEN_CALL, "GET /t/acme/session")
    site.front.trouble = SeededTrouble(load, 0.3, *routes)
    site.front.put(PAGE, host_page(chart(), chart(CHART, ui="classic/chart")))
    page = tabs("blocked")

    sign_in(page, site, "alice", PAGE)

    expect_state(page, "oauth", "ready")
    expect_bars(page.locator("qlik-embed").first, len(products_of(site, "alice")))


def test_three_hundred_tokens_of_which_some_fail_once(site: Site, tabs: Open) -> None:
    """By the real auth module: one rejected promise of ours would poison it until the page is loaded again."""
    page = opened(site, tabs)
    trouble = site.front.trouble = SeededTrouble(300, 0.3, TOKEN_CALL)
    refused = "/api/v1/spaces"
    before = site.front.count(TOKEN_CALL)
    site.acme.control("POST", "faults", {"endpoint": refused, "status": 401, "times": 300})

    outcomes = page.evaluate(WITH_QLIKS_CLIENT, {"rounds": 300, "path": refused})

    assert outcomes == [200] * 300
    assert trouble.failures > 60
    assert site.front.count(TOKEN_CALL) - before == 300 + trouble.failures
    expect_to_resume(page, site)
