"""The story that a person sees in a real browser: flag, reload, another credential, and back."""

import re
from typing import Any

import pytest
from browserkit import Tabs
from clients.harness import go_without
from playwright.sync_api import Page, expect
from storykit import PATIENCE_S, ROOT, Demo

pytestmark = pytest.mark.real_client

expect.set_options(timeout=PATIENCE_S * 1000)
ARTIFACTS = ROOT / "artifacts"
CHARTS = 5  # on the portal, the Ledger's among them


@pytest.fixture
def charts(demo: Demo) -> None:
    """Whatever draws needs packages of npm."""
    if not demo.acme.state()["front_end"]["ready"]:
        go_without("the sandbox's front end")


def sign_in(page: Page, base: str, username: str) -> None:
    page.goto(f"{base}/login?next=/t/acme/")
    page.locator(f'button[name="username"][value="{username}"]').click()


def expect_path(page: Page, path: str, state: str) -> None:
    expect(page.locator("[data-path]")).to_have_attribute("data-path", path)
    expect(page.locator("[data-state]")).to_have_attribute("data-state", state)


def picture(page: Page, name: str) -> None:
    """Keep a screenshot as an artefact of the run."""
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def move(page: Page, to: str, percent: str = "") -> None:
    """Use the stage control of the portal page, as erin."""
    form = page.locator("#stage-control")
    form.locator("[name=to]").select_option(to)
    if percent:
        form.locator("[name=percent]").fill(percent)
    form.locator("[name=reason]").fill("browser story")
    with page.expect_navigation():
        form.get_by_role("button", name="Move").click()
    expect(page.locator("#stage")).to_have_text(to)


def test_the_flag_changes_the_next_page_load_and_back(demo: Demo, tabs: Tabs) -> None:
    assert demo.person("erin").move("acme", "legacy").ok
    alice, erin = tabs("allowed"), tabs("blocked")
    sign_in(alice, demo.base, "alice")
    sign_in(erin, demo.base, "erin")

    expect_path(alice, "jwt", "ready")
    expect(alice.locator("#caller-name")).to_have_text("Alice Archer")
    expect(alice.locator("#caller-groups")).to_contain_text("Finance")
    picture(alice, "portal-jwt")

    for stage, percent in (("shadow", ""), ("rollout", "100"), ("oauth", "")):
        move(erin, stage, percent)
    picture(erin, "portal-operator")
    alice.reload()
    expect_path(alice, "oauth", "ready")
    expect(alice.locator("#caller-name")).to_have_text("Alice Archer")
    expect(alice.locator("#caller-groups")).to_contain_text("EMEA")
    picture(alice, "portal-oauth")

    move(erin, "legacy")
    alice.reload()
    expect_path(alice, "jwt", "ready")


def test_with_third_party_cookies_blocked_the_jwt_path_explains_and_oauth_works(demo: Demo, tabs: Tabs) -> None:
    assert demo.person("erin").move("acme", "legacy").ok
    page = tabs("blocked")
    sign_in(page, demo.base, "bob")

    expect_path(page, "jwt", "cookies-blocked")
    expect(page.locator("#explanation")).to_contain_text("third-party cookies")
    picture(page, "portal-cookies-blocked")

    erin = demo.person("erin")
    for stage in ("shadow", "rollout", "oauth"):
        assert erin.move("acme", stage, percent=100).ok
    page.reload()
    expect_path(page, "oauth", "ready")
    expect(page.locator("#caller-groups")).to_contain_text("Sales")
    assert erin.move("acme", "legacy").ok


