"""Real Chromium, one with third-party cookies allowed and one with them blocked, for all tests that share them."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",
]
ANCHORS = ("http://localhost/", "http://127.0.0.1/")
"""Sites whose process an empty tab keeps: a tab of a new process would compile Qlik's scripts anew."""

Browsers = Callable[[str], BrowserContext]
Tabs = Callable[[str], Page]


@contextmanager
def running_browsers(chromium: str, home: Path, *arguments: str) -> Iterator[Browsers]:
    """Lend browsers with third-party cookies `allowed` or `blocked`, each started when first asked for."""
    started: dict[str, BrowserContext] = {}
    with sync_playwright() as playwright, ExitStack() as opened:

        def browser(cookies: str) -> BrowserContext:
            if cookies not in started:
                started[cookies] = _launch(playwright, chromium, home / cookies, cookies, *arguments)
                opened.callback(started[cookies].close)
            return started[cookies]

        yield browser


def _launch(playwright: Playwright, chromium: str, profile: Path, cookies: str, *arguments: str) -> BrowserContext:
    """Start Chromium with a profile that says what becomes of cookies; it reads that once, when it starts."""
    (profile / "Default").mkdir(parents=True)
    mode = {"profile": {"cookie_controls_mode": 0 if cookies == "allowed" else 1}}
    (profile / "Default" / "Preferences").write_text(json.dumps(mode))
    context = playwright.chromium.launch_persistent_context(
        profile, executable_path=chromium, headless=True, args=[*ARGUMENTS, *arguments]
    )
    for address in ANCHORS:
        anchor(context, address)
    return context


def anchor(context: BrowserContext, address: str) -> None:
    """Leave an empty tab open at an address that nobody needs to serve."""
    tab = context.new_page()
    tab.route(address, lambda route: route.fulfill(body="", content_type="text/html"))
    tab.goto(address)


def trusting(certificate: Path) -> str:
    """Return the argument for a browser that trusts this one; it caches nothing from servers that it does not trust."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    digest = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return f"--ignore-certificate-errors-spki-list={b64encode(digest).decode()}"


@contextmanager
def tabs_of(browsers: Browsers, at_the_end: Callable[[Page], None] = lambda _: None) -> Iterator[Tabs]:
    """Lend tabs of the browser that has third-party cookies `allowed` or `blocked`; it knows no cookie at first."""
    used: set[str] = set()
    opened: list[Page] = []

    def tab(cookies: str) -> Page:
        context = browsers(cookies)
        if cookies not in used:
            context.clear_cookies()
            used.add(cookies)
        opened.append(context.new_page())
        return opened[-1]

    yield tab
    for page in opened:
        at_the_end(page)
        page.close()
