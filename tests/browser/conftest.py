"""One bridge, one sandbox and two browsers for all tests of this folder; each test finds them as new."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

import pytest
from clients.harness import NODE, go_without, is_installed
from playwright.sync_api import expect, sync_playwright
from storykit import PORTAL_ISSUER, ROOT, Tenant, free_ports, launch, portal_keys, running_sandbox, served

from browser import third_site
from browser.kit import PATIENCE_MS
from browser.third_site import ThirdSite
from browser.worlds import Ports, Site, running_site, running_tls_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page, Playwright

    Browsers = Callable[[str], BrowserContext]
    Open = Callable[[str], Page]

ARTIFACTS = ROOT / "artifacts" / "browser"


@pytest.fixture(scope="package")
def ports() -> Ports:
    front, bridge, acme, globex = free_ports(4)
    return Ports(front, bridge, acme, globex)


@pytest.fixture(scope="package")
def tls_ports() -> Ports:
    front, bridge, acme, globex = free_ports(4)
    return Ports(front, bridge, acme, globex)


@pytest.fixture(scope="package")
def third_ports(ports: Ports) -> Ports:
    """Another bridge for the same tenants."""
    front, bridge = free_ports(2)
    return Ports(front, bridge, ports.acme, ports.globex)


@pytest.fixture(scope="package")
def third_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="package")
def tenants(ports: Ports, third_ports: Ports, third_port: int) -> Iterator[None]:
    third = f"http://{third_site.HOST}:{third_port}"
    with running_sandbox(ports.acme, ports.globex, ports.origin, third_ports.origin, third):
        if not Tenant(f"http://127.0.0.1:{ports.acme}").state()["front_end"]["ready"]:
            go_without("the sandbox's front end")
        yield


@pytest.fixture(scope="package")
def _site(tenants: None, ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:  # noqa: ARG001
    with running_site(tmp_path_factory.mktemp("site"), ports) as running:
        yield running


@pytest.fixture
def site(_site: Site) -> Site:
    """The demo's bridge and tenants, acme on the stage `legacy`."""
    _site.fresh()
    return _site


@pytest.fixture(scope="package")
def _tls_site(
    tenants: None,  # noqa: ARG001 - says whether there is a front end
    tls_ports: Ports,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("tls")
    with (
        running_tls_sandbox(home, tls_ports) as certificate,
        running_site(home, tls_ports, certificate=certificate) as running,
    ):
        yield running


@pytest.fixture
def tls_site(_tls_site: Site) -> Site:
    """The same with tenants at https addresses; unpkg.com and cdn.jsdelivr.net lead to their mirrors."""
    _tls_site.fresh()
    return _tls_site


@pytest.fixture(scope="package")
def _third(
    tenants: None,  # noqa: ARG001 - they have to run
    third_ports: Ports,
    third_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Site, ThirdSite]]:
    home = tmp_path_factory.mktemp("third")
    key, public = portal_keys()
    (home / "jwks.json").write_text(public)
    settings = {
        "BRIDGE_IDENTITY": "assertion",
        "BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER,
        "BRIDGE_ASSERTION_JWKS": str(home / "jwks.json"),
        "BRIDGE_DEMO_PEOPLE": "",
        "BRIDGE_ADMIN_GROUPS": "",
    }
    origin = f"http://{third_site.HOST}:{third_port}"
    with ExitStack() as running:
        site = running.enter_context(running_site(home, third_ports, settings, (origin,)))
        groups = {person["name"]: person["groups"] for person in site.seed["people"]}
        portal = ThirdSite(third_port, third_ports.origin, key, groups)
        running.enter_context(served(portal, third_port, third_site.HOST))
        yield site, portal


@pytest.fixture
def third(_third: tuple[Site, ThirdSite]) -> tuple[Site, ThirdSite]:
    """A bridge that believes a portal on another site, and that portal."""
    site, portal = _third
    site.fresh()
    portal.content = ""
    portal.vouched.clear()
    return site, portal


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browsers(
    playwright: Playwright, chromium: str, tls_ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browsers]:
    """One browser with third-party cookies allowed and one with them blocked, started when first asked for."""
    mirrors = ", ".join(f"MAP {name} 127.0.0.1:{tls_ports.acme}" for name in ("cdn.jsdelivr.net", "unpkg.com"))
    started: dict[str, BrowserContext] = {}
    with ExitStack() as open_browsers:

        def browser(cookies: str) -> BrowserContext:
            if cookies not in started:
                started[cookies] = launch(
                    playwright,
                    chromium,
                    tmp_path_factory.mktemp(cookies) / "profile",
                    "--ignore-certificate-errors",
                    f"--host-resolver-rules={mirrors}",
                    third_party_cookies=cookies == "allowed",
                )
                open_browsers.callback(started[cookies].close)
            return started[cookies]

        yield browser


@pytest.fixture
def tabs(browsers: Browsers, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens tabs of the browser that has third-party cookies `allowed` or `blocked`; pictures of them are kept."""
    used: dict[str, BrowserContext] = {}
    opened: list[Page] = []

    def open_tab(cookies: str) -> Page:
        context = browsers(cookies)
        if cookies not in used:
            context.clear_cookies()
            used[cookies] = context
        page = context.new_page()
        opened.append(page)
        return page

    yield open_tab
    for number, page in enumerate(opened):
        picture(page, f"{request.node.name}{f'-{number}' if number else ''}")
        page.close()


def picture(page: Page, name: str) -> None:
    """Keep a screenshot as an artefact of the run."""
    page.screenshot(path=ARTIFACTS / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}.png", full_page=True)


@pytest.fixture(params=["allowed", "blocked"])
def cookies(request: pytest.FixtureRequest) -> str:
    """Whether the browser keeps third-party cookies."""
    return cast("str", request.param)


@pytest.fixture(params=["jwt", "oauth"])
def path(request: pytest.FixtureRequest) -> str:
    return cast("str", request.param)


@pytest.fixture(scope="package")
def node_packages() -> Path:
    """What npm installed for tests."""
    modules = NODE / "node_modules"
    if not is_installed(NODE / "package-lock.json", modules):
        go_without("what browser tests take from npm")
    return modules
