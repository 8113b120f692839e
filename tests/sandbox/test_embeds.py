"""What a tenant's main.js mounts, with Qlik's own components, in a real Chromium on a page of another site."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from browser.kit import BARS, PATIENCE_MS, app_id, expect_bars, expect_bars_in_frame, frame_in, names_in
from browserkit import running_browsers
from clients.harness import Tenant, go_without
from playwright.sync_api import expect
from storykit import free_ports, running_sandbox, served

from bridge.sandbox import front_end, front_end_build
from sandbox.embed_kit import HostPage, embed, sockets, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browserkit import Browsers
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.real_client

RETAIL = "Retail sales"
NOWHERE = "00000000-0000-0000-0000-000000000000"
CHART = {"object_id": "sales-by-product"}
UNSEEN = "is not there, or it is on somebody else's private sheet."


@pytest.fixture(scope="module")
def host() -> Iterator[HostPage]:
    if front_end_build.why_not():
        go_without("the sandbox's front end")
    port, acme, globex = free_ports(3)
    page = HostPage(port, Tenant(f"http://127.0.0.1:{acme}"))
    with running_sandbox(acme, globex, page.origin), served(page, port, "localhost"):
        yield page


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    expect.set_options(timeout=PATIENCE_MS)
    with running_browsers(chromium, tmp_path_factory.mktemp("browsers")) as browsers:
        yield browsers


@pytest.fixture(autouse=True)
def _as_new(host: HostPage) -> None:
    host.tenant.reset()
    for name in ("alice", "erin"):
        host.tenant.sign_in(name)
    host.who, host.tokens = "alice", 0


@pytest.fixture
def tab(browser: Browsers) -> Iterator[Page]:
    """A tab that third parties get no cookies from; a page error in it fails the test."""
    page = browser("blocked").new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


def rows(host: HostPage, who: str = "alice") -> list[dict[str, Any]]:
    """Return the rows of the retail app that section access opens to a person."""
    app = host.tenant.one("apps", name=RETAIL)
    groups = {"*", *host.tenant.one("people", name=who)["groups"]}
    rules = [rule for rule in app["section_access"] if rule["group"] in groups]
    return [row for row in app["rows"] if any(rule["value"] in {"*", row[rule["field"]]} for rule in rules)]


def values(host: HostPage, name: str, **where: str) -> set[str]:
    found = [row for row in rows(host) if where.items() <= row.items()]
    return {row[name] for row in found}


def root(tab: Page, name: str = "one") -> Locator:
    return tab.locator(f"#{name} > .qlik-embed-root")


def show(host: HostPage, tab: Page, *content: str, style: str = "") -> None:
    host.put(*content, style=style)
    tab.goto(host.origin)


class TestDrawn:
    def test_every_ui_with_one_token_and_no_cookie(self, host: HostPage, tab: Page) -> None:
        show(
            host,
            tab,
            embed("analytics/chart", name="chart", **CHART),
            embed("analytics/chart", name="figure", object_id="total-sales"),
            embed("analytics/sheet", name="sheet", sheet_id="overview"),
            embed("analytics/field", name="field", field_id="Product"),
            embed("analytics/selections", name="bar"),
            embed("classic/chart", name="classic", **CHART),
            embed("classic/app", name="app", sheet_id="overview"),
        )
        products = values(host, "Product")
        total = f"{sum(row['Sales'] for row in rows(host)):,}"
        assert len(products) == 5
        expect_bars(tab.locator("#chart"), len(products))
        expect(tab.locator("#figure")).to_contain_text(total)
        expect_bars(tab.locator("#sheet"), len(products))
        expect(tab.locator("#sheet")).to_contain_text(total)
        for product in products:
            expect(tab.locator("#field")).to_contain_text(product)
        expect(tab.locator("#bar button").first).to_be_attached()
        expect(tab.locator("#classic svg rect.bar")).to_have_count(len(products))
        tab.locator("#app iframe").scroll_into_view_if_needed()  # browsers draw no foreign frame that nobody sees
        expect_bars_in_frame(frame_in(tab, "#app iframe"), "body", len(products))
        assert host.tokens == 1
        assert {each["how"] for each in sockets(host.tenant)} == {"accessToken"}

    def test_with_cookies_where_they_are_allowed(self, host: HostPage, browser: Browsers) -> None:
        integration = host.tenant.all("web_integrations")[0]["id"]
        login = {"jwt": host.tenant.login_jwt(host.tenant.one("people", name="alice")), "integration": integration}
        host.put(web_integration_id=integration)
        tab = browser("allowed").new_page()
        tab.goto(host.origin)
        tab.evaluate(
            """async ([tenant, {jwt, integration}]) => fetch(`${tenant}/login/jwt-session`, {
              method: "POST", credentials: "include",
              headers: {authorization: `Bearer ${jwt}`, "qlik-web-integration-id": integration},
            }).then((answer) => answer.ok)""",
            [host.tenant.url, login],
        )
        add = "(main, html) => main.insertAdjacentHTML('beforeend', html)"
        tab.locator("main").evaluate(add, embed("analytics/chart", **CHART))
        expect_bars(tab.locator("#one"), 5)
        assert [(each["how"], each["user"]) for each in sockets(host.tenant)] == [("cookie", "alice")]
        tab.close()

    def test_on_the_fly_by_titles_fields_and_expressions(self, host: HostPage, tab: Page) -> None:
        titles = {"dimensions": '["[Product line]"]', "measures": '["Total sales"]'}
        plain = {"dimensions": '["Region"]', "measures": '["=Sum(Margin)"]'}
        show(
            host,
            tab,
            embed("analytics/chart", name="titles", type="barchart", **titles),
            embed("analytics/chart", name="plain", type="bar-chart", **plain),
            embed("analytics/chart", name="figure", type="kpi", measures='["Total sales"]'),
        )
        expect_bars(tab.locator("#titles"), len(values(host, "Product")))
        expect(tab.locator("#titles")).to_contain_text("Product line")
        expect(tab.locator("#titles")).to_contain_text("Total sales")
        expect_bars(tab.locator("#plain"), len(values(host, "Region")))
        expect(tab.locator("#figure")).to_contain_text(f"{sum(row['Sales'] for row in rows(host)):,}")

    def test_another_attribute_draws_anew(self, host: HostPage, tab: Page) -> None:
        one = embed("analytics/chart", type="barchart", dimensions='["Region"]', measures='["Total sales"]')
        show(host, tab, one)
        expect_bars(tab.locator("#one"), len(values(host, "Region")))
        change = "(element, [name, value]) => element.setAttribute(name, value)"
        tab.locator("#one").evaluate(change, ["dimensions", '["Product"]'])
        expect_bars(tab.locator("#one"), len(values(host, "Product")))
        tab.locator("#one").evaluate(change, ["type", "kpi"])
        expect(tab.locator("#one canvas")).to_have_count(0)
        expect(tab.locator("#one")).to_contain_text("Total sales")
        assert tab.locator("#one > .qlik-embed-root").count() == 1

    def test_a_selection_in_a_field_reaches_every_chart_of_the_app(self, host: HostPage, tab: Page) -> None:
        show(
            host,
            tab,
            embed("analytics/field", name="field", field_id="Region"),
            embed("analytics/selections", name="bar"),
            embed("analytics/chart", name="chart", **CHART),
            embed("classic/chart", name="classic", **CHART),
        )
        expect_bars(tab.locator("#chart"), len(values(host, "Product")))
        tab.locator("#field").get_by_text("Online", exact=True).click()
        left = len(values(host, "Product", Region="Online"))
        assert left == 2
        expect_bars(tab.locator("#chart"), left)
        expect(tab.locator("#classic svg rect.bar")).to_have_count(left)
        expect(tab.locator("#bar")).to_contain_text("Region")

    @pytest.mark.parametrize("field", ['<field name="Region" values="Online">', '<field name="Region" match="Onl*">'])
    def test_initial_selections(self, host: HostPage, tab: Page, field: str) -> None:
        first = f'<qlik-initial-selections app-id="{app_id(RETAIL)}">{field}</field></qlik-initial-selections>'
        show(host, tab, first, embed("analytics/chart", **CHART))
        expect_bars(tab.locator("#one"), len(values(host, "Product", Region="Online")))

    def test_the_reference_leads_to_the_real_model(self, host: HostPage, tab: Page) -> None:
        show(host, tab, embed("analytics/chart", **CHART))
        assert names_in(tab.locator("#one")) == values(host, "Product")
        ask = "async (element) => (await (await element.getRefApi()).getObject()).id"
        assert tab.locator("#one").evaluate(ask) == "sales-by-product"

    def test_ones_own_private_chart(self, host: HostPage, tab: Page) -> None:
        host.who = "erin"
        show(host, tab, embed("analytics/chart", object_id="draft-chart"))
        expect_bars(tab.locator("#one"), len({row["City"] for row in rows(host, "erin")}))


class TestLook:
    def test_a_chart_follows_the_size_of_its_place(self, host: HostPage, tab: Page) -> None:
        show(host, tab, embed("analytics/chart", **CHART), embed("classic/chart", name="classic", **CHART))
        expect_bars(tab.locator("#one"), 5)
        expect(tab.locator("#classic svg")).to_have_attribute("width", "640")
        tab.add_style_tag(content=".box { width: 420px }")
        widths = "[...host.querySelectorAll('canvas')].map((canvas) => canvas.offsetWidth)"
        narrow = f"host => ({BARS})(host) === 5 && Math.max(...{widths}) <= 420"
        tab.wait_for_function(narrow, arg=tab.locator("#one").element_handle(), timeout=PATIENCE_MS)
        expect(tab.locator("#classic svg")).to_have_attribute("width", "420")

    def test_a_narrow_sheet_shows_its_charts_below_each_other(self, host: HostPage, tab: Page) -> None:
        show(host, tab, embed("analytics/sheet", sheet_id="overview"))
        lefts = """() => new Set([...document.querySelectorAll("#one .qlik-embed-root > div > div")]
          .map((box) => box.getBoundingClientRect().left)).size"""
        expect(root(tab)).to_have_attribute("data-ready", "1")
        assert tab.evaluate(lefts) == 2
        tab.add_style_tag(content=".box { width: 320px }")
        tab.wait_for_function(f"({lefts})() === 1")

    def test_a_place_without_a_height_gets_one(self, host: HostPage, tab: Page) -> None:
        show(host, tab, embed("analytics/chart", **CHART), style=".box { height: auto }")
        expect_bars(tab.locator("#one"), 5)
        size = root(tab).bounding_box()
        assert size is not None
        assert size["height"] > 200

    @pytest.mark.parametrize(
        ("page", "theme", "ground"),
        [
            ("white", "", "rgba(0, 0, 0, 0)"),
            ("white", "dark", "rgb(50, 50, 50)"),
            ("oklch(0.2 0 0)", "dark", "rgba(0, 0, 0, 0)"),
            ("#111", "", "rgb(255, 255, 255)"),
        ],
    )
    def test_texts_can_be_read_whatever_the_page(
        self, host: HostPage, tab: Page, page: str, theme: str, ground: str
    ) -> None:
        themed = {"theme": theme} if theme else {}
        one = embed("analytics/chart", object_id="total-sales", **themed)
        two = embed("classic/chart", name="classic", **CHART, **themed)
        show(host, tab, one, two, style=f"body {{ background: {page} }}")
        for name in ("one", "classic"):
            expect(root(tab, name)).to_have_attribute("data-ready", "1")
            expect(root(tab, name)).to_have_css("background-color", ground)
        ink = "#ffffff" if theme else "#404040"
        expect(tab.locator("#classic svg")).to_have_attribute("fill", ink)

    def test_a_theme_that_changes_is_followed(self, host: HostPage, tab: Page) -> None:
        show(host, tab, embed("analytics/chart", **CHART))
        expect_bars(tab.locator("#one"), 5)
        tab.locator("#one").evaluate("(element) => element.setAttribute('theme', 'dark')")
        expect(root(tab)).to_have_css("background-color", "rgb(50, 50, 50)")
        expect_bars(tab.locator("#one"), 5)


class TestRefused:
    def test_what_cannot_be_shown_is_said_where_it_would_stand(self, host: HostPage, tab: Page) -> None:
        """One refusal holds for its element alone."""
        refusals = [
            (f"This chart {UNSEEN}", embed("analytics/chart", name="a", object_id="nope")),
            (f"This chart {UNSEEN}", embed("analytics/chart", name="b", object_id="draft-chart")),
            (f"This chart {UNSEEN}", embed("classic/chart", name="c", object_id="draft-chart")),
            (f"This sheet {UNSEEN}", embed("analytics/sheet", name="d", sheet_id="drafts")),
            ("This element names no chart", embed("analytics/chart", name="e")),
            ('does not draw charts of the type "treemap"', embed("analytics/chart", name="f", type="treemap")),
            ("You may not open this app.", embed("analytics/chart", "Pipeline", name="g", **CHART)),
            ("This app is not there.", embed("analytics/chart", name="h", **CHART).replace(app_id(RETAIL), NOWHERE)),
        ]
        show(host, tab, *(element for _, element in refusals), embed("analytics/chart", **CHART))
        for name, (words, _) in zip("abcdefgh", refusals, strict=True):
            expect(root(tab, name).get_by_role("alert")).to_contain_text(words)
            expect(root(tab, name)).to_have_attribute("data-ready", "0")
        expect_bars(tab.locator("#one"), 5)
        heard = tab.evaluate("heard")
        assert sorted(heard) == [*(f"fatalerror {name}" for name in "abcdefgh"), "ready one"]

    def test_a_ui_that_is_not_there(self, host: HostPage, tab: Page) -> None:
        show(host, tab, embed("ai/assistant", assistant_id="x"))
        expect(root(tab)).to_contain_text('The sandbox tenant does not draw "ai/assistant".')
        assert tab.evaluate("heard") == ["ready one"]


class TestSessions:
    def test_another_app_and_no_app(self, host: HostPage, tab: Page) -> None:
        show(host, tab, embed("analytics/chart", **CHART))
        expect_bars(tab.locator("#one"), 5)
        tab.locator("#one").evaluate("(element, app) => element.setAttribute('app-id', app)", app_id("Ledger"))
        expect_bars(tab.locator("#one"), 4)
        tab.locator("#one").evaluate("(element) => element.remove()")
        until(lambda: not sockets(host.tenant), "both websockets closed, some seconds after their last embed")

    def test_a_lost_connection_is_said_and_can_be_had_again(self, host: HostPage, tab: Page) -> None:
        show(host, tab, embed("analytics/chart", **CHART))
        expect_bars(tab.locator("#one"), 5)
        host.tenant.control("POST", "sockets/close", {"code": 4001})
        expect(root(tab).get_by_role("alert")).to_contain_text("The session ended because nothing happened")
        tab.get_by_role("button", name="Connect again").click()
        expect(root(tab).get_by_role("alert")).to_have_count(0)
        until(lambda: len(sockets(host.tenant)) == 1, "a new websocket")
        expect_bars(tab.locator("#one"), 5)

    def test_a_session_that_resumes_by_itself_says_nothing(self, host: HostPage, tab: Page) -> None:
        show(host, tab, embed("analytics/chart", **CHART))
        expect_bars(tab.locator("#one"), 5)
        known = {each["opened_at"] for each in sockets(host.tenant)}
        host.tenant.control("POST", "sockets/close", {"code": 4003})
        until(lambda: bool({each["opened_at"] for each in sockets(host.tenant)} - known), "a new websocket")
        assert root(tab).get_by_role("alert").count() == 0
        assert names_in(tab.locator("#one")) == values(host, "Product")


class TestUnbuilt:
    """The script that stands in where there is no front end."""

    WHY = "No charts: there is no Node.js here."

    def test_in_place_of_the_components(self, host: HostPage, tab: Page) -> None:
        host.html = f"<!doctype html><script>{front_end._excuse(self.WHY)}</script>{embed('analytics/chart')}"
        tab.goto(host.origin)
        expect(tab.locator("#one")).to_have_text(self.WHY)

    def test_in_place_of_the_runtime(self, host: HostPage, tab: Page) -> None:
        host.put(embed("analytics/chart"))
        tab.route(
            re.compile("/qlik-embed/main.js"),
            lambda route: route.fulfill(body=front_end._excuse(self.WHY), content_type="text/javascript"),
        )
        tab.goto(host.origin)
        expect(tab.locator("#one")).to_have_text(self.WHY)
