"""One bridge, one sandbox and two browsers for all tests of this folder; each test finds them as new."""

from __future__ import annotations

import re
from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, cast

import pytest
from browserkit import running_browsers, tabs_of, trusting
from clients.harness import NODE, go_without, is_installed
from playwright.sync_api import expect
from storykit import PORTAL_ISSUER, ROOT, Tenant, free_ports, portal_keys, running_sandbox, served

from browser import third_site
from browser.kit import PATIENCE_MS
from browser.third_site import ThirdSite
from browser.worlds import Ports, Site, running_site, running_tls_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from browserkit import Browsers, Tabs
    from playwright.sync_api import Page

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
def certificate(tls_ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of tenants at https addresses, which run from here on."""
    with running_tls_sandbox(tmp_path_factory.mktemp("certificate"), tls_ports) as certificate:
        yield certificate


@pytest.fixture(scope="package")
def _tls_site(
    tenants: None,  # noqa: ARG001 - says whether there is a front end
    tls_ports: Ports,
    certificate: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("tls"), tls_ports, certificate=certificate) as running:
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
def browsers(
    chromium: str, tls_ports: Ports, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browsers]:
    mirrors = ", ".join(f"MAP {name} 127.0.0.1:{tls_ports.acme}" for name in ("cdn.jsdelivr.net", "unpkg.com"))
    arguments = (trusting(certificate), f"--host-resolver-rules={mirrors}")
    expect.set_options(timeout=PATIENCE_MS)
    with running_browsers(chromium, tmp_path_factory.mktemp("browsers"), *arguments) as browsers:
        yield browsers


@pytest.fixture
def tabs(browsers: Browsers, request: pytest.FixtureRequest) -> Iterator[Tabs]:
    """Opens tabs of the browser that has third-party cookies `allowed` or `blocked`; pictures of them are kept."""
    suffixes = (f"-{number}" if number else "" for number in count())
    with tabs_of(browsers, lambda page: picture(page, request.node.name + next(suffixes))) as tabs:
        yield tabs


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
