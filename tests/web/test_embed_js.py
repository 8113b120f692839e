"""embed.js in a real browser: paths, settings, messages, events, and what pages may use."""

import gzip
import json

import pytest
from embedkit import (
    EMBED,
    PATIENCE_MS,
    SCRIPT,
    SESSION,
    World,
    answering,
    dropping,
    events,
    expect_drawn,
    expect_state,
    inject,
    show,
    wait_for_event,
)
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.real_client

TWO = EMBED + '<qlik-embed id="two" ui="analytics/sheet"></qlik-embed>'
COME_BACK = "document.dispatchEvent(new Event('visibilitychange'))"
A_MINUTE_LATER = "() => { const now = Date.now; Date.now = () => now() + 61_000; }"


def test_it_is_small() -> None:
    assert len(gzip.compress(SCRIPT.read_bytes())) < 8_000


def test_oauth_draws_with_a_token(page: Page, world: World) -> None:
    show(page, world)

    expect_drawn(page, "token-1")
    expect_state(page, "ready", "oauth")
    settings = page.evaluate("document.querySelector('#one').settings")
    assert {name: value for name, value in settings.items() if value is not None} == {
        "host": world.tenant,
        "auth-type": "Oauth2",
        "client-id": "client-1",
        "get-access-token": "qlikBridgeAccessToken",
        "access-token-storage": "memory",
    }
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_jwt_draws_with_a_cookie(page: Page, world: World) -> None:
    world.path = "jwt"

    show(page, world)

    expect_drawn(page, "cookie")
    expect_state(page, "ready", "jwt")
    [login] = world.asked("/login/jwt-session")
    assert login.headers["Authorization"] == "Bearer a.b.c"
    assert login.headers["Qlik-Web-Integration-Id"] == "web-1"
    settings = page.evaluate("document.querySelector('#one').settings")
    assert (settings["auth-type"], settings["web-integration-id"]) == ("cookie", "web-1")


def test_every_step_is_told_with_its_time(page: Page, world: World) -> None:
    world.path = "jwt"
    show(page, world)
    expect_state(page, "ready")

    world.path = "oauth"
    page.evaluate("qlikBridge.recheck()")

    expect_state(page, "ready", "oauth")
    assert [each["step"] for each in events(page, "step")] == ["session", "jwt", "login", "load", "session", "token"]
    assert all(each["ms"] >= 0 for each in events(page, "step"))


def test_settings_of_other_scripts_do_not_win(page: Page, world: World) -> None:
    other = '<script data-host="https://elsewhere.example" data-access-token-storage="local"></script>'
    meta = '<meta name="qlik-embed-host" content="https://elsewhere.example">'

    show(page, world, head=other + meta)

    expect_drawn(page, "token-1")
    settings = page.evaluate("document.querySelector('#one').settings")
    assert (settings["host"], settings["access-token-storage"]) == (world.tenant, "memory")


def test_it_works_under_a_strict_policy(page: Page, world: World) -> None:
    world.page_policy = (
        "default-src 'none'; require-trusted-types-for 'none'; base-uri 'none'; style-src 'none';"
        f" script-src 'nonce-n0nce'; connect-src {world.bridge} {world.tenant}"
    ).replace(" require-trusted-types-for 'none';", "")
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None)

    show(page, world, script='nonce="n0nce"')
    expect_drawn(page, "token-1")
    world.person = None
    page.evaluate("qlikBridge.recheck()")

    expect(page.get_by_role("alert")).to_contain_text("signed out")
    assert [each for each in complaints if "favicon" not in each and "events" not in each] == []


def test_a_stage_moves_under_an_open_page(page: Page, world: World) -> None:
    show(page, world, TWO)
    expect_drawn(page, "token-1")
    page.evaluate("window.mine = document.querySelector('#one')")

    for path, drawn in (("jwt", "cookie"), ("oauth", "token-2"), ("jwt", "cookie")):
        world.path = world.stage = path
        page.evaluate(A_MINUTE_LATER)
        page.evaluate(COME_BACK)
        expect_state(page, "ready", path)
        expect_drawn(page, drawn)
        expect_drawn(page, drawn, "#two")

    assert page.evaluate("mine === document.querySelector('#one')"), "the page's own reference still holds"
    assert [(each.get("was"), each["path"]) for each in events(page, "path")] == [
        (None, "oauth"),
        ("oauth", "jwt"),
        ("jwt", "oauth"),
        ("oauth", "jwt"),
    ]


