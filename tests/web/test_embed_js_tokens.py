"""embed.js and its tokens: whatever happens, Qlik's code gets a token in the end and never a rejection."""

import random
from collections.abc import Callable

import pytest
from embedkit import (
    PATIENCE_MS,
    SESSION,
    TOKEN,
    Fault,
    World,
    answering,
    ask_for_token,
    dropping,
    events,
    expect_drawn,
    expect_state,
    garbling,
    hanging,
    has_no_token,
    inject,
    show,
    token_in_hand,
    wait_for_event,
)
from playwright.sync_api import Page, Route, expect

pytestmark = pytest.mark.real_client

LONGEST_ATTEMPT_MS = 20_000
LONGEST_PAUSE_MS = 10_000
ATTEMPTS = 5
PASSING: dict[str, Fault] = {
    "500": answering(500, "internal_error"),
    "502": answering(502, "tenant_garbled"),
    "503": answering(503, "tenant_unavailable", **{"Retry-After": "1"}),
    "504": answering(504, "tenant_timeout"),
    "429": answering(429, "too_many", **{"Retry-After": "2"}),
    "proxy": answering(502),
    "drop": dropping,
    "hang": hanging,
    "garbage": garbling,
    "empty": answering(200),
}


def opened(page: Page, world: World) -> None:
    """Open a page that has drawn its embed with the first token, at a clock that the test moves on."""
    page.clock.install()
    show(page, world)
    expect_drawn(page, "token-1")


def overcome(page: Page, fault: Fault, failures: int) -> None:
    """Let a fault happen and the pause after it go by."""
    if fault is hanging:
        page.clock.fast_forward(LONGEST_ATTEMPT_MS)
    wait_for_event(page, "error", failures)
    page.clock.fast_forward(LONGEST_PAUSE_MS)


def fail_all_attempts(page: Page) -> None:
    """See every attempt fail, and the page give up."""
    for failures in range(1, ATTEMPTS):
        assert wait_for_event(page, "error", failures)["retrying"]
        page.clock.fast_forward(LONGEST_PAUSE_MS)
    assert not wait_for_event(page, "error", ATTEMPTS)["retrying"]


def tokens_told(page: Page) -> int:
    """Return how often the page said that it asked for a token; it asks for news by itself besides."""
    return [each["step"] for each in events(page, "step")].count("token")


def test_embeds_that_ask_at_once_share_one_request(page: Page, world: World) -> None:
    show(page, world, "".join(f'<qlik-embed id="e{number}" ui="classic/chart"></qlik-embed>' for number in range(8)))

    for number in range(8):
        expect_drawn(page, "token-1", f"#e{number}")
    assert len(world.token_calls) == 1
    assert world.token_calls[0].headers.get("X-Rejected-Token", "") == ""


def test_who_asks_again_says_that_the_last_token_was_refused(page: Page, world: World) -> None:
    opened(page, world)

    ask_for_token(page)

    assert token_in_hand(page) == "token-2"
    assert world.token_calls[-1].headers["X-Rejected-Token"] == "id-1"


def test_a_token_is_renewed_before_its_end_and_given_at_the_next_ask(page: Page, world: World) -> None:
    world.token_life_s = 3600
    opened(page, world)
    page.clock.fast_forward((3600 - 660) * 1000)
    assert tokens_told(page) == 1, "nothing new"
    world.minted = 2  # the bridge has a new one from now on

    with page.expect_response(TOKEN):
        page.clock.fast_forward(500_000)

    assert not world.token_calls[-1].headers.get("X-Rejected-Token")
    page.wait_for_function("events.filter(({ step }) => step === 'token').length === 2")
    ask_for_token(page)
    assert token_in_hand(page) == "token-2"
    assert len(world.token_calls) == 2


def test_what_passes_is_tried_again(page: Page, world: World) -> None:
    opened(page, world)

    for number, (name, fault) in enumerate(PASSING.items(), 1):
        inject(page, TOKEN, fault)
        with page.expect_request(TOKEN):
            ask_for_token(page)
        overcome(page, fault, number)

        assert token_in_hand(page) == f"token-{number + 1}", name
        assert len(events(page, "error")) == number, name


