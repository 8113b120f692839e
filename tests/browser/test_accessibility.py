"""axe-core over every page that we serve, light and wide, dark and narrow, charts included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
import requests
from playwright.sync_api import expect

from browser.conftest import picture
from browser.kit import CHART, expect_bars, expect_state, products_of, reload_until, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from browserkit import Tabs
    from playwright.sync_api import Frame, Page, ViewportSize

    from browser.worlds import Site

pytestmark = pytest.mark.real_client

LOOKS: list[tuple[Literal["light", "dark"], str, ViewportSize]] = [
    ("light", "wide", {"width": 1280, "height": 900}),
    ("dark", "narrow", {"width": 360, "height": 740}),
]
BAR_CHART = f'qlik-embed[ui="analytics/chart"][object-id="{CHART}"]'
NEBULA = ".njs-cell"
OF_NEBULA = {"aria-prohibited-attr", "heading-order", "label-content-name-mismatch"}
"""What the markup of Qlik's own nebula.js breaks around each chart, here and at a real tenant: labels on its empty
boxes and on its axis buttons, and titles that are always of the sixth level. Every other rule holds in charts too."""
RUN = """
async ([nebula, excused]) => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], iframes: false });
  const isExcused = (rule, place) => excused.includes(rule) && document.querySelector(place)?.closest(nebula);
  return violations.flatMap(({ id, nodes }) => nodes
    .filter(({ target }) => !isExcused(id, target[0]))
    .map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary.replace(/\\s+/g, " ")}`));
}
"""


@pytest.fixture(scope="module")
def axe(node_packages: Path) -> str:
    return (node_packages / "axe-core" / "axe.min.js").read_text()


def sign_in_page(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/login")


def tenants_page(page: Page, site: Site) -> None:
    sign_in(page, site, "alice")


def portal_jwt(page: Page, site: Site) -> None:
    sign_in(page, site, "alice", "/t/acme/")
    expect_state(page, "jwt", "ready")
    expect_bars(page.locator(BAR_CHART).first, len(products_of(site, "alice")))


def portal_oauth(page: Page, site: Site) -> None:
    site.stage("oauth")
    sign_in(page, site, "alice", "/t/acme/")
    expect_state(page, "oauth", "ready")
    expect_bars(page.locator(BAR_CHART).first, len(products_of(site, "alice")))


def portal_blocked(page: Page, site: Site) -> None:
    sign_in(page, site, "alice", "/t/acme/")
    expect_state(page, "jwt", "cookies-blocked")


def legacy(page: Page, site: Site) -> None:
    sign_in(page, site, "alice", "/t/acme/legacy")
    expect_bars(page.locator("#chart"), len(products_of(site, "alice")))


def legacy_blocked(page: Page, site: Site) -> None:
    sign_in(page, site, "alice", "/t/acme/legacy")
    expect(page.locator("main")).to_have_attribute("data-chart", "refused")


def converted(page: Page, site: Site) -> None:
    site.stage("oauth")
    sign_in(page, site, "alice", "/t/acme/converted")
    expect_state(page, "oauth", "ready")
    expect_bars(page.locator(BAR_CHART).first, len(products_of(site, "alice")))


def admin(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/")


def admin_tenant(page: Page, site: Site) -> None:
    site.stage("rollout", 20)
    sign_in(page, site, "erin", "/admin/tenants/acme?person=alice")


def admin_doctor(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/tenants/acme/doctor")


def admin_parity(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/tenants/acme/parity")


def admin_stragglers(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/tenants/acme/stragglers")


def admin_trends(page: Page, site: Site) -> None:
    """Charts and an explanation: somebody was there and somebody was refused, which the bridge writes down soon."""
    sign_in(page, site, "erin", "/t/acme/session")
    assert requests.get(f"{site.base}/t/acme/session", timeout=20).status_code == 401
    page.goto(f"{site.base}/admin/tenants/acme/trends")
    reload_until(page, ".plot")
    reload_until(page, ".trouble")


def admin_guardrails(page: Page, site: Site) -> None:
    site.stage("rollout", 20)
    sign_in(page, site, "erin", "/admin/tenants/acme/guardrails")


def admin_impersonations(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/tenants/acme/impersonations")


def admin_audit(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/audit")


def admin_set_up(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/tenants/acme/set-up")
    page.get_by_label("Host").first.fill("not an address")
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_role("alert")).to_be_visible()


def admin_new_tenant(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/tenants/new")


def admin_budget(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/budget?people=500")


def admin_settings(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/admin/settings")


def api_page(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/api/v1/docs")


def portal_of_an_operator(page: Page, site: Site) -> None:
    sign_in(page, site, "erin", "/t/globex/")
    expect_state(page, "jwt", "ready")
    expect_bars(page.locator(BAR_CHART).first, len(products_of(site, "erin", "globex")))
    expect(page.get_by_role("progressbar")).to_have_count(0)  # what turns while Qlik's code draws is not ours


NARROW = 640
"""Up to so many pixels the style sheet makes lists of some tables."""
BEYOND_THE_EDGE = (
    "[...document.querySelectorAll('table.stacks')].filter(it => it.scrollWidth > it.parentNode.clientWidth).length"
)
"""How many tables that should become lists in a narrow window have to be scrolled instead."""

PAGES: list[tuple[str, Callable[[Page, Site], None]]] = [
    ("blocked", sign_in_page),
    ("blocked", tenants_page),
    ("allowed", portal_jwt),
    ("blocked", portal_oauth),
    ("blocked", portal_blocked),
    ("allowed", legacy),
    ("blocked", legacy_blocked),
    ("blocked", converted),
    ("blocked", admin),
    ("blocked", admin_tenant),
    ("blocked", admin_doctor),
    ("blocked", admin_parity),
    ("blocked", admin_stragglers),
    ("blocked", admin_set_up),
    ("blocked", admin_new_tenant),
    ("blocked", admin_trends),
    ("blocked", admin_guardrails),
    ("blocked", admin_impersonations),
    ("blocked", admin_audit),
    ("blocked", admin_budget),
    ("blocked", admin_settings),
    ("blocked", api_page),
    ("allowed", portal_of_an_operator),
]


@pytest.mark.parametrize(("cookies", "go"), PAGES, ids=[go.__name__ for _, go in PAGES])
def test_no_violation(site: Site, tabs: Tabs, axe: str, cookies: str, go: Callable[[Page, Site], None]) -> None:
    page = tabs(cookies)
    go(page, site)
    found: dict[str, list[str]] = {}

    for scheme, size, viewport in LOOKS:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size(viewport)
        picture(page, f"{go.__name__} {scheme} {size}")
        found |= {f"{scheme} {size} {frame.url}": seen for frame in page.frames if (seen := violations(frame, axe))}
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], f"{size}: cut off"
        assert viewport["width"] > NARROW or page.evaluate(BEYOND_THE_EDGE) == 0, f"{size}: changes are cut off"

    assert found == {}


def violations(frame: Frame, axe: str) -> list[Any]:
    if not frame.evaluate("'axe' in window"):
        frame.evaluate(axe)
    found: list[Any] = frame.evaluate(RUN, [NEBULA, sorted(OF_NEBULA)])
    return found
