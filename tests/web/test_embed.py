"""The embed contract, route by route."""

import json

import jwt
import pytest
from webkit import PORTAL_URL, Visitor, Web, problem, web

from bridge.errors import TenantThrottled
from bridge.model import Unreadable


def test_config_needs_nobody(demo: Web) -> None:
    answer = demo.visitor().get("/t/acme/config")

    assert answer.get_json() == {
        "loginTypes": {"INTERACTIVE_LOGIN": "interactive-login", "JWT_LOGIN": "jwt-login"},
        "currentLoginType": "jwt-login",
        "qlikWebIntegrationId": "web-acme",
        "tenantDomain": "acme.example.com",
        "appId": "app-acme",
        "objId": "object",
        "issuer": "issuer-acme",
        "keyid": "kid-acme",
    }


def test_token_is_a_legacy_jwt_of_the_person(demo: Web, alice: Visitor) -> None:
    signed = alice.get("/t/acme/token").get_json()["token"]

    claims = jwt.decode(signed, options={"verify_signature": False})
    assert (claims["sub"], claims["groups"]) == ("alice", ["EMEA", "Finance"])
    assert demo.qlik.calls == []


def test_retired_tenants_give_no_jwt(demo: Web, alice: Visitor) -> None:
    demo.at("retired")

    assert problem(alice.get("/t/acme/token")) == (410, "jwt_retired")


def test_session_says_all_that_a_page_needs(demo: Web, alice: Visitor) -> None:
    demo.at("rollout", subjects=frozenset({"alice"}))

    session = alice.get("/t/acme/session").get_json()

    assert len(session.pop("csrf")) == 64
    assert session == {
        "path": "oauth",
        "stage": "rollout",
        "killed": False,
        "host": "https://acme.example.com",
        "clientId": "client-acme",
        "webIntegrationId": "web-acme",
        "embedScript": demo.tenants.states["acme"].tenant.embed_script,
        "subject": {"sub": "alice", "name": "Alice", "groups": ["EMEA", "Finance"]},
    }
    assert demo.visitor("bob").get("/t/acme/session").get_json()["path"] == "jwt"