def test_websockets_of_the_other_path_are_not_shared(page: Page, world: World) -> None:
    """Qlik's code finds its open websockets by host, app and identity, not by credential."""
    own = '<qlik-embed id="two" ui="classic/chart" identity="left"></qlik-embed>'
    identities = "[one, two].map(({ settings }) => settings.identity)"
    show(page, world, EMBED + own)
    expect_drawn(page, "token-1", "#two")
    assert page.evaluate(identities) == [None, "left"]

    for path, moves in (("jwt", 2), ("oauth", 3)):
        world.path = path
        page.evaluate("() => { qlikBridge.recheck(); }")
        expect_state(page, "ready", path)
        assert page.evaluate(identities) == [f"bridge-{moves}", f"left-bridge-{moves}"]

    page.evaluate("qlikBridge.recheck().then(() => {})")
    page.evaluate(
        "() => { document.body.append(Object.assign(document.createElement('qlik-embed'), { id: 'three' })); }"
    )
    expect_drawn(page, "token-3", "#three")
    assert page.evaluate("three.settings.identity") == "bridge-3", "what is added later belongs to the rest"


def test_the_session_is_read_again_once_a_minute_at_most(page: Page, world: World) -> None:
    show(page, world)
    expect_state(page, "ready")

    for trigger in (COME_BACK, "window.dispatchEvent(new Event('online'))", "dispatchEvent(new Event('pageshow'))"):
        page.evaluate(trigger)
    page.evaluate(A_MINUTE_LATER)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    wait_for_event(page, "step", 4)
    page.evaluate(COME_BACK)
    page.evaluate("fetch('/favicon.ico')")

    assert [each["step"] for each in events(page, "step")].count("session") == 2
    assert len(world.asked("/t/acme/session")) == 2


def test_a_page_that_nobody_touches_follows_within_a_minute(page: Page, world: World) -> None:
    """What it asks by itself keeps no session alive, so it says that it is quiet."""
    page.clock.install()
    show(page, world)
    expect_drawn(page, "token-1")

    world.path = "jwt"
    page.clock.fast_forward(20_000)
    page.evaluate(COME_BACK)
    assert len(world.asked("/t/acme/session")) == 1
    page.clock.fast_forward(41_000)

    expect_state(page, "ready", "jwt")
    expect_drawn(page, "cookie")
    assert [call.query for call in world.asked("/t/acme/session")] == ["", "quiet"]


def test_a_page_that_nobody_sees_asks_nothing(page: Page, world: World) -> None:
    page.clock.install()
    show(page, world)
    expect_state(page, "ready")

    page.evaluate("() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true }); }")
    page.clock.fast_forward(301_000)
    assert len(world.asked("/t/acme/session")) == 1
    page.evaluate("() => { delete document.hidden; }")
    page.evaluate(COME_BACK)
    wait_for_event(page, "step", 4)

    assert [call.query for call in world.asked("/t/acme/session")] == ["", ""], "the reader is back"


def test_an_idle_session_that_ends_takes_nothing_from_a_page_that_nobody_touches(page: Page, world: World) -> None:
    page.clock.install()
    show(page, world)
    expect_drawn(page, "token-1")
    world.person = None

    with page.expect_response("**/session?quiet") as refused:
        page.clock.fast_forward(61_000)
    assert refused.value.status == 401
    page.evaluate("fetch('/favicon.ico')")
    expect_state(page, "ready")
    expect_drawn(page, "token-1")

    page.evaluate("() => { const now = Date.now; Date.now = () => now() + 601_000; }")
    page.evaluate("() => { document.dispatchEvent(new Event('pointerdown')); }")
    expect_state(page, "signed-out")


def test_a_page_that_works_goes_on_while_the_bridge_is_away(page: Page, world: World) -> None:
    page.clock.install()
    show(page, world)
    expect_drawn(page, "token-1")
    inject(page, SESSION, *[dropping] * 5)

    page.evaluate("() => { qlikBridge.recheck().then(() => (window.rechecked = true)); }")
    for failures in range(1, 5):
        assert wait_for_event(page, "error", failures)["retrying"]
        page.clock.fast_forward(10_000)
    page.wait_for_function("window.rechecked", timeout=PATIENCE_MS)

    expect_state(page, "ready")
    expect_drawn(page, "token-1")


# --- cookies blocked --------------------------------------------------------------------------------------


