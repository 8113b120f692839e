"""Other origins: exactly those that the tenant lists, at its embeds alone."""

import pytest
from webkit import ELSEWHERE, Visitor, Web, problem

OURS = "http://localhost:8000"
PAGES = ["/", "/admin/", "/login", "/config", "/session", "/token", "/embed.js"]


@pytest.mark.parametrize("path", ["/t/acme/config", "/t/acme/session", "/t/acme/nothing", "/t/acme/embed.js"])
def test_a_listed_origin_may_read_answers_and_errors(demo: Web, path: str) -> None:
    headers = demo.visitor().get(path, headers={"Origin": ELSEWHERE}).headers

    assert headers["Access-Control-Allow-Origin"] == ELSEWHERE
    assert headers["Access-Control-Allow-Credentials"] == "true"
    exposed = set(headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed == {"Retry-After", "X-Request-Id", "Token-Id", "Server-Timing"}
    assert headers["Timing-Allow-Origin"] == ELSEWHERE
    assert "Origin" in headers["Vary"]


def test_preflight_allows_what_pages_send(demo: Web) -> None:
    asked = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}

    answer = demo.visitor().options("/t/acme/access-token", headers=asked)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ELSEWHERE
    allowed = {name.lower() for name in answer.headers["Access-Control-Allow-Headers"].split(", ")}
    assert allowed == {
        "authorization",
        "content-type",
        "csrf-token",
        "x-csrf-token",
        "x-rejected-token",
        "x-request-id",
    }
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://app.example.com:443",
        "https://app.example.com/",
        "http://app.example.com",
        "https://APP.example.com",
        "https://app.example",
        "https://app.example.com https://evil.example",
        "*",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_any_other_origin_may_not(demo: Web, origin: str, method: str) -> None:
    headers = demo.visitor()._ask(method, "/t/acme/session", headers={"Origin": origin}).headers

    assert [name for name in headers.keys() if name.startswith(("Access-Control", "Timing-Allow"))] == []  # noqa: SIM118 - not a dict
    assert "Origin" in headers["Vary"]


def test_answers_without_origin_vary_too(demo: Web) -> None:
    headers = demo.visitor().get("/t/acme/config").headers

    assert "Origin" in headers["Vary"]
    assert "Access-Control-Allow-Origin" not in headers


def test_origins_belong_to_one_tenant(demo: Web) -> None:
    demo.change("globex", allowed_origins=[])

    headers = demo.visitor().get("/t/globex/config", headers={"Origin": ELSEWHERE}).headers

    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", [*PAGES, "/api/v1/tenants", "/api/v1/audit", "/metrics", "/t", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_nothing_else_has_cors(demo: Web, path: str, method: str) -> None:
    headers = demo.visitor("erin")._ask(method, path, headers={"Origin": ELSEWHERE}).headers

    assert [name for name in headers.keys() if name.startswith(("Access-Control", "Timing-Allow"))] == []  # noqa: SIM118 - not a dict


def test_with_the_store_away_there_is_an_answer_without_cors(demo: Web) -> None:
    demo.tenants.broken = True

    answer = demo.visitor().get("/t/acme/config", headers={"Origin": ELSEWHERE})

    assert problem(answer) == (503, "store_error")
    assert "Access-Control-Allow-Origin" not in answer.headers


# --- an embedding page can read a session's CSRF token; it must not act as our own pages do --------------


def test_an_embedding_page_gets_tokens_but_moves_no_stage(demo: Web, erin: Visitor) -> None:
    demo.at("oauth")
    from_elsewhere = erin.csrf() | {"Origin": ELSEWHERE}

    assert erin.post("/t/acme/access-token", headers=from_elsewhere).status_code == 200
    for path in ("/api/v1/tenants/acme/stage", "/admin/tenants/acme/stage", "/logout", "/access-token"):
        answer = erin.post(path, data={"to": "legacy"}, headers=from_elsewhere)
        assert answer.status_code == 403
        assert "bad_csrf" in answer.text
    assert demo.tenants.states["acme"].rollout.stage == "oauth"


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "http://localhost:8001", "https://localhost"])
def test_foreign_origins_change_nothing_even_with_the_token(demo: Web, alice: Visitor, origin: str) -> None:
    demo.at("oauth")

    assert problem(alice.access_token(Origin=origin)) == (403, "bad_csrf")


def test_our_own_pages_may(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")

    assert alice.access_token(Origin=OURS).status_code == 200