def test_nobody_comes_back_before_the_time_that_the_bridge_named(page: Page, world: World) -> None:
    opened(page, world)
    inject(page, TOKEN, answering(503, "tenant_throttled", **{"Retry-After": "60"}))

    ask_for_token(page)
    wait_for_event(page, "error")
    page.clock.fast_forward(50_000)
    assert tokens_told(page) == 2, "the first and the refusal: nothing was asked"

    page.clock.fast_forward(20_000)
    assert token_in_hand(page) == "token-2"


HEALING: dict[str, Callable[[Page], object]] = {
    "retry": lambda page: page.evaluate("() => { qlikBridge.retry(); }"),
    "online": lambda page: page.evaluate("() => { dispatchEvent(new Event('online')); }"),
    "visible": lambda page: page.evaluate("() => { document.dispatchEvent(new Event('visibilitychange')); }"),
    "button": lambda page: page.get_by_role("button", name="Try again").click(),
}


@pytest.mark.parametrize("heal", HEALING.values(), ids=HEALING)
def test_a_token_that_nobody_gives_stays_open_until_somebody_looks(
    page: Page, world: World, heal: Callable[[Page], object]
) -> None:
    opened(page, world)
    inject(page, TOKEN, *[dropping] * ATTEMPTS)

    ask_for_token(page)
    fail_all_attempts(page)

    expect_state(page, "error")
    expect(page.get_by_role("alert")).to_contain_text("Qlik content cannot be shown")
    expect_drawn(page, "token-1")
    assert has_no_token(page)
    heal(page)
    assert token_in_hand(page) == "token-2"
    expect_state(page, "ready")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_what_does_not_pass_is_said_at_once(page: Page, world: World) -> None:
    opened(page, world)
    final = [
        (403, "sync_refused"),
        (403, "subject_not_provisioned"),
        (403, "not_allowed"),
        (502, "tenant_refused"),
        (403, ""),
    ]

    for number, (status, code) in enumerate(final, 1):
        inject(page, TOKEN, answering(status, code))
        ask_for_token(page)

        told = wait_for_event(page, "error", number)
        assert (told["kind"], told["retrying"], told.get("code")) == ("token_failed", False, code or None)
        assert has_no_token(page)
        page.evaluate("() => { qlikBridge.retry(); }")
        assert token_in_hand(page) == f"token-{number + 1}"


def test_a_token_that_was_never_there_is_told_too(page: Page, world: World) -> None:
    inject(page, TOKEN, answering(403, "sync_refused"))

    show(page, world)

    expect_state(page, "error", "oauth")
    expect(page.get_by_role("alert")).to_contain_text("This is sync_refused.")
    page.get_by_role("button", name="Try again").click()
    expect_drawn(page, "token-1")
    expect_state(page, "ready")


# --- the session behind the token --------------------------------------------------------------------------


def test_another_csrf_token_after_signing_in_again(page: Page, world: World) -> None:
    opened(page, world)
    world.csrf = "csrf-2"

    ask_for_token(page)
    wait_for_event(page, "error")
    page.clock.fast_forward(LONGEST_PAUSE_MS)

    assert token_in_hand(page) == "token-2"
    assert [call.headers["Csrf-Token"] for call in world.token_calls[-2:]] == ["csrf-1", "csrf-2"]


def test_a_csrf_token_that_is_never_right_ends_in_words(page: Page, world: World) -> None:
    opened(page, world)
    inject(page, TOKEN, *[answering(403, "bad_csrf")] * 3)

    ask_for_token(page)
    wait_for_event(page, "error")
    page.clock.fast_forward(LONGEST_PAUSE_MS)

    assert not wait_for_event(page, "error", 2)["retrying"]
    assert len(world.asked("/t/acme/session")) == 2
    assert has_no_token(page)


def test_a_session_that_ended_keeps_the_token_open_until_the_person_is_back(page: Page, world: World) -> None:
    opened(page, world)
    world.person = None

    ask_for_token(page)

    expect_state(page, "signed-out")
    assert wait_for_event(page, "signed-out")["reason"] == "session-ended"
    assert has_no_token(page)
    world.person = "alice"
    page.evaluate("() => { document.dispatchEvent(new Event('visibilitychange')); }")
    assert token_in_hand(page).startswith("token-")
    expect_state(page, "ready")


