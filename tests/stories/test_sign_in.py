"""An operator signs in at the company's service, works, and signs out, in a real browser."""

from pathlib import Path

import pytest
from browserkit import Tabs
from playwright.sync_api import ConsoleMessage, expect
from signinkit import oidc_environment, running_product, running_service
from storykit import free_ports

pytestmark = pytest.mark.real_client


def test_an_operator_signs_in_looks_and_signs_out(tabs: Tabs, tmp_path: Path) -> None:
    port, there = free_ports(2)
    base = f"http://localhost:{port}"
    with (
        running_service(there, base) as service,
        running_product(oidc_environment(service.issuer, base, tmp_path), port),
    ):
        page = tabs("blocked")
        troubles: list[str] = []
        page.on("console", lambda said: troubles.append(said.text) if _is_trouble_of(base, said) else None)

        page.goto(f"{base}/admin/")
        assert page.url.startswith(service.issuer)
        page.get_by_label("User").fill("erin")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{base}/admin/")
        expect(page.locator("main")).to_contain_text("Acme")

        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{base}/login?state=*")
        expect(page.get_by_text("You are not signed in")).to_be_visible()
        assert service.told()["sessions"] == []

        page.get_by_role("link", name="Sign in there").click()
        page.get_by_label("User").fill("ada")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
        page.screenshot(path=tmp_path / "signed-in.png")
        assert troubles == []


def _is_trouble_of(base: str, said: ConsoleMessage) -> bool:
    return said.type == "error" and said.location["url"].startswith(base)
