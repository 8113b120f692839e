"""/_sandbox: state, calls, faults, clock, people, tokens, clients, reset."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.kit import IMPERSONATION, error

if TYPE_CHECKING:
    from sandbox.kit import Sandbox

COUNT = "/api/v1/users/actions/count"


def state(acme: Sandbox) -> dict[str, Any]:
    return dict(acme.call("GET", "/_sandbox/state").json or {})


def test_the_state_shows_everything_that_others_need(acme: Sandbox) -> None:
    acme.token("alice")
    found = state(acme)
    assert found["tenant"] == {"id": acme.tenant.id, "slug": "acme", "name": "Acme", "origin": "http://127.0.0.1:9001"}
    assert [person["name"] for person in found["people"]] == ["alice", "bob", "carol", "dave", "erin"]
    assert sorted(user["subject"] for user in found["users"])[:2] == ["alice", "dave"]
    assert [idp["description"] for idp in found["identity_providers"]] == ["portal", "bridge-sync"]
    assert all(idp["certificate"].startswith("-----BEGIN CERT") for idp in found["identity_providers"])
    assert all(idp["private_key"].startswith("-----BEGIN PRIV") for idp in found["identity_providers"])
    by_role = {client["role"]: client for client in found["clients"]}
    assert by_role["issuing"]["allowed_grant_types"] == [IMPERSONATION]
    assert by_role["issuing"]["private_key"].startswith("-----BEGIN PRIV")
    assert by_role["management"]["allowed_scopes"] == ["admin_classic", "user_default"]
    assert found["web_integrations"][0]["valid_origins"] == ["http://localhost:8000"]
    assert [(token["kind"], token["revoked"]) for token in found["tokens"]] == [("access", False)]
    assert found["sessions"][0]["user_id"] in [user["id"] for user in found["users"]]
    assert found["clock_offset_s"] == 0
    assert found["switches"]["jwt_claims"] == "strict"


def test_calls_are_logged_with_client_and_user(acme: Sandbox) -> None:
    token = acme.token("alice")
    acme.api("GET", COUNT + "?a=b", token)
    acme.post_token(IMPERSONATION, acme.issuing, client_secret="wrong")
    acme.call("GET", COUNT)
    calls = acme.call("GET", "/_sandbox/calls").json
    assert isinstance(calls, list)
    client, issuer = acme.issuing.client_id, acme.tenant.identity_providers[0].issuer
    assert [tuple(call[key] for key in ("method", "path", "status", "client", "user")) for call in calls] == [
        ("POST", "/login/jwt-session", 200, issuer, "alice"),
        ("POST", "/oauth/token", 200, client, "alice"),
        ("GET", COUNT, 200, client, "alice"),
        ("POST", "/oauth/token", 401, client, None),
        ("GET", COUNT, 401, None, None),
    ]
    assert calls == sorted(calls, key=lambda call: call["time"])
    assert acme.call("DELETE", "/_sandbox/calls").status_code == 204
    assert acme.call("GET", "/_sandbox/calls").json == []


def fault(acme: Sandbox, **fields: object) -> int:
    return acme.call("POST", "/_sandbox/faults", json=fields).status_code


def test_a_fault_answers_once_unless_told_otherwise(acme: Sandbox) -> None:
    token = acme.token("alice")

    def get() -> int:
        return acme.api("GET", COUNT, token).status_code

    assert fault(acme, endpoint=COUNT, status=503) == 201
    assert [get(), get()] == [503, 200]
    fault(acme, endpoint="/api/*", status=500, times=2)
    assert [get(), get(), get()] == [500, 500, 200]
    fault(acme, endpoint=COUNT, status=502, times=None)
    assert [get(), get(), get()] == [502, 502, 502]
    assert acme.call("DELETE", "/_sandbox/faults").status_code == 204
    assert get() == 200
    fault(acme, endpoint="/api/v1/users", status=500)
    assert get() == 200


def test_a_429_fault_looks_like_a_rate_limit(acme: Sandbox) -> None:
    fault(acme, endpoint=COUNT, status=429, retry_after=7)
    answer = acme.call("GET", COUNT)
    assert (answer.headers["Retry-After"], error(answer)["code"]) == ("7", "HTTP-429")


def test_faults_can_answer_anything(acme: Sandbox) -> None:
    fault(acme, endpoint=COUNT, body="<h1>Bad Gateway</h1>", content_type="text/html", status=502)
    answer = acme.call("GET", COUNT)
    assert (answer.status_code, answer.mimetype, answer.text) == (502, "text/html", "<h1>Bad Gateway</h1>")
    fault(acme, endpoint=COUNT, body="{}")
    assert (acme.call("GET", COUNT).status_code, acme.tenant.memory.faults) == (200, [])
    fault(acme, endpoint=COUNT, status=204)
    assert acme.call("GET", COUNT).data == b""
    fault(acme, endpoint=COUNT, bytes=10_000_000)
    assert len(acme.call("GET", COUNT).data) == 10_000_000
    fault(acme, endpoint=COUNT, location="https://elsewhere.example/")
    moved = acme.call("GET", COUNT)
    assert (moved.status_code, moved.headers["Location"]) == (302, "https://elsewhere.example/")


def test_latency_alone_still_does_the_work(acme: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("bridge.sandbox.app.time.sleep", waited.append)
    token = acme.token("alice")
    fault(acme, endpoint=COUNT, latency_ms=250)
    assert acme.api("GET", COUNT, token).status_code == 200
    assert waited == [0.25]


def test_a_drop_before_does_nothing_and_a_drop_after_does_the_work(acme: Sandbox) -> None:
    for when, sessions in (("before", 0), ("after", 1)):
        fault(acme, endpoint="/login/jwt-session", drop=when)
        with pytest.raises(ConnectionResetError):
            acme.post_login(acme.sign(acme.claims()))
        assert len(acme.tenant.memory.sessions) == sessions
    calls = acme.call("GET", "/_sandbox/calls").json
    assert isinstance(calls, list)
    assert [call["status"] for call in calls] == [None, 200]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"endpoint": "api"},
        {"endpoint": 7},
        {"endpoint": "/", "drop": "never"},
        {"endpoint": "/", "status": "500"},
        {"endpoint": "/", "status": True},
        {"endpoint": "/", "colour": "red"},
        {"endpoint": "/", "latency_ms": -1},
        {"endpoint": "/", "status": 99},
    ],
)
def test_a_fault_that_makes_no_sense_is_400(acme: Sandbox, sent: dict[str, object]) -> None:
    assert fault(acme, **sent) == 400
    assert acme.call("GET", "/_sandbox/faults").json == []


def test_the_clock_moves_the_date_header_too(acme: Sandbox) -> None:
    before = parsedate_to_datetime(acme.call("GET", "/login").headers["Date"])
    acme.clock(-3600)
    dates = acme.call("GET", "/login").headers.getlist("Date")
    assert len(dates) == 1
    assert -3601 <= (parsedate_to_datetime(dates[0]) - before).total_seconds() <= -3598


def test_the_clock_stays_within_ten_years(acme: Sandbox) -> None:
    for offset in (1e300, -1e300, "5", True):
        assert acme.call("POST", "/_sandbox/clock", json={"offset_s": offset}).status_code == 400


def test_people_are_shared_by_all_tenants(acme: Sandbox, globex: Sandbox) -> None:
    change = {"groups": ["EMEA"], "display_name": "A", "email": "a@x.io"}
    answer = globex.call("PATCH", "/_sandbox/people/alice", json=change)
    expected = {"name": "alice", "subject": "alice", "disabled": False, **change}
    assert answer.json == expected
    assert state(acme)["people"][0] == expected
    assert acme.call("PATCH", "/_sandbox/people/nobody", json={}).status_code == 404
    for bad in ({"groups": "EMEA"}, {"groups": [7]}, {"subject": "bob"}, {"disabled": 1}):
        assert acme.call("PATCH", "/_sandbox/people/alice", json=bad).status_code == 400


def test_disabling_a_person_disables_the_users_they_have(acme: Sandbox, globex: Sandbox) -> None:
    acme.login("alice")
    globex.call("PATCH", "/_sandbox/people/alice", json={"disabled": True})
    assert acme.impersonate("alice").status_code == 403
    acme.call("PATCH", "/_sandbox/people/alice", json={"disabled": False})
    assert acme.impersonate("alice").status_code == 200


def test_expiring_tokens(acme: Sandbox) -> None:
    alice, bob, carol = (acme.token(name) for name in ("alice", "bob", "carol"))

    def live() -> list[bool]:
        return [acme.api("GET", "/api/v1/users/me", token).status_code == 301 for token in (alice, bob, carol)]

    def expire(**chosen: str) -> object:
        return acme.call("POST", "/_sandbox/tokens/expire", json=chosen).json

    assert (expire(user="alice"), live()) == ({"expired": 1}, [False, True, True])
    token_id = next(token["id"] for token in state(acme)["tokens"] if token["token"] == bob)
    assert (expire(token_id=token_id), live()) == ({"expired": 1}, [False, False, True])
    assert expire(user="nobody") == {"expired": 0}
    assert acme.call("POST", "/_sandbox/tokens/expire").json == {"expired": 3}
    assert live() == [False, False, False]


def test_unknown_clients_are_404(acme: Sandbox) -> None:
    assert acme.call("POST", "/_sandbox/clients/x/secret").status_code == 404
    assert acme.call("PATCH", "/_sandbox/clients/x", json={}).status_code == 404


def test_switches_change_all_or_none(acme: Sandbox) -> None:
    for bad in ({"tempo": 1}, {"jwt_claims": "loose"}, {"tier_window_s": 0}, {"tier_window_s": True}):
        answer = acme.call("POST", "/_sandbox/switches", json={"access_token_s": 60, **bad})
        assert answer.status_code == 400
        assert "llowed" in error(answer)["detail"] or "there are" in error(answer)["detail"]
    assert acme.tenant.switches.access_token_s == 21600


def test_reset_puts_everything_back_but_keys_and_ids(acme: Sandbox) -> None:
    before = state(acme)
    acme.token("alice")
    acme.switch(jwt_claims="lax")
    acme.clock(99)
    fault(acme, endpoint="/", status=500)
    acme.call("PATCH", "/_sandbox/people/alice", json={"groups": []})
    acme.call("PATCH", f"/_sandbox/clients/{acme.issuing.client_id}", json={"consent_method": "required"})
    assert acme.call("POST", "/_sandbox/reset").status_code == 204
    after = state(acme)
    for part in (
        "tenant",
        "people",
        "identity_providers",
        "clients",
        "switches",
        "sessions",
        "tokens",
        "clock_offset_s",
    ):
        assert after[part] == before[part], part
    assert {user["id"] for user in after["users"]} == {user["id"] for user in before["users"]}
    assert acme.call("GET", "/_sandbox/faults").json == []


def test_a_bug_is_a_500_in_the_envelope(acme: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.sandbox.login.check_returnto", lambda *_: 1 / 0)
    answer = acme.call("GET", "/login")
    assert (answer.status_code, error(answer)["code"]) == (500, "HTTP-500")
