"""Who has a token already is answered before Flask looks: to the letter as the view answers, refusals included."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs
from webkit import ASSERTION, ELSEWHERE, HEADER, PORTAL_URL, Visitor, Web, web
from werkzeug.test import TestResponse

from bridge.services.sessions import IDLE_S, LIFETIME_S
from bridge.web.tokens import ShortWay

ADDRESS = "/t/acme/access-token"
OF_ITS_OWN = {"Server-Timing"}
BEARER, COOKIE = "a bearer", "a cookie"

Ask = Callable[..., TestResponse]


@pytest.fixture
def views(portal: Web, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the address of each request that comes as far as a view."""
    seen: list[str] = []
    dispatch = portal.app.dispatch_request

    def noting() -> Any:  # noqa: ANN401 - as Flask has it
        from flask import request  # noqa: PLC0415

        seen.append(request.path)
        return dispatch()

    monkeypatch.setattr(portal.app, "dispatch_request", noting)
    return seen


@pytest.fixture(params=[BEARER, COOKIE])
def ask(request: pytest.FixtureRequest, portal: Web) -> Ask:
    """Ask as somebody who was given a token before, by what their page holds."""
    return asking(portal, by_cookie=request.param == COOKIE)


def asking(portal: Web, *, by_cookie: bool, **claims: Any) -> Ask:  # noqa: ANN401 - whatever a test invents
    visitor = portal.visitor()
    signed_in = visitor.post(
        "/t/acme/session", headers=portal.vouch(**claims) | ({"Sec-Fetch-Site": "same-origin"} if by_cookie else {})
    )
    proof = {"CSRF-Token": signed_in.get_json()["csrf"]} if by_cookie else {}
    if not by_cookie:
        proof = {"Authorization": f"Bearer {signed_in.get_json()['session']}"}

    def one(path: str = ADDRESS, *, headers: dict[str, str] | None = None, **options: Any) -> TestResponse:  # noqa: ANN401
        sent = {name: value for name, value in ({"X-Request-Id": "page-1"} | proof | (headers or {})).items() if value}
        return visitor.post(path, headers=sent, **options)

    one()
    return one


