"""What a browser minds: CORS, preflights, cookies of other origins, CSRF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.kit import ORIGIN, PORTAL, error, with_cookies

if TYPE_CHECKING:
    from sandbox.kit import Sandbox

EVIL = "https://evil.example"


def test_a_listed_origin_gets_exact_credentialed_cors(acme: Sandbox) -> None:
    answer = acme.call("GET", "/api/v1/csrf-token", headers={"Origin": PORTAL})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == PORTAL
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Expose-Headers"] == "qlik-csrf-token"
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", [EVIL, f"{PORTAL}.evil.example", "http://localhost:8001", "null"])
def test_any_other_origin_gets_none(acme: Sandbox, origin: str) -> None:
    headers = {"Origin": origin, "Authorization": f"Bearer {acme.token('alice')}"}
    answer = acme.call("GET", "/api/v1/users", headers=headers)
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


def test_a_preflight_names_the_documented_headers(acme: Sandbox) -> None:
    for path in ("/login/jwt-session", "/oauth/token", "/api/v1/users/me", "/nowhere"):
        headers = {"Origin": PORTAL, "Access-Control-Request-Method": "POST"}
        answer = acme.call("OPTIONS", path, headers=headers)
        assert answer.status_code == 204
        allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
        assert {"authorization", "content-type", "qlik-csrf-token", "qlik-web-integration-id"} <= set(allowed)
        assert answer.headers["Access-Control-Allow-Origin"] == PORTAL


def test_the_controls_have_no_cors_and_answer_no_page_and_no_stranger(acme: Sandbox) -> None:
    for origin in (PORTAL, EVIL):
        answer = acme.call("GET", "/_sandbox/state", headers={"Origin": origin})
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    stranger = acme.call("GET", "/_sandbox/state", environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert stranger.status_code == 403
    rebound = acme.http.get("/_sandbox/state", base_url="http://evil.example")
    assert rebound.status_code == 403
    assert acme.http.get("/_sandbox/state", base_url="http://[::1]:9001").status_code == 200


def test_cookies_of_another_origin_need_a_web_integration(acme: Sandbox) -> None:
    cookies = acme.login()
    integration = acme.tenant.web_integrations[0].id

    def status(origin: str, path: str = "/api/v1/users/me", **headers: str) -> int:
        return acme.call("GET", path, headers=with_cookies(cookies, Origin=origin, **headers)).status_code

    named = {"qlik-web-integration-id": integration}
    assert status(PORTAL) == 401
    assert status(PORTAL, **named) == 301
    assert status(PORTAL, f"/api/v1/users/me?qlik-web-integration-id=+{integration}++") == 301
    assert status(EVIL, **named) == 401
    assert status(ORIGIN) == 301


def test_csrf_tokens_come_in_a_header(acme: Sandbox) -> None:
    cookies = acme.login()
    answer = acme.call("GET", "/api/v1/csrf-token", headers=with_cookies(cookies))
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["qlik-csrf-token"] == cookies["_csrfToken"]
    assert acme.api("GET", "/api/v1/csrf-token", acme.token("alice")).status_code == 400


def test_a_cookie_write_needs_the_csrf_token(acme: Sandbox) -> None:
    cookies = acme.login()

    def post(name: str, **headers: str) -> int:
        return acme.call(
            "POST", "/api/v1/spaces", json={"name": name}, headers=with_cookies(cookies, **headers)
        ).status_code

    refused = acme.call("POST", "/api/v1/spaces", json={"name": "a"}, headers=with_cookies(cookies))
    assert refused.status_code == 403
    assert (refused.json or {})["code"] == "CSRF-TOKEN-2"
    assert error(refused)["code"] == "CSRF-TOKEN-2"
    assert post("a", **{"qlik-csrf-token": "wrong"}) == 403
    assert post("a", **{"qlik-csrf-token": cookies["_csrfToken"]}) == 201


def test_a_token_call_with_a_stale_session_beside_it_needs_no_csrf(acme: Sandbox) -> None:
    cookies = acme.login()
    fields = {"client_id": acme.management.client_id, "client_secret": acme.management.client_secret}
    sent = {"grant_type": "client_credentials", **fields}
    assert acme.call("POST", "/oauth/token", json=sent, headers=with_cookies(cookies)).status_code == 200


def test_a_bearer_token_rules_out_the_cookie(acme: Sandbox) -> None:
    headers = with_cookies(acme.login(), Authorization="Bearer wrong")
    assert acme.call("GET", "/api/v1/users/me", headers=headers).status_code == 401


def test_a_cookie_whose_signature_does_not_match_is_refused(acme: Sandbox) -> None:
    cookies = acme.login() | {"eas.sid.sig": "0" * 64}
    assert acme.call("GET", "/api/v1/users/me", headers=with_cookies(cookies)).status_code == 401
