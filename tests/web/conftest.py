"""Three ways of knowing who asks, each with its own application."""

from collections.abc import Iterator

import pytest
from browserkit import ARGUMENTS, anchor
from embedkit import World, running_world
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from webkit import ASSERTION, DEMO, HEADER, Visitor, Web, web


@pytest.fixture
def demo() -> Web:
    return web(**DEMO)


@pytest.fixture
def portal() -> Web:
    """A portal that vouches by assertions; acme is on the new path."""
    found = web(**ASSERTION)
    found.at("oauth")
    return found


@pytest.fixture
def proxied() -> Web:
    return web(**HEADER)


@pytest.fixture
def alice(demo: Web) -> Visitor:
    return demo.visitor("alice")


@pytest.fixture
def erin(demo: Web) -> Visitor:
    return demo.visitor("erin")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def world() -> Iterator[World]:
    with running_world() as world:
        yield world


@pytest.fixture(scope="module")
def _context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    anchor(context, "http://localhost/")
    yield context
    context.close()


@pytest.fixture
def context(_context: BrowserContext) -> Iterator[BrowserContext]:
    """A browser that knows no cookie; each test's servers have ports, and so storages, of their own."""
    _context.clear_cookies()
    yield _context
    for page in _context.pages[1:]:
        page.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
