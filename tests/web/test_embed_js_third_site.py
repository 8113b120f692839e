"""embed.js in a page of another site than the bridge: an assertion of the page's own server, a bearer in memory."""

import pytest
from embedkit import (
    SESSION,
    World,
    answering,
    ask_for_token,
    dropping,
    events,
    expect_drawn,
    expect_state,
    inject,
    show,
    token_in_hand,
    wait_for_event,
)
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.real_client

VOUCHED = 'data-session-url="/assertion"'
COME_BACK = "() => { document.dispatchEvent(new Event('visibilitychange')); }"
A_MINUTE_LATER = "() => { const now = Date.now; Date.now = () => now() + 61_000; }"


@pytest.fixture
def world(world: World) -> World:
    """Nobody has a session of the bridge."""
    world.person = None
    return world


def show_third(page: Page, world: World, script: str = VOUCHED) -> None:
    show(page, world, script=script, site=world.portal)


@pytest.mark.parametrize("path", ["jwt", "oauth"])
def test_an_assertion_opens_a_session_without_a_cookie(page: Page, world: World, path: str) -> None:
    """The tenant is on the bridge's site here: on `jwt` its cookie is a third-party one and would be blocked."""
    world.path = path

    show_third(page, world)

    expect_state(page, "ready" if path == "oauth" else "cookies-blocked", path)
    asked = [call for call in world.calls if call.path.startswith("/t/acme/") and call.path != "/t/acme/embed.js"]
    assert asked[0].headers["Authorization"] == "Bearer a.alice.1"
    assert {call.headers["Authorization"] for call in asked[1:]} == {"Bearer bearer-1"}
    assert not [call for call in asked if "Cookie" in call.headers]
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_a_bearer_that_ended_is_renewed_by_another_assertion(page: Page, world: World) -> None:
    page.clock.install()
    show_third(page, world)
    expect_drawn(page, "token-1")
    world.bearers.clear()

    ask_for_token(page)
    wait_for_event(page, "error")
    page.clock.fast_forward(10_000)

    assert token_in_hand(page) == "token-2"
    assert world.token_calls[-1].headers["Authorization"] == "Bearer bearer-2"
    assert events(page, "signed-out") == []


def test_each_attempt_has_an_assertion_of_its_own(page: Page, world: World) -> None:
    page.clock.install()
    inject(page, SESSION, dropping, answering(503, "store_error"))

    show_third(page, world)
    for failures in (1, 2):
        wait_for_event(page, "error", failures)
        page.clock.fast_forward(10_000)

    expect_drawn(page, "token-1")
    assert len(world.asked("/assertion")) == 3


def test_a_portal_where_nobody_is_signed_in(page: Page, world: World) -> None:
    """Its route then leads to a sign-in page."""
    world.portal_person = None

    show_third(page, world)

    expect_state(page, "signed-out")
    assert wait_for_event(page, "signed-out")["reason"] == "session-ended"
    assert world.asked("/t/acme/session") == []
    world.portal_person = "alice"
    page.evaluate(COME_BACK)
    expect_drawn(page, "token-1")


def test_an_assertion_that_the_bridge_does_not_believe_is_no_sign_out(page: Page, world: World) -> None:
    inject(page, SESSION, answering(401, "not_signed_in"))

    show_third(page, world)

    expect_state(page, "error")
    told = wait_for_event(page, "error")
    assert (told["kind"], told["code"], told["retrying"]) == ("session_failed", "not_signed_in", False)
    expect(page.get_by_role("alert")).to_contain_text("This is not_signed_in.")


def test_another_person_at_the_portal_starts_clean(page: Page, world: World) -> None:
    show_third(page, world)
    expect_drawn(page, "token-1")
    world.portal_person = "bob"
    world.bearers.clear()
    page.evaluate(A_MINUTE_LATER)

    with page.expect_navigation():
        page.evaluate(COME_BACK)

    expect_state(page, "ready")
    assert page.evaluate("qlikBridge.session.subject.sub") == "bob"


def test_who_signs_out_stays_out(context: BrowserContext, world: World) -> None:
    """The portal would still vouch for the person, but no tab asks it before somebody wants to."""
    page, other = context.new_page(), context.new_page()
    for each in (page, other):
        show_third(each, world)
        expect_state(each, "ready")

    page.evaluate("() => { qlikBridge.signOut(); }")
    for each, reason in ((page, "signed-out"), (other, "another-tab")):
        expect_state(each, "signed-out")
        assert wait_for_event(each, "signed-out")["reason"] == reason

    for each in (page, other):
        each.evaluate("() => { qlikBridge.recheck().then(() => { window.rechecked = true; }); }")
        each.wait_for_function("window.rechecked")
        expect_state(each, "signed-out")
    page.get_by_role("button", name="Try again").click()
    expect_drawn(page, "token-2")
    expect_state(page, "ready")


def test_a_page_may_bring_the_assertion_itself(page: Page, world: World) -> None:
    show_third(page, world, "data-manual")

    connect = "(assertion) => qlikBridge.connect({ assertion }).then((session) => session.subject.sub)"
    assert page.evaluate(connect, world.vouch("alice")) == "alice"
    expect_drawn(page, "token-1")

    world.bearers.clear()
    page.evaluate("() => { qlikBridge.recheck(); }")
    expect_state(page, "signed-out")
    assert page.evaluate(connect, world.vouch("alice")) == "alice"
    expect_drawn(page, "token-2")


def test_an_assertion_that_the_bridge_could_not_take_is_shown_again(page: Page, world: World) -> None:
    """Never is a cookie asked instead, which may be that of somebody else."""
    page.clock.install()
    show_third(page, world, "data-manual")
    inject(page, SESSION, answering(503, "store_error"))

    page.evaluate("(assertion) => { qlikBridge.connect({ assertion }); }", world.vouch("alice"))
    assert wait_for_event(page, "error")["retrying"]
    page.clock.fast_forward(10_000)

    expect_drawn(page, "token-1")
    assert world.asked("/t/acme/session", "GET") == []
