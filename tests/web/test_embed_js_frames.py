"""embed.js and old frames: their address after the login on one path, Qlik's elements in their place on the other."""

import json
from pathlib import Path
from typing import Any

import pytest
from embedkit import (
    EMBED,
    World,
    answering,
    dropping,
    events,
    expect_drawn,
    expect_state,
    garbling,
    inject,
    show,
    wait_for_event,
)
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.real_client

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "frames.json").read_text())
WRITE_DOWN = """
  (box) => {
    const written = (element) => {
      const attributes = Object.fromEntries([...element.attributes].map(({ name, value }) => [name, value]));
      const children = [...element.children].map(written);
      const text = children.length ? "" : element.textContent;
      return { tag: element.localName, attributes, ...(children.length && { children }), ...(text && { text }) };
    };
    return [...box.children].map(written);
  }
"""


def frame(src: str, attributes: str = 'id="old"') -> str:
    return f'<iframe {attributes} data-bridge-src="{src}"></iframe>'


def single(world: World, query: str = "appid=app-1&obj=sales") -> str:
    return f"{world.tenant}/single/?{query}"


def test_each_address_becomes_what_its_case_says(page: Page, world: World) -> None:
    """The cases bind the mapping; the elements are not upgraded here, so that they stay as they were made."""
    page.route("**/components.js", lambda route: route.fulfill(body="customElements.define('qlik-embed', class {})"))
    show(page, world, "<main></main>", script='data-messages="off"')
    expect_state(page, "ready")

    page.evaluate(
        """(addresses) => {
          for (const [number, address] of addresses.entries()) {
            const frame = document.createElement("iframe");
            frame.id = `case-${number}`;
            frame.dataset.bridgeSrc = address;
            document.querySelector("main").append(frame);
          }
        }""",
        [case["src"] for case in CASES],
    )

    expect(page.locator("main > [data-bridge-frame]")).to_have_count(len(CASES), timeout=20_000)
    told = {each["src"]: each["unmapped"] for each in events(page, "frame")}
    for number, case in enumerate(CASES):
        made = page.locator(f"#case-{number}").evaluate(WRITE_DOWN)
        assert made == case["elements"], case["name"]
        assert told.get(case["src"], []) == case["differences"], case["name"]


def test_on_oauth_the_elements_stand_where_the_frame_stood(page: Page, world: World) -> None:
    attributes = (
        'id="old" class="wide" title="Sales" data-mine="1" width="70%" height="240" style="margin: 3px"'
        ' frameborder="0" allow="fullscreen" name="n"'
    )

    show(page, world, f"<p>Before</p>{frame(single(world), attributes)}<p>After</p>")

    expect(page.locator("#old qlik-embed")).to_have_text("drawn by token-1")
    box = page.locator("p + #old.wide[title=Sales][data-mine='1']:has(+ p)")
    kept = ["class", "data-bridge-frame", "data-mine", "id", "style", "title"]
    assert box.evaluate("(box) => [box.localName, box.getAttributeNames().sort()]") == ["div", kept]
    assert box.evaluate("({ style }) => [style.width, style.height, style.margin]") == ["70%", "240px", "3px"]
    assert page.locator("iframe").count() == 0


def test_the_box_is_as_high_as_a_style_sheet_made_the_frame(page: Page, world: World) -> None:
    show(page, world, frame(single(world)), head="<style>iframe { height: 333px; border: 0; }</style>")

    expect(page.locator("#old qlik-embed")).to_have_text("drawn by token-1")
    assert page.locator("#old").evaluate("(box) => box.offsetHeight") == 333


def test_on_jwt_the_frame_gets_its_address_after_the_login(page: Page, world: World) -> None:
    world.path = "jwt"
    body = frame(single(world, "appid=app-1&amp;obj=a%20b&amp;select=City,K%C3%B6ln")) + frame(
        single(world, "appid=app-1&amp;qlik-web-integration-id=own"), 'id="own"'
    )

    show(page, world, body)

    expect_state(page, "ready", "jwt")
    address = f"{single(world, 'appid=app-1&obj=a%20b&select=City,K%C3%B6ln')}&qlik-web-integration-id=web-1"
    expect(page.locator("#old")).to_have_attribute("src", address)
    expect(page.locator("#own")).to_have_attribute("src", single(world, "appid=app-1&qlik-web-integration-id=own"))
    expect(page.frame_locator("#old").locator("title")).to_have_count(1)
    asked = [call.path for call in world.calls]
    assert asked.index("/api/v1/csrf-token") < asked.index("/single/")


def test_frames_of_other_sites_are_told_nothing_of_the_tenant(page: Page, world: World) -> None:
    world.path = "jwt"

    show(page, world, frame(f"{world.portal}/page.html") + frame("javascript:document.title=1", 'id="odd"'))

    expect_state(page, "ready", "jwt")
    expect(page.locator("#old")).to_have_attribute("src", f"{world.portal}/page.html")
    expect(page.locator("#odd")).not_to_have_attribute("src", "")
    assert page.locator("#odd").get_attribute("src") is None


