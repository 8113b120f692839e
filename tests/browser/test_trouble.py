"""What may go wrong while a page is open: tokens refused and expired, a tenant in trouble, sockets closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from browser.front import SeededTrouble
from browser.kit import (
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
    from browserkit import Tabs
    from playwright.sync_api import Page

    from browser.worlds import Site

pytestmark = pytest.mark.real_client

PAGE = "/t/acme/page.html"
ROUNDS = 300
HOURS_S = 3600

WITH_QLIKS_CLIENT = """
async (rounds) => {
  // A tenant that refuses each call once, as one that ended the token: so each call needs a token again.
  let calls = 0;
  const { fetch } = window;
  window.fetch = async (address, options) => {
    if (!String(address).includes("/api/v1/refusing")) return fetch(address, options);
    calls += 1;
    return Response.json({}, { status: calls % 2 ? 401 : 200 });
  };
  // Qlik's own modules, as the tenant's main.js has them.
  const { invokeFetch } = await QlikMain.import("invoke-fetch@v1");
  const outcomes = [];
  for (let round = 0; round < rounds; round += 1) {
    const options = { hostConfig: qlikBridge.hostConfig, noCache: true };
    const call = { method: "GET", pathTemplate: "/api/v1/refusing", options };
    const answer = await invokeFetch("test", call).catch((error) => error);
    outcomes.push(answer.status ?? String(answer));
  }
  return outcomes;
}
"""


def opened(site: Site, tabs: Tabs, who: str = "alice", *content: str, slug: str = "acme") -> Page:
    """Return a page of the new path that has drawn its chart, and is marked so that a reload shows."""
    site.stage("oauth", slug=slug)
    site.front.put(page_of(slug), host_page(*(content or (chart(slug=slug),))))
    page = tabs("blocked")
    sign_in(page, site, who, page_of(slug))
    expect_bars(page.locator("qlik-embed").first, len(products_of(site, who, slug)))
    page.evaluate("window.stillTheSame = true")
    return page


def page_of(slug: str) -> str:
    return f"/t/{slug}/page.html"


def expect_to_resume(page: Page, site: Site, who: str = "alice", slug: str = "acme") -> None:
    """Close the page's websockets; wait for a new one, and see that the same page answers with this person's rows."""
    tenant = site.tenant(slug)
    known = sockets_of(tenant, who)
    tenant.control("POST", "sockets/close", {"code": 4003})
    wait_for_new_socket(tenant, who, known)
    assert names_in(page.locator("qlik-embed").first) == products_of(site, who, slug)
    expect_state(page, "oauth", "ready")
    assert page.evaluate("window.stillTheSame"), "nothing was reloaded"


def test_a_websocket_closed_with_4003_resumes(site: Site, tabs: Tabs) -> None:
    page = opened(site, tabs)

    expect_to_resume(page, site)
    assert site.front.count(TOKEN_CALL) == 1, "the token was good"


# Each of the following has a person of its own: the bridge replaces a token at most once a minute and person.


def test_a_token_refused_in_mid_page_is_replaced(site: Site, tabs: Tabs) -> None:
    page = opened(site, tabs, "alice")

    site.acme.control("POST", "tokens/expire", {"user": "alice"})

    expect_to_resume(page, site, "alice")
    assert site.front.count(TOKEN_CALL) == 2


def test_an_expired_token_is_replaced(site: Site, tabs: Tabs) -> None:
    page = opened(site, tabs, "bob")

    site.acme.control("POST", "clock", {"offset_s": 7 * HOURS_S})

    expect_to_resume(page, site, "bob")
    assert site.front.count(TOKEN_CALL) == 2


@pytest.mark.parametrize(
    ("who", "slug", "fault"),
    [
        pytest.param("carol", "acme", {"status": 429, "retry_after": 1}, id="429"),
        pytest.param("erin", "acme", {"status": 500, "times": 2}, id="500"),
        pytest.param("alice", "globex", {"latency_ms": 3000}, id="slow"),
        pytest.param("bob", "globex", {"drop": "before", "times": 2}, id="dropped"),
    ],
)
def test_a_tenant_in_trouble_while_a_token_is_renewed(
    site: Site, tabs: Tabs, who: str, slug: str, fault: dict[str, Any]
) -> None:
    page = opened(site, tabs, who, slug=slug)
    tenant = site.tenant(slug)

    tenant.control("POST", "tokens/expire", {"user": who})
    tenant.control("POST", "faults", {"endpoint": "/oauth/token", **fault})

    expect_to_resume(page, site, who, slug)
    assert tenant.control("GET", "faults").json() == [], "the trouble was met"


def test_eight_embeds_ask_for_one_token(site: Site, tabs: Tabs) -> None:
    page = opened(site, tabs, "alice", *(chart(id=f"chart-{number}") for number in range(8)))

    for number in range(8):
        expect_bars(page.locator(f"#chart-{number}"), len(products_of(site, "alice")))
    assert site.front.count(TOKEN_CALL) == 1


@pytest.mark.parametrize("load", range(10))
def test_ten_loads_under_seeded_trouble(site: Site, tabs: Tabs, load: int) -> None:
    """At the bridge, and at the tenant from where the bridge gets its tokens."""
    site.stage("oauth")
    site.front.trouble = SeededTrouble(load, 0.3, TOKEN_CALL, "GET /t/acme/session")
    site.front.put(PAGE, host_page(chart(), chart(ui="classic/chart")))
    page = tabs("blocked")

    sign_in(page, site, "alice", PAGE)

    expect_state(page, "oauth", "ready")
    expect_bars(page.locator("qlik-embed").first, len(products_of(site, "alice")))


def test_three_hundred_tokens_of_which_some_fail_once(site: Site, tabs: Tabs) -> None:
    """By the real auth module: one rejected promise of ours would poison it until the page is loaded again."""
    page = opened(site, tabs)
    trouble = site.front.trouble = SeededTrouble(300, 0.3, TOKEN_CALL)
    before = site.front.count(TOKEN_CALL)
    page.evaluate("Math.random = () => 0.05")  # short pauses between attempts

    outcomes = page.evaluate(WITH_QLIKS_CLIENT, ROUNDS)

    assert outcomes == [200] * ROUNDS
    assert trouble.failures > ROUNDS / 5
    assert site.front.count(TOKEN_CALL) - before == ROUNDS + trouble.failures
    expect_to_resume(page, site)
