"""POST /login/jwt-session: the JWT's rules, the user it makes, the groups it sets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from sandbox.kit import ORIGIN, PORTAL, error, group_names, with_cookies

if TYPE_CHECKING:
    from bridge.sandbox.tenant import Tenant
    from sandbox.kit import Sandbox


def test_a_login_answers_an_empty_object_and_four_cookies(acme: Sandbox) -> None:
    answer = acme.post_login(acme.sign(acme.claims()))
    assert (answer.status_code, answer.json) == (200, {})
    lines = answer.headers.getlist("Set-Cookie")
    assert [line.split("=")[0] for line in lines] == ["eas.sid", "eas.sid.sig", "_csrfToken", "_csrfToken.sig"]
    assert all("Secure" in line and "SameSite=None" in line and "Path=/" in line for line in lines)
    assert ["HttpOnly" in line for line in lines] == [True, True, False, False]
    assert not any("Partitioned" in line for line in lines)


def test_a_first_login_creates_the_user_with_the_groups_of_the_claim(acme: Sandbox) -> None:
    me = acme.me(acme.token("alice"))
    assert (me["subject"], me["name"], me["email"], me["status"]) == ("alice", "Alice", "alice@example.com", "active")
    assert group_names(me) == ["EMEA", "Finance"]
    assert {group.get("providerType") for group in me["assignedGroups"]} == {"idp"}
    assert me["groups"] == ["Finance", "EMEA"]


def test_a_later_login_replaces_name_email_and_idp_groups(acme: Sandbox) -> None:
    token = acme.token("alice")
    acme.login("alice", name="Alice B", email="ab@example.com", groups=["EMEA"])
    me = acme.me(token)
    assert (me["name"], me["email"], group_names(me)) == ("Alice B", "ab@example.com", ["EMEA"])


def test_an_empty_groups_claim_takes_all_idp_groups_away(acme: Sandbox) -> None:
    token = acme.token("alice")
    acme.login("alice", groups=[])
    assert group_names(acme.me(token)) == []


def test_many_groups_with_any_name_survive(acme: Sandbox) -> None:
    names = ["a b", "o'neil", 'say "hi"', "Zürich", "東京", *(f"g{number}" for number in range(295))]
    acme.switch(max_jwt_bytes=0)
    token = acme.token("alice")
    acme.login("alice", groups=names)
    assert group_names(acme.me(token)) == sorted(names)


def test_subjects_that_differ_by_case_are_two_users(acme: Sandbox) -> None:
    assert acme.me(acme.token("Alice"))["id"] != acme.me(acme.token("alice"))["id"]


def test_no_group_is_created_when_auto_creation_is_off(acme: Sandbox) -> None:
    patch = [{"op": "replace", "path": "/autoCreateGroups", "value": False}]
    assert acme.api("PATCH", "/api/v1/groups/settings", json=patch).status_code == 204
    assert group_names(acme.me(acme.token("alice"))) == []


@pytest.mark.parametrize(
    "claim", ["iss", "aud", "sub", "subType", "name", "email", "email_verified", "jti", "iat", "nbf", "exp"]
)
def test_each_claim_is_required(acme: Sandbox, claim: str) -> None:
    claims = acme.claims()
    del claims[claim]
    answer = acme.post_login(acme.sign(claims))
    if claim == "iss":  # nobody can be asked to vouch for it
        assert answer.status_code == 401
        return
    assert answer.status_code == 400
    found = error(answer)
    assert (found["code"], found["status"]) == ("INTERNAL-TOKEN-1", "400")
    assert found["detail"] == f"JWT_LOGIN_VALIDATIONS Missing required claim: {claim}"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"aud": "https://elsewhere.example"}, 400),
        ({"aud": ["qlik.api/login/jwt-session"]}, 400),
        ({"subType": "bot"}, 400),
        ({"sub": ""}, 400),
        ({"email_verified": "yes"}, 400),
        ({"name": 7}, 400),
        ({"exp": "tomorrow"}, 400),
        ({"exp": True}, 400),
        ({"groups": "Finance"}, 400),
        ({"groups": ["Finance", 7]}, 400),
        ({"jti": ["once"]}, 400),
        ({"nbf": 0}, 400),
        ({"exp": time.time() + 100_000}, 400),
        ({"exp": float("nan")}, 400),
        ({"exp": 10**400}, 400),
        ({"iss": "https://stranger.example"}, 401),
    ],
)
def test_a_claim_that_breaks_a_rule_is_refused(acme: Sandbox, change: dict[str, Any], status: int) -> None:
    assert acme.post_login(acme.sign(acme.claims(**change))).status_code == status


def test_a_window_of_exactly_an_hour_is_fine(acme: Sandbox) -> None:
    now = int(time.time())
    assert acme.post_login(acme.sign(acme.claims(nbf=now, exp=now + 3600))).status_code == 200
    assert acme.post_login(acme.sign(acme.claims(nbf=now, exp=now + 3601))).status_code == 400


def test_a_jwt_counts_once(acme: Sandbox) -> None:
    token = acme.sign(acme.claims())
    assert [acme.post_login(token).status_code for _ in range(2)] == [200, 401]


def test_two_providers_may_use_the_same_jti(acme: Sandbox) -> None:
    acme.login(jti="same")
    sync = acme.tenant.identity_providers[1].issuer
    assert acme.post_login(acme.sign(acme.claims(jti="same", iss=sync), provider=1)).status_code == 200


def test_wrong_kid_key_and_algorithm_are_refused(acme: Sandbox, globex: Sandbox) -> None:
    portal, sync = acme.tenant.identity_providers
    claims = acme.claims()
    wrong = [
        jwt.encode(claims, portal.private_key, algorithm="RS256", headers={"kid": "unknown"}),
        jwt.encode(claims, portal.private_key, algorithm="RS256"),
        jwt.encode(claims, sync.private_key, algorithm="RS256", headers={"kid": portal.kid}),
        jwt.encode(claims, "", algorithm="none", headers={"kid": portal.kid}),
        jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": portal.kid}),
        globex.sign(globex.claims()),
        "no.jwt.here",
        "",
    ]
    assert [acme.post_login(token).status_code for token in wrong] == [401] * len(wrong)
    assert list(acme.tenant.memory.sessions) == []


def test_a_clock_that_is_off_by_five_minutes_is_refused(acme: Sandbox) -> None:
    early = acme.sign(acme.claims())
    acme.clock(300)
    assert error(acme.post_login(early))["detail"] == "The token is expired"
    late = acme.sign(acme.claims())
    acme.clock(-300)
    assert error(acme.post_login(late))["detail"] == "The token is not valid yet"


def test_a_disabled_user_cannot_sign_in(acme: Sandbox) -> None:
    answer = acme.post_login(acme.sign(acme.claims("dave")))
    assert answer.status_code == 403
    assert error(answer)["status"] == "403"


def test_a_deleted_user_comes_back_as_another_one(acme: Sandbox) -> None:
    first = acme.me(acme.token("alice"))["id"]
    assert acme.api("DELETE", f"/api/v1/users/{first}").status_code == 204
    assert acme.me(acme.token("alice"))["id"] != first


def test_both_providers_know_the_same_alice(acme: Sandbox) -> None:
    token = acme.token("alice")
    sync = acme.tenant.identity_providers[1].issuer
    acme.post_login(acme.sign(acme.claims(iss=sync, groups=["EMEA"]), provider=1))
    assert group_names(acme.me(token)) == ["EMEA"]


def test_a_page_of_another_origin_needs_a_web_integration(acme: Sandbox) -> None:
    integration = acme.tenant.web_integrations[0].id
    token = acme.sign(acme.claims())
    assert acme.post_login(token, Origin=PORTAL).status_code == 401
    named = {"Origin": PORTAL, "qlik-web-integration-id": integration}
    assert acme.post_login(token, **named).status_code == 200
    foreign = {"Origin": "https://evil.example", "qlik-web-integration-id": integration}
    assert acme.post_login(acme.sign(acme.claims()), **foreign).status_code == 401


def test_blanks_around_the_integration_id_in_the_query_do_not_matter(acme: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {acme.sign(acme.claims())}", "Origin": PORTAL}
    path = f"/login/jwt-session?qlik-web-integration-id={acme.tenant.web_integrations[0].id}++"
    assert acme.call("POST", path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("returnto", "code"),
    [("javascript:alert(1)", "LOGIN-8"), ("//evil.example", "LOGIN-8"), ("https://evil.example/x", "LOGIN-10")],
)
def test_login_and_logout_send_nobody_elsewhere(acme: Sandbox, returnto: str, code: str) -> None:
    for path in ("/login", "/logout"):
        answer = acme.call("GET", path, query_string={"returnto": returnto})
        assert (answer.status_code, error(answer)["code"]) == (401, code)


def test_the_login_page_says_what_it_is_and_sends_a_signed_in_person_back(acme: Sandbox) -> None:
    page = acme.call("GET", "/login?returnto=/<b>")
    assert "sandbox tenant" in page.text
    assert "/&lt;b&gt;" in page.text
    assert acme.call("GET", "/login?prompt=none").status_code == 401
    signed_in = with_cookies(acme.login())
    back = acme.call("GET", f"/login?returnto={ORIGIN}/x", headers=signed_in)
    assert (back.status_code, back.headers["Location"]) == (302, f"{ORIGIN}/x")


def test_logout_ends_the_session_and_clears_the_cookies(acme: Sandbox) -> None:
    signed_in = with_cookies(acme.login())
    assert acme.call("GET", "/api/v1/users/me", headers=signed_in).status_code == 301
    answer = acme.call("GET", "/logout?returnto=/bye", headers=signed_in)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/bye")
    assert len([line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]) == 4
    assert acme.call("GET", "/api/v1/users/me", headers=signed_in).status_code == 401


def test_ends_of_a_session(acme: Sandbox) -> None:
    signed_in = with_cookies(acme.login())

    def status(offset: float) -> int:
        acme.clock(offset)
        return acme.call("GET", "/api/v1/users/me", headers=signed_in).status_code

    assert [status(offset) for offset in (0, 3500, 3500 + 3599)] == [301, 301, 301]
    assert status(3500 + 3599 + 3601) == 401


def test_another_tenants_session_is_refused(acme: Sandbox, globex: Sandbox) -> None:
    signed_in = with_cookies(acme.login())
    assert globex.call("GET", "/api/v1/users/me", headers=signed_in).status_code == 401


def test_jtis_are_forgotten_after_their_time(acme: Sandbox) -> None:
    tenant: Tenant = acme.tenant
    tenant.memory.seen_jtis.update({("old", str(number)): 1.0 for number in range(999)})
    acme.login()
    assert len(tenant.memory.seen_jtis) == 1