def test_access_token_is_plain_text_and_comes_from_the_store_next_time(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")

    first, second = alice.access_token(), alice.access_token()

    assert first.content_type == "text/plain; charset=utf-8"
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Token-Id"] == second.headers["Token-Id"]
    assert first.text == second.text == "fake-token-1"
    assert demo.qlik.names() == ["log_in", "mint"]


def test_access_token_as_json(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")

    answer = alice.access_token(Accept="application/json")

    assert answer.headers["Token-Id"]
    assert answer.get_json() == {
        "access_token": "fake-token-1",
        "token_type": "bearer",
        "expires_in": 21_600,
        "expires_at": "2027-01-15T14:00:00Z",
        "scope": "user_default",
    }


@pytest.mark.parametrize("accept", ["*/*", "text/plain, application/json", "application/json, text/plain, */*", ""])
def test_who_takes_text_as_gladly_gets_text(demo: Web, alice: Visitor, accept: str) -> None:
    demo.at("oauth")

    assert alice.access_token(Accept=accept).text == "fake-token-1"


def test_a_rejected_token_is_replaced_when_it_is_dead(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    first = alice.access_token()
    demo.qlik.revoked.add(first.text)

    second = alice.access_token(**{"X-Rejected-Token": first.headers["Token-Id"]})

    assert second.text == "fake-token-2"


def test_people_on_jwt_get_no_token(demo: Web, alice: Visitor) -> None:
    assert problem(alice.access_token()) == (409, "still_on_jwt")
    assert demo.qlik.calls == []


def test_a_throttled_tenant_says_when_to_come_back(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    demo.qlik.fail["log_in"] = [TenantThrottled(retry_after_s=6.2)]

    answer = alice.access_token()

    assert problem(answer) == (503, "tenant_throttled")
    assert answer.headers["Retry-After"] == "7"


def test_csrf_token_serves_pages_made_from_the_sample(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    token = alice.get("/csrf-token").get_json()["csrfToken"]

    for header in ("CSRF-Token", "X-CSRF-Token"):
        assert alice.post("/access-token", headers={header: token}).text == "fake-token-1"
    assert problem(demo.visitor().get("/csrf-token")) == (401, "not_signed_in")


def test_sample_config(demo: Web, alice: Visitor) -> None:
    answer = alice.post("/config", headers=alice.csrf())

    assert answer.get_json() == {
        "tenantUri": "https://acme.example.com",
        "oAuthFrontEndClientId": "client-acme",
        "appId": "app-acme",
        "sheetId": "",
        "objectId": "object",
        "fieldId": "",
        "assistantId": "",
        "agenticAssistantId": "",
        "hypercubeDimension": "",
        "hypercubeMeasure": "Sum(Sales)",
        "masterDimension": "",
        "masterMeasure": "",
        "userEmail": "alice@example.com",
    }
    assert problem(demo.visitor().post("/config")) == (401, "not_signed_in")
    assert problem(alice.post("/config")) == (403, "bad_csrf")


# --- refusals --------------------------------------------------------------------------------------------

ROUTES = [
    ("GET", "token"),
    ("GET", "session"),
    ("GET", "app-sheets"),
    ("GET", "hypercube"),
    ("GET", "user-attributes"),
    ("POST", "access-token"),
    ("POST", "config"),
    ("POST", "frames"),
    ("POST", "client-events"),
]


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_nobody_gets_nothing(demo: Web, method: str, route: str) -> None:
    demo.at("oauth")
    answer = demo.visitor()._ask(method, f"/t/acme/{route}")

    assert problem(answer) == (401, "not_signed_in")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert demo.qlik.calls == []


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_who_is_not_admitted_gets_nothing_and_the_tenant_hears_nothing(demo: Web, method: str, route: str) -> None:
    demo.at("oauth")
    bob = demo.visitor("bob")
    csrf = bob.csrf()
    demo.change(required_group="Finance")

    assert problem(bob._ask(method, f"/t/acme/{route}", headers=csrf)) == (403, "not_allowed")
    assert demo.qlik.calls == []
    assert demo.subjects.rows == {}


@pytest.mark.parametrize("route", ["config", "token", "session", "app-sheets", "hypercube", "embed.js"])
def test_an_unknown_tenant_is_named_so(alice: Visitor, route: str) -> None:
    assert problem(alice.get(f"/t/nowhere/{route}")) == (404, "unknown_tenant")


@pytest.mark.parametrize("token", ["", "made up", "ünïcode", "0" * 64])
def test_a_wrong_csrf_token_is_refused(demo: Web, alice: Visitor, token: str) -> None:
    demo.at("oauth")

    answer = alice.post("/t/acme/access-token", headers={"CSRF-Token": token})

    assert problem(answer) == (403, "bad_csrf")
    assert demo.qlik.calls == []


def test_the_csrf_token_of_somebody_else_is_refused(demo: Web, alice: Visitor) -> None:
    theirs = demo.visitor("bob").csrf()

    assert problem(alice.post("/t/acme/access-token", headers=theirs)) == (403, "bad_csrf")


def test_a_user_named_in_body_or_query_is_never_honoured(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    named = {"sub": "bob", "subject": "bob", "userId": "id-bob", "user": "bob", "username": "bob", "email": "bob@x.y"}

    answer = alice.post("/t/acme/access-token", headers=alice.csrf(), json=named, query_string=named)

    assert answer.status_code == 200
    assert demo.qlik.calls == [("log_in", "acme", "alice"), ("mint", "acme", "id-alice")]
    session = alice.get("/t/acme/session", query_string=named).get_json()
    assert session["subject"]["sub"] == "alice"


def test_two_people_in_one_browser_never_share_a_token(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    hers, old_cookie, old_csrf = alice.access_token().text, alice.cookie(), alice.csrf()
    assert alice.sign_in("bob").status_code == 303

    assert problem(alice.post("/t/acme/access-token", headers=old_csrf)) == (403, "bad_csrf")
    assert alice.access_token().text != hers
    assert old_cookie
    stolen = {"Authorization": f"Bearer {old_cookie}"}
    assert problem(demo.visitor().get("/t/acme/session", headers=stolen)) == (401, "not_signed_in")


def test_sessions_end_when_idle_and_when_old(demo: Web, alice: Visitor) -> None:
    for _ in range(9):
        demo.clock.advance(3000)
        assert alice.get("/t/acme/session").status_code == 200
    demo.clock.advance(3000)
    assert alice.get("/t/acme/session").status_code == 401

    idle = demo.visitor("alice")
    demo.clock.advance(3000)
    assert idle.get("/t/acme/session?quiet").status_code == 200
    demo.clock.advance(601)
    assert idle.get("/t/acme/session").status_code == 401


def test_sessions_of_a_way_that_is_off_by_now_count_no_more(demo: Web, portal: Web, alice: Visitor) -> None:
    value = alice.cookie()
    portal.sessions.rows = demo.sessions.rows

    answer = portal.visitor().get("/t/acme/session", headers={"Authorization": f"Bearer {value}"})

    assert problem(answer) == (401, "not_signed_in")


def test_with_no_way_on_everything_is_refused() -> None:
    closed = web(BRIDGE_PUBLIC_URL=PORTAL_URL)
    for headers in ({}, closed.vouch(), {"X-Forwarded-User": "alice"}):
        assert problem(closed.visitor().get("/t/acme/session", headers=headers)) == (401, "not_signed_in")


@pytest.mark.parametrize("store", ["tenants", "sessions", "subjects", "tokens"])
def test_a_broken_store_is_said_so(demo: Web, alice: Visitor, store: str) -> None:
    demo.at("oauth")
    csrf = alice.csrf()
    getattr(demo, store).broken = True

    answer = alice.post("/t/acme/access-token", headers=csrf)

    assert problem(answer) == (503, "store_error")
    assert answer.headers["Retry-After"] == "1"


# --- root aliases ----------------------------------------------------------------------------------------


def test_root_routes_belong_to_the_default_tenant(demo: Web, alice: Visitor) -> None:
    assert alice.get("/config").get_json()["issuer"] == "issuer-acme"
    assert alice.get("/session").get_json()["host"] == "https://acme.example.com"
    assert alice.get("/embed.js").status_code == 200
    demo.at("oauth")
    assert alice.post("/access-token", headers=alice.csrf()).text == "fake-token-1"


def test_root_routes_belong_to_the_tenant_of_the_host(portal: Web) -> None:
    portal.change("globex", portal_hosts=["portal.globex.com:8443"])
    visitor = portal.visitor()

    claimed = visitor.get("/config", base_url="https://Portal.GLOBEX.com:8443")
    unclaimed = visitor.get("/config")

    assert claimed.get_json()["issuer"] == "issuer-globex"
    assert problem(unclaimed) == (404, "unknown_tenant")


def test_the_host_of_a_tenant_that_cannot_be_read_gets_no_other_one(demo: Web, alice: Visitor) -> None:
    demo.tenants.bad["initech"] = Unreadable("name: Field required", frozenset({"localhost:8000"}))

    assert problem(alice.get("/config")) == (503, "unreadable_tenant")
    assert problem(alice.get("/t/initech/config")) == (503, "unreadable_tenant")
    assert alice.get("/t/acme/config").status_code == 200


# --- old frames ------------------------------------------------------------------------------------------


def test_what_stands_for_old_frames(alice: Visitor) -> None:
    chart, snapshot = "https://acme.example.com/single/?appid=a&obj=o&opt=debug", "/single/?appid=a&snapshot=s"

    answer = alice.post("/t/acme/frames", json={"addresses": [chart, snapshot]}, headers=alice.csrf())

    attributes = {"ui": "classic/chart", "app-id": "a", "object-id": "o"}
    none = "has no equivalent"
    assert answer.get_json() == {
        "replacements": [
            {
                "elements": [{"tag": "qlik-embed", "attributes": attributes, "children": [], "text": ""}],
                "differences": [{"name": "opt", "value": "debug", "why": none}],
                "verdict": "different",
            },
            {
                "elements": [],
                "differences": [{"name": "snapshot", "value": "s", "why": none}],
                "verdict": "none",
            },
        ]
    }


@pytest.mark.parametrize("body", ["", "[]", '{"addresses":[1]}', f'{{"addresses":{json.dumps(["/"] * 101)}}}'])
def test_frames_are_addresses_and_not_too_many(alice: Visitor, body: str) -> None:
    answer = alice.post("/t/acme/frames", data=body, headers=alice.csrf())

    assert problem(answer) == (400, "bad_request")


# --- what pages report -----------------------------------------------------------------------------------


def counted(demo: Web) -> float | None:
    labels = {"tenant": "acme", "kind": "cookies_blocked"}
    return demo.metrics.registry.get_sample_value("bridge_client_events_total", labels)


def test_client_events_are_counted_once_a_minute(demo: Web, alice: Visitor) -> None:
    event = {"json": {"kind": "cookies_blocked"}, "headers": alice.csrf()}

    assert alice.post("/t/acme/client-events", **event).status_code == 204
    again = alice.post("/t/acme/client-events", **event)
    assert problem(again) == (429, "too_many")
    assert int(again.headers["Retry-After"]) >= 1
    assert counted(demo) == 1
    demo.clock.advance(60)
    assert alice.post("/t/acme/client-events", **event).status_code == 204
    assert counted(demo) == 2


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"kind":"made up"}', '{"kind":"login_failed","sub":"bob"}'])
def test_client_events_take_known_kinds_alone(alice: Visitor, body: str) -> None:
    answer = alice.post("/t/acme/client-events", data=body, headers=alice.csrf())

    assert problem(answer) == (400, "bad_request")
    assert "bob" not in answer.text


@pytest.mark.parametrize(
    ("stage", "kind", "rejected"),
    [("oauth", "whoami_failed", 1), ("oauth", "cookies_blocked", 0), ("shadow", "whoami_failed", 0)],
)
def test_a_page_that_the_tenant_lets_in_with_no_token_counts_for_the_guardrails(
    demo: Web, alice: Visitor, stage: str, kind: str, rejected: int
) -> None:
    demo.at(stage)
    for _ in range(2):
        alice.post("/t/acme/client-events", json={"kind": kind}, headers=alice.csrf())
    demo.bridge.measures.flush()

    assert demo.measures.tallies({"acme"}, 0).get("acme", {}).get("rejected", 0) == rejected


def test_embed_js_is_a_script_that_caches_revalidate(demo: Web) -> None:
    first = demo.visitor().get("/t/acme/embed.js")
    again = demo.visitor().get("/t/acme/embed.js", headers={"If-None-Match": first.headers["ETag"]})

    assert "javascript" in first.content_type
    assert "qlikBridge" in first.text
    assert first.headers["Cache-Control"] == "no-cache"
    assert again.status_code == 304


def test_the_fake_tenant_is_asked_as_the_person(demo: Web) -> None:
    demo.at("oauth")
    for name in ("alice", "bob"):
        demo.visitor(name).access_token()

    assert [call[2] for call in demo.qlik.calls] == ["alice", "id-alice", "bob", "id-bob"]


# --- signing out -----------------------------------------------------------------------------------------


def test_signing_out_by_cookie_ends_session_and_tokens_of_this_tenant(demo: Web, alice: Visitor) -> None:
    for slug in ("acme", "globex"):
        demo.at("oauth", slug=slug)
        alice.access_token(slug)

    assert problem(alice.delete("/t/acme/session")) == (403, "bad_csrf")
    assert alice.delete("/t/acme/session", headers=alice.csrf()).status_code == 204
    assert alice.cookie() is None
    assert demo.qlik.revoked == {"fake-token-1"}
    assert problem(alice.get("/t/acme/session")) == (401, "not_signed_in")


def test_signing_out_by_bearer_ends_that_session(portal: Web) -> None:
    portal.at("oauth")
    page = portal.visitor()
    opened = page.post("/t/acme/session", headers=portal.vouch() | {"Sec-Fetch-Site": "cross-site"}).get_json()
    bearer = {"Authorization": f"Bearer {opened['session']}"}
    page.post("/t/acme/access-token", headers=bearer)

    assert page.delete("/t/acme/session", headers=bearer).status_code == 204
    assert portal.qlik.revoked == {"fake-token-1"}
    assert problem(page.get("/t/acme/session", headers=bearer)) == (401, "not_signed_in")


def test_a_portals_backend_signs_somebody_out_of_the_tenant(portal: Web) -> None:
    portal.at("oauth")
    portal.visitor().post("/t/acme/access-token", headers=portal.vouch("ada"))
    portal.visitor().post("/t/acme/access-token", headers=portal.vouch("bea"))

    assert portal.visitor().delete("/t/acme/session", headers=portal.vouch("ada")).status_code == 204
    assert portal.qlik.revoked == {"fake-token-1"}


def test_somebody_who_is_not_admitted_any_more_can_still_sign_out(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    alice.access_token()
    csrf = alice.csrf()
    demo.change(required_group="Others")

    assert alice.delete("/t/acme/session", headers=csrf).status_code == 204
    assert demo.qlik.revoked == {"fake-token-1"}


def test_an_assertion_for_another_tenant_signs_nobody_out(portal: Web) -> None:
    portal.at("oauth")
    portal.visitor().post("/t/acme/access-token", headers=portal.vouch("ada"))

    elsewhere = portal.visitor().delete("/t/acme/session", headers=portal.vouch("ada", tenant="globex"))

    assert problem(elsewhere) == (403, "not_allowed")
    assert portal.qlik.revoked == set()