def test_blocked_cookies_are_explained_before_anything_of_qlik_is_loaded(page: Page, world: World) -> None:
    world.path, world.keeps_cookies = "jwt", False

    show(page, world, TWO)

    expect_state(page, "cookies-blocked", "jwt")
    expect(page.locator(".qlik-bridge-note")).to_have_count(2)
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("blocks the cookies")
    assert world.asked("/components.js") == []
    told = events(page, "error")[-1]
    assert (told["kind"], told["retrying"]) == ("cookies_blocked", False)

    page.get_by_role("button", name="Try again").first.click()
    page.wait_for_function("events.filter((each) => each.kind === 'cookies_blocked').length === 2")
    assert [json.loads(each.body) for each in world.asked("/t/acme/client-events")] == [{"kind": "cookies_blocked"}]

    world.keeps_cookies = True
    page.get_by_role("button", name="Try again").first.click()
    expect_drawn(page, "cookie")
    expect_drawn(page, "cookie", "#two")
    expect(page.locator(".qlik-bridge-note")).to_have_count(0)


def test_pages_may_show_their_own_messages(page: Page, world: World) -> None:
    world.path, world.keeps_cookies = "jwt", False

    show(page, world, script='data-messages="off"')

    expect_state(page, "cookies-blocked")
    expect(page.locator("body")).to_have_text("")


def test_a_rollback_where_cookies_are_blocked_takes_down_what_was_drawn(page: Page, world: World) -> None:
    show(page, world)
    expect_drawn(page, "token-1")
    world.path, world.keeps_cookies = "jwt", False

    page.evaluate("qlikBridge.recheck()")

    expect_state(page, "cookies-blocked", "jwt")
    expect(page.locator("qlik-embed")).to_have_count(0)
    assert page.evaluate("happened") == ["connected one Oauth2", "disconnected one"]

    world.path = "oauth"
    page.evaluate("qlikBridge.retry()")
    expect_drawn(page, "token-2")


def test_the_login_at_the_tenant_is_repeated_with_a_new_jwt(page: Page, world: World) -> None:
    world.path = "jwt"
    page.clock.install()
    inject(page, "**/login/jwt-session**", answering(503), dropping)

    show(page, world)
    for failures in (1, 2):
        assert wait_for_event(page, "error", failures)["retrying"]
        page.clock.fast_forward(5_000)

    expect_drawn(page, "cookie")
    assert len(world.asked("/t/acme/token")) == 3


def test_a_login_that_the_tenant_refuses_is_not_repeated(page: Page, world: World) -> None:
    world.path = "jwt"
    inject(page, "**/login/jwt-session**", answering(401))

    show(page, world)

    expect_state(page, "error", "jwt")
    assert events(page, "error")[-1]["kind"] == "login_failed"


def test_when_the_tenant_forgets_the_login_the_page_logs_in_again(page: Page, world: World) -> None:
    """Qlik's code calls this before it would leave for the tenant's sign-in page."""
    world.path = "jwt"
    show(page, world)
    expect_drawn(page, "cookie")
    page.evaluate(A_MINUTE_LATER)

    page.evaluate("() => { qlikBridgeLogInAgain(); qlikBridgeLogInAgain(); }")

    page.wait_for_function("happened.length === 3")
    expect_state(page, "ready")
    assert page.evaluate("happened") == ["connected one cookie", "disconnected one", "connected one cookie"]
    assert world.logged_in == 2


# --- who is signed in --------------------------------------------------------------------------------------


def test_a_session_that_ended_takes_content_down_until_the_same_person_is_back(page: Page, world: World) -> None:
    show(page, world)
    expect_drawn(page, "token-1")
    page.evaluate("window.mine = document.querySelector('#one')")
    world.person = None

    page.evaluate(A_MINUTE_LATER)
    page.evaluate(COME_BACK)

    expect_state(page, "signed-out")
    expect(page.locator("qlik-embed")).to_have_count(0)
    expect(page.get_by_role("alert")).to_contain_text("You are signed out. Sign in again.")
    assert [each["reason"] for each in events(page, "signed-out")] == ["session-ended"]

    world.person = "alice"
    page.evaluate(COME_BACK)
    expect_drawn(page, "token-2")
    assert page.evaluate("mine === document.querySelector('#one')")


def test_another_person_in_the_same_tab_starts_clean(page: Page, world: World) -> None:
    lines: list[str] = []
    page.on("console", lambda line: lines.append(line.text))
    show(page, world)
    expect_drawn(page, "token-1")
    page.evaluate("window.isTheSamePage = true")
    world.person = "bob"

    with page.expect_navigation():
        page.evaluate("() => { qlikBridge.recheck(); }")

    expect_drawn(page, "token-1")
    assert page.evaluate("[window.isTheSamePage, qlikBridge.session.subject.sub]") == [None, "bob"]
    assert any("another person" in line for line in lines)