@pytest.mark.usefixtures("charts")
@pytest.mark.parametrize(("path", "cookies"), [("jwt", "allowed"), ("oauth", "blocked")])
def test_the_portal_draws_and_says_where_the_groups_lead(demo: Demo, tabs: Tabs, path: str, cookies: str) -> None:
    at(demo, path)
    page = tabs(cookies)
    sign_in(page, demo.base, "carol")

    expect_path(page, path, "ready")
    expect(page.locator('.canvas [data-ready="1"]')).to_have_count(CHARTS - 1)
    expect(page.locator(".ledger")).to_contain_text("You may not open this app")
    expect(page.locator(".ledger .refusal")).to_be_visible()
    rows = [row for row in app(demo, "Retail sales")["rows"] if row["Region"] == "Online"]
    expect(page.locator("#caller-rows li")).to_have_text([f"Everyone → rows of region Online ({len(rows)})"])
    expect(page.locator("#caller-total")).to_have_text(f"{len(rows)} rows of Retail sales, in Online.")
    picture(page, f"portal-carol-{path}")


@pytest.mark.usefixtures("charts")
def test_groups_named_like_a_region_lead_there_and_others_nowhere(demo: Demo, tabs: Tabs) -> None:
    at(demo, "oauth")
    page = tabs("blocked")
    sign_in(page, demo.base, "bob")

    expect(page.locator("#caller-rows")).to_contain_text(re.compile(r"AMER → rows of region AMER \(\d+\)"))
    expect(page.locator("#caller-rows")).to_contain_text("Sales → no rows of this app")
    expect(page.locator("#caller-rows")).to_contain_text(re.compile(r"Everyone → rows of region Online \(\d+\)"))


@pytest.mark.usefixtures("charts")
def test_each_step_is_shown_with_its_time(demo: Demo, tabs: Tabs) -> None:
    at(demo, "oauth")
    forget_token(demo, "alice")
    page = tabs("allowed")
    sign_in(page, demo.base, "alice")

    expect_done(page, "session", "access-token", "load", "exchange", "socket", "chart")
    expect(page.locator('[data-step="access-token"] .parts li').last).to_have_text(re.compile(r"^token minted · \d"))
    expect(page.locator("#steps-summary")).to_contain_text("First chart after")
    expect(page.locator('[data-on="jwt"]').first).to_be_hidden()

    at(demo, "jwt")
    page.reload()
    expect_done(page, "session", "token", "login", "cookies", "load", "csrf", "socket", "chart")


@pytest.mark.usefixtures("charts")
def test_the_legacy_page_lives_on_cookies_and_the_converted_one_does_not(demo: Demo, tabs: Tabs) -> None:
    at(demo, "oauth")
    allowed, blocked = tabs("allowed"), tabs("blocked")
    for page in (allowed, blocked):
        sign_in(page, demo.base, "alice")
        page.goto(f"{demo.base}/t/acme/legacy")

    expect(allowed.locator("main")).to_have_attribute("data-chart", "drawn")
    expect(allowed.locator("#chart canvas").first).to_be_visible()
    expect(allowed.locator(".only-refused")).to_be_hidden()
    expect(allowed.frame_locator("#single").locator("canvas").first).to_be_visible()
    expect_done(allowed, "config", "token", "login", "csrf", "socket", "chart")
    picture(allowed, "legacy-allowed")

    expect(blocked.locator("main")).to_have_attribute("data-chart", "refused")
    expect(blocked.locator(".only-refused .real-error")).to_contain_text("/api/v1/csrf-token was answered with 401")
    expect(blocked.locator(".only-refused .real-error")).to_contain_text("the websocket closed with code 1006")
    assert blocked.locator("#chart canvas").count() == 0
    expect(blocked.frame_locator("#single").locator("body")).to_contain_text("Sign in")
    picture(blocked, "legacy-blocked")

    for page in (allowed, blocked):
        page.get_by_role("link", name="Converted page", exact=True).click()
        expect_path(page, "oauth", "ready")
        expect(page.locator("[data-bridge-frame]")).to_be_visible()
        expect(page.locator('.frame:not([data-bridge-frame]) [data-ready="1"] canvas').first).to_be_visible()
        expect(page.locator('[data-bridge-frame] qlik-embed[object-id] [data-ready="1"]')).to_be_visible()
    picture(blocked, "converted-blocked")

    at(demo, "jwt")
    blocked.reload()
    expect_path(blocked, "jwt", "cookies-blocked")
    expect(blocked.locator(".old-page .qlik-bridge-note")).to_have_count(2)
    expect(blocked.locator('[data-step="cookies"]')).to_have_attribute("data-outcome", "failed")
    expect(blocked.locator('[data-step="socket"] .step-time')).to_have_text("not reached")
    picture(blocked, "converted-jwt-blocked")