@contextmanager
def the_long_way(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(ShortWay, "answer", lambda *_: None)
        yield


def said(answer: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.data, sorted(each for each in answer.headers if each[0] not in OF_ITS_OWN)


def both_ways(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], TestResponse]) -> TestResponse:
    """Ask twice, and return the answer of the short way once it is the same."""
    with the_long_way(monkeypatch):
        long = ask()
    short = ask()
    assert said(short) == said(long)
    return short


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "application/json"},
        {"Accept": "text/plain, application/json;q=0.5", "X-Rejected-Token": ""},
        {"Origin": PORTAL_URL},
        {"Origin": ELSEWHERE},
        {"Cookie": "neighbour=\xe9; \xff"},
    ],
    ids=str,
)
def test_who_has_a_token_gets_what_the_view_would_answer(
    ask: Ask, views: list[str], headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = both_ways(monkeypatch, lambda: ask(headers=headers))

    assert answer.status_code == 200
    assert answer.headers["Token-Id"]
    assert views == [ADDRESS], "the view was asked once, when the short way was closed"


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X-Rejected-Token": "other"}},
        {"headers": {"Origin": "https://evil.example"}},
        {"headers": {"CSRF-Token": "wrong"}},
        {"headers": {"Authorization": "Bearer qbs_unknown"}},
        {"headers": {"Authorization": "Bearer qbo_operator"}},
        {"headers": {"Authorization": "Basic YTpi"}},
        {"headers": {"Authorization": "Bearer "}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"Upgrade": "websocket", "Connection": "upgrade"}},
        {"headers": {"Upgrade": "websocket", "Connection": "upgrade", "CSRF-Token": "wrong"}},
        {"data": "{}"},
        {"headers": {"Content-Length": "70000"}},
        {"path": "/t/nobody/access-token"},
        {"path": "/t/globex/access-token"},
        {"path": "/t/acme/access-token/"},
        {"path": "/t/acme/access-token?tenant=globex"},
        {"path": "/t/ACME/access-token"},
    ],
    ids=str,
)
def test_whatever_is_not_plain_is_answered_by_the_view(
    ask: Ask, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    both_ways(monkeypatch, lambda: ask(**options))


@pytest.mark.parametrize("host", ["a b/<c>", "a..b", ".", "a" * 64 + ".example.com", "[::1]:8080", "localhost:"])
def test_a_strange_host_changes_nothing(ask: Ask, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    both_ways(monkeypatch, lambda: ask(headers={"Host": host}))


def _signed_out(portal: Web, _ask: Ask) -> None:
    portal.sessions.rows.clear()


def _idle(portal: Web, _ask: Ask) -> None:
    portal.clock.advance(IDLE_S + 1)


def _too_old(portal: Web, ask: Ask) -> None:
    ends = portal.clock() + LIFETIME_S
    while portal.clock() <= ends:
        portal.clock.advance(IDLE_S / 2)
        ask()


def _back_on_jwt(portal: Web, _ask: Ask) -> None:
    portal.at("legacy")


def _in_no_cohort(portal: Web, _ask: Ask) -> None:
    portal.at("rollout")


def _not_admitted(portal: Web, _ask: Ask) -> None:
    portal.change(admits=["demo"])


def _of_a_group_that_is_not_theirs(portal: Web, _ask: Ask) -> None:
    portal.change(required_group="Others")
    portal.at("oauth")


def _to_be_minted_anew(portal: Web, _ask: Ask) -> None:
    portal.tokens.rows.clear()


def _asking_too_often(portal: Web, ask: Ask) -> None:
    for _ in range(portal.settings.subject_requests_per_minute):
        ask()


def _without_a_database(portal: Web, _ask: Ask) -> None:
    portal.tenants.broken = True


@pytest.mark.parametrize(
    ("happened", "status"),
    [
        (_signed_out, 401),
        (_idle, 401),
        (_too_old, 401),
        (_back_on_jwt, 409),
        (_in_no_cohort, 409),
        (_not_admitted, 403),
        (_of_a_group_that_is_not_theirs, 403),
        (_to_be_minted_anew, 200),
        (_asking_too_often, 429),
        (_without_a_database, 503),
    ],
)
def test_what_happened_since_counts_at_once(
    portal: Web,
    ask: Ask,
    happened: Callable[[Web, Ask], None],
    status: int,
    views: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened(portal, ask)
    views.clear()
    answer = ask()
    assert (answer.status_code, views) == (status, [ADDRESS]), answer.data
    both_ways(monkeypatch, ask)


def test_it_is_counted_measured_and_logged_like_any_other(portal: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = asking(portal, by_cookie=False)

    def noted() -> tuple[list[dict[str, Any]], dict[str, float]]:
        before = _counts(portal)
        with capture_logs() as logs:
            ask()
        after = _counts(portal)
        lines = [{name: value for name, value in line.items() if name not in {"ms", "request_id"}} for line in logs]
        return lines, {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name)}

    with the_long_way(monkeypatch):
        long = noted()
    short = noted()

    assert short == long
    assert short[0][0]["origin"] == "store"
    assert short[1]['bridge_http_requests_total{route="/t/<tenant>/access-token",status="200"}'] == 1


def _counts(portal: Web) -> dict[str, float]:
    lines = generate_latest(portal.metrics.registry).decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs if "_total{" in name or "_count{" in name}


def test_where_it_ends_it_leaves_no_trace(portal: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by Flask before any view: the line says nothing of who asked for what."""
    asked = asking(portal, by_cookie=False)

    def line() -> dict[str, Any]:
        with capture_logs() as logs:
            asked(headers={"Upgrade": "websocket", "Connection": "upgrade", "Authorization": "Bearer qbs_unknown"})
        return {name: value for name, value in logs[-1].items() if name != "ms"}

    with the_long_way(monkeypatch):
        long = line()
    assert line() == long


def test_whatever_breaks_on_it_is_met_by_the_view(
    portal: Web, ask: Ask, views: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal.bridge.broker, "kept", lambda *_: 1 / 0)

    assert ask().status_code == 200
    assert views == [ADDRESS]


def test_whoever_asks_too_often_counts_as_served_nowhere(portal: Web) -> None:
    asked = asking(portal, by_cookie=False)
    answers = [asked().status_code for _ in range(portal.settings.subject_requests_per_minute)]
    served = [value for name, value in _counts(portal).items() if name.startswith("bridge_tokens_issued_total{")]

    assert 429 in answers
    assert sum(served) == answers.count(200) + 1, "and one was minted first"


def test_each_request_counts_once_whichever_way_it_goes(portal: Web) -> None:
    asked = asking(portal, by_cookie=False)
    allowance = portal.settings.subject_requests_per_minute
    answers = [asked().status_code for _ in range(allowance)]

    # the sign-in and the first token count, too
    assert answers.index(429) == allowance - 2


def test_a_proxys_word_counts_more_than_a_cookie() -> None:
    found = web(
        **HEADER | {"BRIDGE_IDENTITY": "header,assertion"},
        **{name: value for name, value in ASSERTION.items() if name.startswith("BRIDGE_ASSERTION")},
    )
    found.at("oauth")
    visitor = found.visitor(peer="10.0.0.5")
    signed_in = visitor.post("/t/acme/session", headers=found.vouch("ada") | {"Sec-Fetch-Site": "same-origin"})
    proof = {"CSRF-Token": signed_in.get_json()["csrf"]}
    assert visitor.post(ADDRESS, headers=proof).status_code == 200

    bob = {"X-Forwarded-User": "bob", "X-Forwarded-Groups": '["Sales"]', "X-Forwarded-Name": "Bob"}
    bob["X-Forwarded-Email"] = "bob@example.com"
    assert visitor.post(ADDRESS, headers=proof | bob).status_code == 403, "ada's proof is none for bob"


def test_the_demo_keeps_its_guard(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    assert alice.access_token().status_code == 200
    assert alice.post(ADDRESS, base_url="http://rebound.example:8000").status_code == 400
