"""What tests of this folder see of a page: paths, charts, bars, texts."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Frame, Locator, Page
    from storykit import Tenant

    from browser.worlds import Site

RETAIL, LEDGER, PIPELINE = "Retail sales", "Ledger", "Pipeline"
PEOPLE = ("alice", "bob", "carol", "erin")
TOKEN_CALL = "POST /t/acme/access-token"
CHART = "sales-by-product"
PATIENCE_MS = 60_000
BETWEEN_LOOKS_MS = 100
"""Counting bars reads every pixel: not on each frame of an animation."""
BOX = ".box { width: 640px; height: 320px }"
"""Qlik's elements have no size of their own."""

BARS = """
host => {
  // A bar is a run of coloured pixels; the line that crosses most of them is the one at their feet.
  const across = (data, width, height, upright) => {
    let most = 0;
    const [lines, along] = upright ? [height, width] : [width, height];
    for (let line = 0; line < lines; line += 1) {
      let bars = 0;
      let run = 0;
      for (let at = 0; at < along; at += 1) {
        const pixel = 4 * (upright ? line * width + at : at * width + line);
        const red = data[pixel], green = data[pixel + 1], blue = data[pixel + 2];
        const coloured = data[pixel + 3] > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 40;
        run = coloured ? run + 1 : 0;
        if (run === 3) bars += 1;
      }
      most = Math.max(most, bars);
    }
    return most;
  };
  const counts = [...host.querySelectorAll("canvas")].filter(({ width, height }) => width && height).map((canvas) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    return Math.max(across(data, width, height, true), across(data, width, height, false));
  });
  return Math.max(0, ...counts);
}
"""

NAMES = """
async (element, id) => {
  const doc = await (await element.getRefApi()).getDoc();
  const layout = await (await doc.getObject(id)).getLayout();
  return layout.qHyperCube.qDataPages.flatMap((page) => page.qMatrix).map((row) => row[0].qText);
}
"""


def app_id(name: str, slug: str = "acme") -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{slug}/{name}"))


def chart(app: str = RETAIL, item: str = CHART, ui: str = "analytics/chart", slug: str = "acme", **more: str) -> str:
    """Return the markup that a host page writes; the same on both paths."""
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    attributes = f'ui="{ui}" app-id="{app_id(app, slug)}" object-id="{item}"{extra}'
    return f'<div class="box"><qlik-embed {attributes}></qlik-embed></div>'


def host_page(*content: str, attributes: str = "", head: str = "") -> str:
    """Return a page of a customer: one script tag of the bridge's and ordinary elements."""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>A page with Qlik content</title>{head}
<script src="embed.js" defer {attributes}></script>
<style>{BOX}</style>
<main><h1>A page with Qlik content</h1>{"".join(content)}</main></html>"""


def sign_in(page: Page, site: Site, who: str, then: str = "/") -> None:
    page.goto(f"{site.base}/login?next={then}")
    page.locator(f'button[name="username"][value="{who}"]').click()
    page.wait_for_url(f"{site.base}{then}")


def expect_state(page: Page, path: str, state: str) -> None:
    both = f'html[data-bridge-state="{state}"][data-bridge-path="{path}"]'
    expect(page.locator(both)).to_have_count(1)


def reload_until(page: Page, selector: str) -> None:
    """Wait until a page without scripts shows something that is written down in the background."""
    give_up = time.monotonic() + PATIENCE_MS / 1000
    while not page.locator(selector).count():
        assert time.monotonic() < give_up, f"{page.url} never showed {selector}"
        page.reload()


def expect_bars(place: Locator, count: int) -> None:
    """Wait until a chart of so many bars is on its canvas, animations done."""
    expect(place.locator("canvas").first).to_be_visible()
    page = place.page
    script = f"([host, count]) => ({BARS})(host) === count"
    page.wait_for_function(script, arg=[place.element_handle(), count], timeout=PATIENCE_MS, polling=BETWEEN_LOOKS_MS)


def expect_bars_in_frame(frame: Frame, selector: str, count: int) -> None:
    frame.wait_for_selector(f"{selector} canvas", timeout=PATIENCE_MS)
    script = f"([selector, count]) => ({BARS})(document.querySelector(selector)) === count"
    frame.wait_for_function(script, arg=[selector, count], timeout=PATIENCE_MS, polling=BETWEEN_LOOKS_MS)


def expect_blocked(page: Page) -> None:
    """Wait for the plain message that stands where nothing could be drawn."""
    expect_state(page, "jwt", "cookies-blocked")
    expect(page.locator(".qlik-bridge-note").first).to_contain_text("This browser blocks the cookies of")


def expect_refused(embed: Locator) -> None:
    """Wait for the reason that the embed itself gives for an app that the person may not open."""
    expect(embed.locator(".qlik-embed-root")).to_have_attribute("data-ready", "0")
    expect(embed).to_contain_text("You may not open this app")


def frame_in(page: Page, selector: str) -> Frame:
    """Return what is inside of an iframe of the page."""
    page.wait_for_selector(selector)
    frame = page.locator(selector).element_handle().content_frame()
    assert frame is not None, f"{selector} is no frame"
    return frame


def sockets_of(tenant: Tenant, who: str) -> set[str]:
    """Return when a person's open websockets were opened, as names for them."""
    return {str(each["opened_at"]) for each in tenant.state()["sockets"] if each["user"] == who}


def wait_for_new_socket(tenant: Tenant, who: str, known: set[str]) -> None:
    give_up = time.monotonic() + PATIENCE_MS / 1000
    while not sockets_of(tenant, who) - known:
        assert time.monotonic() < give_up, f"no new websocket of {who}: {tenant.calls()[-25:]}"
        time.sleep(0.05)


def wait_for_sockets_by(tenant: Tenant, who: str, how: str) -> None:
    """Wait until a person's websockets are there by this credential alone."""
    give_up = time.monotonic() + PATIENCE_MS / 1000
    while {each["how"] for each in tenant.state()["sockets"] if each["user"] == who} != {how}:
        assert time.monotonic() < give_up, f"not all websockets of {who} are by {how}"
        time.sleep(0.05)


def names_in(element: Locator, item: str = CHART) -> set[str]:
    """Return the names that the real chart's own model holds for this person."""
    return set(element.evaluate(NAMES, item))


def person(site: Site, who: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(each for each in site.seed["people"] if each["name"] == who)
    return found


def rows_of(site: Site, who: str, slug: str = "acme") -> list[Mapping[str, Any]]:
    """Return the rows that section access opens to this person, worked out from what the tenant holds."""
    document = next(each for each in site.tenant(slug).state()["apps"] if each["name"] == RETAIL)
    groups = {"*", *person(site, who)["groups"]}
    rules = [rule for rule in document["section_access"] if rule["group"] in groups]
    rows: list[Mapping[str, Any]] = document["rows"]
    return [row for row in rows if any(rule["value"] in {"*", row[rule["field"]]} for rule in rules)]


def products_of(site: Site, who: str, slug: str = "acme") -> set[str]:
    return {row["Product"] for row in rows_of(site, who, slug)}