def test_an_answer_that_comes_after_signing_out_is_of_no_use(page: Page, world: World) -> None:
    opened(page, world)
    waiting: list[Route] = []
    page.route(TOKEN, lambda route: waiting.append(route))  # noqa: PLW0108 - Playwright cannot take a builtin
    with page.expect_request(TOKEN):
        ask_for_token(page)

    world.person = None
    page.evaluate("() => { qlikBridge.recheck(); }")
    expect_state(page, "signed-out")
    with page.expect_response(TOKEN):
        waiting[0].fulfill(status=200, json={"access_token": "late", "expires_in": 600})

    page.unroute(TOKEN)
    world.person = "alice"
    page.evaluate("() => { qlikBridge.retry(); }")
    assert token_in_hand(page).startswith("token-")


def test_a_rollback_while_a_token_is_open(page: Page, world: World) -> None:
    """The promise is not forgotten: it is answered when the path comes back."""
    opened(page, world)
    world.path = "jwt"

    ask_for_token(page)

    expect_state(page, "ready", "jwt")
    expect_drawn(page, "cookie")
    assert has_no_token(page)
    world.path = "oauth"
    page.evaluate("() => { qlikBridge.recheck(); }")
    assert token_in_hand(page).startswith("token-")
    expect_state(page, "ready", "oauth")


def test_moving_to_oauth_after_failures(page: Page, world: World) -> None:
    """A token that is open since before, a path that moved twice: one promise, one answer."""
    opened(page, world)
    inject(page, TOKEN, *[dropping] * ATTEMPTS)
    ask_for_token(page)
    fail_all_attempts(page)

    for path in ("jwt", "oauth"):
        world.path = path
        page.evaluate("() => { qlikBridge.retry(); }")
        expect_state(page, "ready", path)

    assert token_in_hand(page).startswith("token-")


# --- everything at once --------------------------------------------------------------------------------------


ADDRESSES = [SESSION, "**/t/acme/token", TOKEN, "**/login/jwt-session**", "**/api/v1/csrf-token", "**/components.js"]


@pytest.mark.parametrize("seed", range(4))
def test_page_loads_with_faults_everywhere(page: Page, world: World, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - chosen so that a failure can be repeated
    world.path = ("jwt", "oauth")[seed % 2]
    page.clock.install()
    for address in ADDRESSES:
        inject(page, address, *([chance.choice([dropping, answering(503)])] if chance.random() < 0.6 else []))

    show(page, world)
    failures = 0
    while page.locator('html[data-bridge-state="ready"]').count() == 0:
        page.wait_for_function(
            "count => document.documentElement.dataset.bridgeState === 'ready'"
            " || events.filter(({ name }) => name === 'error').length > count",
            arg=failures,
            timeout=PATIENCE_MS,
        )
        failures += 1
        page.clock.fast_forward(LONGEST_PAUSE_MS)

    expect_state(page, "ready", world.path)
    expect_drawn(page, "cookie" if world.path == "jwt" else "token-1")


@pytest.mark.parametrize("address", ADDRESSES[:-1])
def test_a_page_load_where_something_never_answers(page: Page, world: World, address: str) -> None:
    world.path = "oauth" if address == TOKEN else "jwt"
    page.clock.install()
    inject(page, address, hanging)

    with page.expect_request(address):
        show(page, world)
    page.clock.fast_forward(LONGEST_ATTEMPT_MS)
    assert wait_for_event(page, "error")["retrying"]
    page.clock.fast_forward(LONGEST_PAUSE_MS)

    expect_state(page, "ready", world.path)
    expect_drawn(page, "token-1" if address == TOKEN else "cookie")


def test_a_script_of_qlik_that_comes_late_is_used(page: Page, world: World) -> None:
    page.clock.install()
    waiting: list[Route] = []
    page.route("**/components.js", lambda route: waiting.append(route))  # noqa: PLW0108 - as above

    with page.expect_request("**/components.js"):
        show(page, world)
    page.clock.fast_forward(LONGEST_ATTEMPT_MS)
    assert wait_for_event(page, "error")["retrying"]
    waiting[0].fallback()

    expect_drawn(page, "token-1")
    expect_state(page, "ready")