def test_where_cookies_are_blocked_no_frame_is_sent_to_a_sign_in_page(page: Page, world: World) -> None:
    world.path, world.keeps_cookies = "jwt", False

    show(page, world, frame(single(world)))

    expect_state(page, "cookies-blocked")
    expect(page.locator("iframe")).to_have_count(0)
    expect(page.get_by_role("alert")).to_contain_text("blocks the cookies")
    assert world.asked("/single/") == []


def test_a_frame_follows_the_path_forth_and_back(page: Page, world: World) -> None:
    world.path = "jwt"
    show(page, world, frame(single(world, "appid=app-1&amp;sheet=one")))
    expect_state(page, "ready", "jwt")
    page.evaluate("window.mine = document.querySelector('#old')")

    for path, selector in (("oauth", "div#old qlik-embed"), ("jwt", "iframe#old"), ("oauth", "div#old qlik-embed")):
        world.path = path
        page.evaluate("() => { qlikBridge.recheck(); }")
        expect(page.locator(selector)).to_have_count(1)
        expect_state(page, "ready", path)
        assert page.evaluate("mine.isConnected") == (path == "jwt")
    expect(page.locator("#old qlik-embed")).to_have_text("drawn by token-2")


@pytest.mark.parametrize("path", ["jwt", "oauth"])
def test_frames_that_are_added_later(page: Page, world: World, path: str) -> None:
    world.path = path
    show(page, world, "<main></main>")
    expect_state(page, "ready")

    page.evaluate("(html) => { document.querySelector('main').innerHTML = html; }", frame(single(world)))

    if path == "oauth":
        expect(page.locator("#old qlik-embed")).to_have_text("drawn by token-1")
        return
    expect(page.locator("iframe#old")).to_have_attribute("src", f"{single(world)}&qlik-web-integration-id=web-1")
    page.evaluate("(src) => { document.querySelector('#old').dataset.bridgeSrc = src; }", single(world, "appid=app-2"))
    expect(page.locator("iframe#old")).to_have_attribute(
        "src", f"{single(world, 'appid=app-2')}&qlik-web-integration-id=web-1"
    )


def test_what_has_no_equivalent_is_said_in_its_place_in_an_event_and_to_operators(page: Page, world: World) -> None:
    lines: list[str] = []
    page.on("console", lambda line: lines.append(line.text))
    src = single(world, "appid=app-1&amp;snapshot=monday")

    with page.expect_response("**/client-events"):
        show(page, world, frame(src))

    expect(page.locator("#old")).to_have_text("This Qlik content cannot be shown (snapshot: has no equivalent).")
    assert wait_for_event(page, "frame")["unmapped"] == [
        {"name": "snapshot", "value": "monday", "why": "has no equivalent"}
    ]
    assert any("no exact equivalent" in line for line in lines)
    [reported] = world.asked("/t/acme/client-events")
    assert json.loads(reported.body) == {"kind": "frame_unmapped"}


def test_frames_wait_for_a_bridge_that_is_away(page: Page, world: World) -> None:
    page.clock.install()
    inject(page, "**/t/acme/frames", dropping, answering(503))

    show(page, world, frame(single(world)))
    for failures in (1, 2):
        assert wait_for_event(page, "error", failures)["retrying"]
        page.clock.fast_forward(10_000)

    expect(page.locator("#old qlik-embed")).to_have_text("drawn by token-1")
    assert page.evaluate("events.some(({ name }) => name === 'frame')") is False


def test_frames_that_cannot_be_replaced_take_nothing_away(page: Page, world: World) -> None:
    page.clock.install()
    show(page, world)
    expect_drawn(page, "token-1")
    inject(page, "**/t/acme/frames", *[garbling] * 5)

    page.evaluate("(markup) => document.body.insertAdjacentHTML('beforeend', markup)", frame(single(world)))
    for failures in range(1, 5):
        assert wait_for_event(page, "error", failures)["retrying"]
        page.clock.fast_forward(10_000)

    told = wait_for_event(page, "error", 5)
    assert (told["kind"], told["retrying"]) == ("embed_failed", False)
    expect_drawn(page, "token-1")
    expect(page.get_by_role("alert")).to_contain_text("The answer makes no sense")


def test_a_frame_added_after_another_tab_renewed_the_session(page: Page, world: World) -> None:
    page.clock.install()
    show(page, world, EMBED)
    expect_drawn(page, "token-1")
    world.csrf = "csrf-2"

    page.evaluate("(markup) => document.body.insertAdjacentHTML('beforeend', markup)", frame(single(world)))
    assert wait_for_event(page, "error")["code"] == "bad_csrf"
    page.clock.fast_forward(10_000)

    expect(page.locator("#old qlik-embed")).to_contain_text("drawn by token-")
