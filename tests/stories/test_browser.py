"""The story that a person sees in a real browser: flag, reload, another credential, and back."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from storykit import ROOT, Demo

pytestmark = pytest.mark.real_client

Browse = Callable[[bool], BrowserContext]
ARTIFACTS = ROOT / "artifacts"


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


def test_the_flag_changes_the_next_page_load_and_back(demo: Demo, browse: Browse) -> None:
    assert demo.person("erin").move("acme", "legacy").ok
    alice, erin = browse(True).new_page(), browse_second(browse)
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


def browse_second(browse: Browse) -> Page:
    """Another person has another browser."""
    return browse(False).new_page()


def test_with_third_party_cookies_blocked_the_jwt_path_explains_and_oauth_works(demo: Demo, browse: Browse) -> None:
    assert demo.person("erin").move("acme", "legacy").ok
    page = browse(False).new_page()
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