def test_signing_out_reaches_the_other_tabs(context: BrowserContext, world: World) -> None:
    first, second = context.new_page(), context.new_page()
    for page in (first, second):
        show(page, world)
        expect_state(page, "ready")

    first.evaluate("qlikBridge.signOut()")

    for page, reason in ((first, "signed-out"), (second, "another-tab")):
        expect_state(page, "signed-out")
        assert wait_for_event(page, "signed-out")["reason"] == reason
        expect(page.locator("qlik-embed")).to_have_count(0)
    [ended] = world.asked("/t/acme/session", "DELETE")
    assert ended.headers["Csrf-Token"] == "csrf-1"


def test_signing_out_works_after_another_tab_renewed_the_session(page: Page, world: World) -> None:
    show(page, world)
    expect_state(page, "ready")
    world.csrf = "csrf-2"

    page.evaluate("() => { qlikBridge.signOut(); }")

    expect_state(page, "signed-out")
    [ended] = world.asked("/t/acme/session", "DELETE")
    assert ended.headers["Csrf-Token"] == "csrf-2"


# --- what pages may use ------------------------------------------------------------------------------------


def test_a_page_may_start_it_by_hand(page: Page, world: World) -> None:
    show(page, world, script="data-manual")
    page.evaluate("() => { window.whenReady = qlikBridge.ready; }")
    assert world.asked("/t/acme/session") == []
    assert page.locator("html").get_attribute("data-bridge-state") is None

    assert page.evaluate("qlikBridge.connect().then((session) => session.subject.sub)") == "alice"

    expect_drawn(page, "token-1")
    assert page.evaluate("whenReady.then((session) => session === qlikBridge.session)")


def test_connect_says_why_it_failed(page: Page, world: World) -> None:
    world.person = None

    show(page, world, script="data-manual")
    kind = page.evaluate("qlikBridge.connect().catch((error) => error.kind)")
    world.person = "alice"
    inject(page, SESSION, answering(403, "not_allowed"))
    refused = page.evaluate("qlikBridge.connect().catch(({ kind, code, requestId }) => [kind, code, requestId])")

    assert (kind, refused) == ("signed_out", ["session_failed", "not_allowed", "request-1"])
    expect_state(page, "error")


@pytest.mark.parametrize("path", ["jwt", "oauth"])
def test_whoami_asks_the_tenant(page: Page, world: World, path: str) -> None:
    world.path = path
    show(page, world, "")
    assert page.evaluate("qlikBridge.whoami()") == {"id": "user-1", "name": "Alice"}


def test_whoami_replaces_a_token_that_the_tenant_refuses(page: Page, world: World) -> None:
    show(page, world, "")
    expect_state(page, "ready")
    world.minted = 7

    assert page.evaluate("qlikBridge.whoami()") == {"id": "user-1", "name": "Alice"}
    assert world.token_calls[-1].headers["X-Rejected-Token"] == "id-1"


def test_host_config_is_what_qliks_own_libraries_take(page: Page, world: World) -> None:
    show(page, world)
    expect_state(page, "ready")
    assert page.evaluate("qlikBridge.hostConfig") == {
        "host": world.tenant,
        "authType": "oauth2",
        "clientId": "client-1",
        "getAccessToken": "qlikBridgeAccessToken",
    }

    world.path = "jwt"
    page.evaluate("qlikBridge.recheck()")
    expect_state(page, "ready", "jwt")
    assert page.evaluate("JSON.parse(JSON.stringify(qlikBridge.hostConfig))") == {
        "host": world.tenant,
        "authType": "cookie",
        "webIntegrationId": "web-1",
    }


def test_elements_that_are_added_later_are_drawn(page: Page, world: World) -> None:
    show(page, world, "")
    expect_state(page, "ready")
    assert world.asked("/components.js") == [], "nothing to draw, nothing to load"

    page.evaluate(f"document.body.innerHTML = '{EMBED}'")

    expect_drawn(page, "token-1")


def test_qliks_script_that_does_not_load_is_said_and_tried_again(page: Page, world: World) -> None:
    page.clock.install()
    inject(page, "**/components.js", *[dropping] * 5)

    show(page, world)
    for failures in range(1, 5):
        wait_for_event(page, "error", failures)
        page.clock.fast_forward(10_000)

    expect_state(page, "error")
    expect(page.get_by_role("alert")).to_contain_text("cannot be loaded")
    page.get_by_role("button", name="Try again").click()
    expect_drawn(page, "token-1")


def test_the_second_script_tag_does_nothing(page: Page, world: World) -> None:
    show(page, world, head=f'<script src="{world.bridge}/t/acme/embed.js" defer></script>')

    expect_drawn(page, "token-1")
    assert len(world.asked("/t/acme/session")) == 1
