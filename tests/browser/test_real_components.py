"""Qlik's own packages in host pages: web components from the tenant's mirror, and React."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.kit import (
    TOKEN_CALL,
    app_id,
    expect_bars,
    expect_state,
    host_page,
    products_of,
    rows_of,
    sign_in,
)

if TYPE_CHECKING:
    from browserkit import Tabs

    from browser.worlds import Site

pytestmark = pytest.mark.real_client

PAGE = "/t/acme/page.html"
SOURCE = Path(__file__).parent / "pages" / "react.jsx"


@pytest.fixture(scope="module")
def bundle(node_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The React page as a browser gets it, with the real packages inside."""
    out = tmp_path_factory.mktemp("react") / "react.js"
    subprocess.run(
        [
            node_packages / ".bin" / "esbuild",
            SOURCE,
            "--bundle",
            "--format=iife",
            "--jsx=automatic",
            '--define:process.env.NODE_ENV="production"',
            f"--outfile={out}",
            "--log-level=warning",
        ],
        check=True,
        timeout=60,
        env={**os.environ, "NODE_PATH": str(node_packages)},
    )
    return out.read_text()


def test_react(site: Site, tabs: Tabs, bundle: str, path: str, cookies: str) -> None:
    site.on_path(path)
    site.front.put("/t/acme/react.js", bundle)
    root = f'<div id="root" data-app-id="{app_id("Retail sales")}"></div>'
    site.front.put(PAGE, host_page(root, head='<script src="react.js" defer></script>'))
    page = tabs(cookies)

    sign_in(page, site, "bob", PAGE)

    if (path, cookies) == ("jwt", "blocked"):
        page.wait_for_selector('html[data-bridge-state="cookies-blocked"]')
        assert page.locator("canvas").count() == 0
        return
    expect_state(page, path, "ready")
    expect_bars(page.locator("#chart"), len(products_of(site, "bob")))
    page.get_by_role("button", name="Total").click()
    total = sum(row["Sales"] for row in rows_of(site, "bob"))
    expect(page.locator("#chart")).to_contain_text(f"{total:,}")
    assert site.front.count(TOKEN_CALL) == (path == "oauth")