@pytest.mark.usefixtures("charts")
def test_an_open_portal_follows_the_operator_one_step_back(demo: Demo, tabs: Tabs) -> None:
    at(demo, "oauth")
    alice, erin = tabs("allowed"), tabs("blocked")
    sign_in(alice, demo.base, "alice")
    sign_in(erin, demo.base, "erin")
    expect_path(alice, "oauth", "ready")

    with erin.expect_navigation():
        erin.get_by_role("button", name="Back to rollout").click()
    expect(erin.locator("#stage")).to_have_text("rollout")
    with erin.expect_navigation():
        erin.get_by_role("button", name="Back to shadow").click()
    alice.evaluate("qlikBridge.recheck()")

    expect_path(alice, "jwt", "ready")
    expect(alice.locator("#stage")).to_have_text("shadow")
    expect(alice.locator('.rail [aria-current="step"]')).to_have_text("shadow")
    expect(alice.locator("#cookie")).to_have_text("kept by this browser")


def test_signing_out_in_another_tab_is_said(demo: Demo, tabs: Tabs) -> None:
    at(demo, "oauth")
    page, other = tabs("blocked"), tabs("blocked")
    sign_in(page, demo.base, "alice")
    expect_path(page, "oauth", "ready")

    other.goto(demo.base)
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()  # closing a tab in mid-flight can hang
    other.close()
    page.evaluate("qlikBridge.recheck()")

    expect_path(page, "oauth", "signed-out")
    expect(page.locator("#explanation")).to_contain_text("You are signed out.")
    expect(page.get_by_role("link", name="Sign in again")).to_be_visible()
    expect(page.locator("#caller-name")).to_have_text("not known")
    expect(page.locator("#caller-rows")).not_to_contain_text("rows of region")
    picture(page, "portal-signed-out")


def test_a_tenant_that_is_down_is_said(demo: Demo, tabs: Tabs) -> None:
    at(demo, "jwt")
    page = tabs("allowed")
    page.route(f"{demo.acme.origin}/**", lambda route: route.abort())
    sign_in(page, demo.base, "alice")

    expect_path(page, "jwt", "error")
    expect(page.locator("#explanation")).to_contain_text(f"{demo.acme.origin} did not answer")
    expect(page.locator('[data-step="login"] .step-result')).to_have_text("It was not answered.")


@pytest.mark.parametrize("page_name", ["", "legacy", "converted"])
def test_pages_fit_a_small_window_and_begin_with_a_skip_link(demo: Demo, tabs: Tabs, page_name: str) -> None:
    page = tabs("allowed")
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(page, demo.base, "erin")
    page.goto(f"{demo.base}/t/acme/{page_name}")

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    expect(page.locator(".skip")).to_be_in_viewport()


def at(demo: Demo, path: str) -> None:
    """Put acme's people on the path, from whatever stage the last test left."""
    erin = demo.person("erin")
    for stage in ("legacy", "shadow", "rollout", "oauth")[: 1 if path == "jwt" else 4]:
        assert erin.move("acme", stage, percent=100).ok


def forget_token(demo: Demo, username: str) -> None:
    """Sign out, which ends the token; the next page needs a new one."""
    person = demo.person(username)
    assert person.post("/logout", data={"csrf_token": person.csrf("acme")}).status_code == 303


def app(demo: Demo, name: str) -> dict[str, Any]:
    return next(each for each in demo.acme.state()["apps"] if each["name"] == name)


def expect_done(page: Page, *steps: str) -> None:
    for step in steps:
        line = page.locator(f'[data-step="{step}"]')
        expect(line).to_have_attribute("data-outcome", "done")
        expect(line.locator(".step-time")).to_have_text(re.compile(r"\d m?s"))
