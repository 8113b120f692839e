"""The tenant's pages for frames: who gets one, who may frame it, and that it draws in a real browser."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import jwt
import pytest
import requests
from browser.kit import expect_bars_in_frame, frame_in
from browserkit import running_browsers, tabs_of
from clients.harness import go_without
from playwright.sync_api import expect
from storykit import Tenant, free_ports, running_sandbox, served
from werkzeug.wrappers import Response

from bridge.sandbox import frames, front_end_build
from sandbox.kit import ACCESS_TOKEN, EXCHANGE, IMPERSONATION, PORTAL, private_key, with_cookies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from browserkit import Browsers
    from playwright.sync_api import Page
    from werkzeug.test import TestResponse

    from sandbox.kit import Sandbox

PAGES = ["/single/?appid=a&obj=b", "/single?appid=a&obj=b", "/sense/app/a", "/sense/app/a/sheet/b/state/analysis"]


def get(acme: Sandbox, path: str, **headers: str) -> TestResponse:
    return acme.call("GET", path, headers=headers, buffered=True)


def exchanged(acme: Sandbox, purpose: str = "webresource") -> str:
    fields = {"client_id": acme.issuing.client_id, "subject_token": acme.token("alice"), "purpose": purpose}
    answer = acme.call(
        "POST",
        "/oauth/token",
        json={"grant_type": EXCHANGE, "subject_token_type": ACCESS_TOKEN, **fields},
        headers={"Origin": PORTAL},
    )
    return str((answer.json or {})["access_token"])


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end_build, "why_not", lambda: "")


@pytest.mark.usefixtures("built")
class TestWhoGetsThePage:
    @pytest.mark.parametrize("path", PAGES)
    def test_whoever_is_signed_in(self, acme: Sandbox, path: str) -> None:
        answer = get(acme, path, **with_cookies(acme.login()))
        assert (answer.status_code, answer.mimetype) == (200, "text/html")
        assert "enigma.min.js" in answer.text

    @pytest.mark.parametrize("path", PAGES)
    def test_nobody_else_and_they_are_sent_to_sign_in(self, acme: Sandbox, path: str) -> None:
        answer = get(acme, path)
        assert answer.status_code == 302
        assert answer.headers["Location"] == f"/login?returnto={quote(path, safe='')}"
        page = get(acme, answer.headers["Location"])
        assert page.status_code == 200
        assert "Sign in to Acme" in page.text
        back = get(acme, answer.headers["Location"], **with_cookies(acme.login()))
        assert (back.status_code, back.headers["Location"]) == (302, path)

    def test_a_script_gets_a_401(self, acme: Sandbox) -> None:
        assert get(acme, PAGES[0], **{"Sec-Fetch-Mode": "cors"}).status_code == 401
        assert get(acme, PAGES[0], **{"Sec-Fetch-Mode": "navigate"}).status_code == 302

    def test_secrets_do_not_travel_to_the_sign_in_page(self, acme: Sandbox) -> None:
        answer = get(acme, "/single/?appid=a&qlik-csrf-token=secret&select=x&select=y")
        assert answer.headers["Location"] == "/login?" + urlencode(
            {"returnto": "/single/?" + urlencode([("appid", "a"), ("select", "x"), ("select", "y")])}
        )

    def test_an_exchanged_token_of_the_right_purpose_will_do(self, acme: Sandbox) -> None:
        assert get(acme, f"/single/?appid=a&obj=b&accessToken=+{exchanged(acme)}%0A").status_code == 200
        cookies = with_cookies(acme.login())
        for wrong in (exchanged(acme, "websocket"), acme.token("alice"), "x", ""):
            answer = get(acme, f"/single/?appid=a&obj=b&accessToken={wrong}", **cookies)
            assert answer.status_code == 401
            assert "You are not signed in" in answer.text

    def test_a_token_ends(self, acme: Sandbox) -> None:
        path = f"/sense/app/a?accessToken={exchanged(acme)}"
        assert get(acme, path).status_code == 200
        acme.clock(61)
        assert get(acme, path).status_code == 401


@pytest.mark.usefixtures("built")
def test_nothing_of_the_address_stands_on_the_page(acme: Sandbox) -> None:
    evil = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    cookies = with_cookies(acme.login())
    for path in (f"/single/?appid={evil}&obj={evil}&select={evil}", f"/sense/app/{evil}/theme/{evil}"):
        assert "alert(1)" not in get(acme, path, **cookies).text
    assert "alert(1)" not in get(acme, f"/single/?accessToken={evil}").text
    assert "<script>alert(1)" not in get(acme, get(acme, f"/single/?appid={evil}").headers["Location"]).text


@pytest.mark.usefixtures("built")
def test_listed_sites_may_frame_them(acme: Sandbox) -> None:
    cookies = with_cookies(acme.login())
    addresses = [*PAGES, "/login", "/single/?accessToken=wrong"]

    def framing() -> set[str]:
        answers = [get(acme, path, **cookies) for path in addresses]
        assert not any("X-Frame-Options" in answer.headers for answer in answers)
        return {answer.headers["Content-Security-Policy"] for answer in answers}

    assert framing() == {f"frame-ancestors 'self' {PORTAL}"}
    acme.api("POST", "/api/v1/csp-origins", json={"origin": "shop.example", "frameAncestors": True})
    acme.api("POST", "/api/v1/csp-origins", json={"origin": "cdn.example", "scriptSrc": True})
    assert framing() == {f"frame-ancestors 'self' {PORTAL} shop.example"}


def test_the_headers_of_a_page_whose_address_holds_a_token(acme: Sandbox) -> None:
    headers = get(acme, f"/single/?accessToken={exchanged(acme)}").headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_without_a_front_end_the_page_says_why(acme: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end_build, "why_not", lambda: "No charts: there is no <Node> here.")
    answer = get(acme, PAGES[0], **with_cookies(acme.login()))
    assert "No charts: there is no &lt;Node&gt; here." in answer.text
    assert "enigma" not in answer.text


def test_the_scripts_of_the_page_are_there_and_nothing_beside_them(acme: Sandbox) -> None:
    for path in sorted(frames.PAGES.glob("*.js")):
        answer = get(acme, f"{frames.MOUNTED}/{path.name}")
        assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
    for name in ("nope.js", "../frames.py", "%2e%2e/frames.py", ""):
        assert get(acme, f"{frames.MOUNTED}/{name}").status_code == 404


# In a real browser, in a page of another site.

HOST_PAGE = '<!doctype html><meta charset="utf-8"><title>A portal</title><h1>A portal</h1>'
FRAMED = """
address => {
  const frame = Object.assign(document.createElement("iframe"), { id: "frame", src: address });
  frame.style.cssText = "width: 900px; height: 600px";
  document.body.append(frame);
}
"""
SIGN_IN = """
async ([address, token]) => {
  const headers = { Authorization: `Bearer ${token}` };
  return (await fetch(address, { method: "POST", credentials: "include", headers })).status;
}
"""
GROUPS = {"alice": ["Finance", "EMEA"], "bob": ["Sales", "AMER"], "carol": []}
PRODUCTS = {"alice": 5, "bob": 4, "carol": 2}
PATIENCE_MS = 30_000


@dataclass
class Portal:
    """A page of another site, and what its server would know of the tenant."""

    tenant: Tenant
    origin: str
    stranger: str

    def app(self, name: str = "Retail sales") -> str:
        return next(str(app["id"]) for app in self.tenant.state()["apps"] if app["name"] == name)

    def assertion(self, who: str) -> str:
        provider = self.tenant.state()["identity_providers"][0]
        now = int(time.time())
        claims = {
            "iss": provider["issuer"],
            "aud": "qlik.api/login/jwt-session",
            "sub": who,
            "subType": "user",
            "name": who,
            "email": f"{who}@example.com",
            "email_verified": True,
            "groups": GROUPS[who],
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now - 5,
            "exp": now + 60,
        }
        key = private_key(provider["private_key"])
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": provider["kid"]})

    def sign_in(self, page: Page, who: str) -> None:
        integration = self.tenant.state()["web_integrations"][0]["id"]
        address = f"{self.tenant.origin}/login/jwt-session?qlik-web-integration-id={integration}"
        assert page.evaluate(SIGN_IN, [address, self.assertion(who)]) == 200

    def frame_token(self, who: str) -> str:
        """Do what a page does on the OAuth path: a token for the person, exchanged for one that frames can use."""
        self.post("/login/jwt-session", headers={"Authorization": f"Bearer {self.assertion(who)}"})
        client = next(each for each in self.tenant.state()["clients"] if each["role"] == "issuing")
        named = {"client_id": client["client_id"]}
        lookup = {"user_lookup": {"field": "subject", "value": who}, "client_secret": client["client_secret"]}
        token = self.post("/oauth/token", json={"grant_type": IMPERSONATION, **named, **lookup})["access_token"]
        asked = {"subject_token": token, "subject_token_type": ACCESS_TOKEN, "purpose": "webresource"}
        headers = {"Origin": self.origin}
        answer = self.post("/oauth/token", json={"grant_type": EXCHANGE, **named, **asked}, headers=headers)
        return str(answer["access_token"])

    def post(self, path: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on to requests
        answer = requests.post(f"{self.tenant.origin}{path}", timeout=20, **options)
        assert answer.ok, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
def running() -> Iterator[Portal]:
    if front_end_build.why_not():
        go_without("the sandbox's front end")
    portal, stranger, acme, globex = free_ports(4)
    origin = f"http://localhost:{portal}"
    page = Response(HOST_PAGE, mimetype="text/html")
    with ExitStack() as servers:
        servers.enter_context(running_sandbox(acme, globex, origin))
        servers.enter_context(served(page, portal))
        servers.enter_context(served(page, stranger, "127.0.0.2"))
        yield Portal(Tenant(f"http://127.0.0.1:{acme}"), origin, f"http://127.0.0.2:{stranger}")


@pytest.fixture
def portal(running: Portal) -> Portal:
    running.tenant.control("POST", "reset")
    return running


@pytest.fixture(scope="module")
def browsers(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    with running_browsers(chromium, tmp_path_factory.mktemp("browsers")) as browsers:
        yield browsers


@pytest.fixture
def tab(portal: Portal, browsers: Browsers) -> Iterator[Callable[..., Page]]:
    """Opens a page of another site."""
    with tabs_of(browsers) as tabs:

        def start(cookies: str, origin: str = "") -> Page:
            page = tabs(cookies)
            page.set_default_timeout(PATIENCE_MS)
            page.goto(origin or portal.origin)
            return page

        yield start


def show(page: Page, portal: Portal, path: str) -> None:
    page.evaluate(FRAMED, f"{portal.tenant.origin}{path}")


def expect_text(page: Page, text: str) -> None:
    expect(page.frame_locator("#frame").locator("body")).to_contain_text(text, timeout=PATIENCE_MS)


def expect_ready(page: Page, ready: str = "1") -> None:
    body = page.frame_locator("#frame").locator("body")
    expect(body).to_have_attribute("data-ready", ready, timeout=PATIENCE_MS)


real = pytest.mark.real_client
both = pytest.mark.parametrize("cookies", ["allowed", "blocked"])


@real
@pytest.mark.parametrize("who", ["alice", "bob"])
def test_with_cookies_allowed_a_session_draws_the_persons_own_rows(
    portal: Portal, tab: Callable[..., Page], who: str
) -> None:
    page = tab("allowed")
    portal.sign_in(page, who)
    show(page, portal, f"/single/?appid={portal.app()}&obj=sales-by-product%0A++&opt=ctxmenu,currsel++")
    expect_bars_in_frame(frame_in(page, "#frame"), "#content", PRODUCTS[who])
    assert {(each["user"], each["how"]) for each in portal.tenant.state()["sockets"]} == {(who, "cookie")}


@real
def test_with_cookies_blocked_a_session_ends_at_the_sign_in_page(portal: Portal, tab: Callable[..., Page]) -> None:
    page = tab("blocked")
    portal.sign_in(page, "alice")
    show(page, portal, f"/single/?appid={portal.app()}&obj=sales-by-product")
    expect_text(page, "Sign in to Acme")
    assert portal.tenant.state()["sockets"] == []


@real
@both
def test_a_token_draws_either_way(portal: Portal, tab: Callable[..., Page], cookies: str) -> None:
    page = tab(cookies)
    show(page, portal, f"/sense/app/{portal.app()}?accessToken={portal.frame_token('bob')}")
    expect_bars_in_frame(frame_in(page, "#frame"), "#content", PRODUCTS["bob"])
    expect_ready(page)
    assert {(each["user"], each["how"]) for each in portal.tenant.state()["sockets"]} == {("bob", "accessToken")}


@real
@both
def test_a_site_that_is_not_listed_gets_no_frame(portal: Portal, tab: Callable[..., Page], cookies: str) -> None:
    page = tab(cookies, portal.stranger)
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        show(page, portal, f"/sense/app/{portal.app()}?accessToken={portal.frame_token('alice')}")
    assert portal.tenant.state()["sockets"] == []


@real
def test_the_sheets_of_an_app_are_chosen_without_another_token(portal: Portal, tab: Callable[..., Page]) -> None:
    page = tab("blocked")
    show(
        page,
        portal,
        f"/sense/app/{portal.app()}/sheet/details/state/analysis?accessToken={portal.frame_token('alice')}",
    )
    sheets = page.frame_locator("#frame").get_by_role("navigation", name="Sheets").get_by_role("link")
    expect(sheets).to_have_text(["Overview", "Details"], timeout=PATIENCE_MS)
    expect(sheets.nth(1)).to_have_attribute("aria-current", "page")
    expect_text(page, "Sales by month")
    portal.tenant.control("POST", "clock", {"offset_s": 120})

    sheets.nth(0).click()

    expect_text(page, "Sales by product")
    expect_bars_in_frame(frame_in(page, "#frame"), "#content", PRODUCTS["alice"])
    expect(sheets.nth(0)).to_have_attribute("aria-current", "page")


@real
def test_the_address_selects(portal: Portal, tab: Callable[..., Page]) -> None:
    page = tab("allowed")
    portal.sign_in(page, "alice")
    query = "&select=clearall&select=Region,EMEA&select=Product,Cocoa,Espresso&opt=currsel&theme=dark&lang=de-DE"
    show(page, portal, f"/single/?appid={portal.app()}&obj=sales-by-product{query}")
    expect_bars_in_frame(frame_in(page, "#frame"), "#content", 2)
    expect(page.frame_locator("#frame").locator("#selections")).to_contain_text("EMEA")
    expect(page.frame_locator("#frame").locator("html.dark")).to_have_attribute("lang", "de-DE")

    app = f"/sense/app/{portal.app()}/sheet/overview/state/analysis/options/clearselections"
    page.locator("#frame").evaluate("frame => frame.remove()")
    show(page, portal, f"{app}/select/Product/Cocoa;Espresso;Green%20tea/theme/horizon")
    expect_bars_in_frame(frame_in(page, "#frame"), "#content", 3)


@real
def test_what_cannot_be_shown_is_said_in_words(portal: Portal, tab: Callable[..., Page]) -> None:
    page = tab("allowed")
    portal.sign_in(page, "carol")
    retail = portal.app()
    said = {
        f"/single/?appid={portal.app('Ledger')}&obj=sales-by-product": "You may not open this app.",
        "/sense/app/nowhere": "This app is not there.",
        f"/single/?appid={retail}&sheet=drafts": "This sheet is not there",
        f"/sense/app/{retail}/sheet/sales-by-product/state/analysis": "This sheet is not there",
        f"/single/?appid={retail}&obj=draft-chart": "This chart is not there",
        f"/single/?appid={retail}": "names no chart and no sheet",
        f"/single/?appid={retail}&snapshot=monday": "Snapshots cannot be shown",
        "/single/?appid=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E&obj=x": "This app is not there.",
    }
    for path, text in said.items():
        show(page, portal, path)
        expect_text(page, text)
        expect_ready(page, "0")
        page.locator("#frame").evaluate("frame => frame.remove()")


@real
def test_what_the_app_has_not_is_said_and_the_rest_is_drawn(portal: Portal, tab: Callable[..., Page]) -> None:
    page = tab("allowed")
    portal.sign_in(page, "carol")
    query = "obj=total-sales&select=Nope,1&select=Other::Region,EMEA&bookmark=monday&select=%3Cb%3Ebold,1"
    show(page, portal, f"/single/?appid={portal.app()}&{query}")
    expect_ready(page)
    for text in (
        "Could not select 1 in Nope.",
        "no alternate state Other",
        "The bookmark monday is not there",
        "Could not select 1 in <b>bold.",
    ):
        expect_text(page, text)


@real
def test_a_lost_connection_is_said(portal: Portal, tab: Callable[..., Page]) -> None:
    page = tab("allowed")
    portal.sign_in(page, "alice")
    show(page, portal, f"/single/?appid={portal.app()}&obj=sales-by-product")
    expect_ready(page)
    portal.tenant.control("POST", "sockets/close", {"code": 4001})
    expect_text(page, "The session ended because nothing happened for a while.")
    expect_ready(page, "0")


@real
def test_a_token_that_may_not_open_the_engine_is_said(portal: Portal, tab: Callable[..., Page]) -> None:
    portal.tenant.control("POST", "switches", {"webresource_opens_engine": "no"})
    page = tab("blocked")
    show(page, portal, f"/single/?appid={portal.app()}&obj=total-sales&accessToken={portal.frame_token('alice')}")
    expect_text(page, "The connection to the app did not come about")
    expect_ready(page, "0")
