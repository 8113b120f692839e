"""/api/v1/audits: what happened, for whom, in pages that stay put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.kit import ACCESS_TOKEN, EXCHANGE, IMPERSONATION, PORTAL, error, with_cookies

if TYPE_CHECKING:
    from sandbox.kit import Sandbox

AUDITS = "/api/v1/audits"
BEGIN, END = "com.qlik.user-session.begin", "com.qlik.user-session.end"
ISSUED, REVOKED = "com.qlik.oauth-token.issued", "com.qlik.oauth-token.revoked"


def page(acme: Sandbox, **query: object) -> dict[str, Any]:
    answer = acme.api("GET", AUDITS, query_string=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def listed(acme: Sandbox, **query: object) -> list[dict[str, Any]]:
    return list(page(acme, **query)["data"])


def user_id(acme: Sandbox, subject: str) -> str:
    user = acme.tenant.user_by_subject(subject)
    assert user
    return user.id


def test_a_login_and_an_impersonation_leave_events_that_name_who_and_how(acme: Sandbox) -> None:
    assert acme.post_login(acme.sign(acme.claims() | {"iss": acme.tenant.identity_providers[1].issuer}, 1)).status_code
    token = acme.impersonate("alice").json or {}

    issued, began = listed(acme, userId=user_id(acme, "alice"))
    assert (issued["eventType"], began["eventType"]) == (ISSUED, BEGIN)
    assert began["source"] == "com.qlik/edge-auth"
    assert began["tenantId"] == acme.tenant.id
    assert began["extensions"] == {"originip": "127.0.0.1"}
    sync = acme.tenant.identity_providers[1].id
    assert began["data"] == {"idpId": sync, "subject": "alice", "recovery": False, "userType": "user"}
    assert issued["data"]["grantType"] == IMPERSONATION
    assert issued["data"]["scopes"] == ["user_default"]
    assert issued["data"]["issuedToClientId"] == acme.issuing.client_id
    assert issued["data"]["resourceOwner"] == user_id(acme, "alice")
    live = (acme.api("GET", f"/api/v1/oauth-tokens?userId={user_id(acme, 'alice')}").json or {})["data"]
    assert [issued["data"]["id"]] == [each["id"] for each in live]
    assert token["access_token"] not in acme.api("GET", AUDITS).text
    assert acme.api("GET", f"{AUDITS}/{began['id']}").json == began


def test_a_refused_login_and_a_refused_token_leave_none(acme: Sandbox) -> None:
    acme.post_login(acme.sign(acme.claims(iss="nobody")))
    acme.impersonate("nobody")

    assert [event["data"]["grantType"] for event in listed(acme)] == ["client_credentials"]


def test_exchange_sign_out_and_revocations(acme: Sandbox) -> None:
    cookies = acme.login("alice")
    first, second = (acme.impersonate("alice").json or {})["access_token"], acme.impersonate("alice").json or {}
    fields = {"grant_type": EXCHANGE, "client_id": acme.issuing.client_id, "subject_token": first}
    fields |= {"subject_token_type": ACCESS_TOKEN, "purpose": "websocket"}
    assert acme.call("POST", "/oauth/token", json=fields, headers={"Origin": PORTAL}).status_code == 200
    acme.call("GET", "/logout", headers=with_cookies(cookies))
    for _ in range(2):
        acme.call("POST", "/oauth/revoke", json={"token": first})
    alice, admin = user_id(acme, "alice"), acme.admin()
    tokens = (acme.api("GET", f"/api/v1/oauth-tokens?userId={alice}").json or {})["data"]
    acme.api("DELETE", f"/api/v1/oauth-tokens/{tokens[0]['id']}", admin)
    assert second

    assert [event["data"]["grantType"] for event in listed(acme, eventType=ISSUED, userId=alice)] == [
        "token-exchange",
        IMPERSONATION,
        IMPERSONATION,
    ]
    assert [event["data"]["subject"] for event in listed(acme, eventType=END)] == ["alice"]
    by_api, by_bearer = (event["data"] for event in listed(acme, eventType=REVOKED))
    assert (by_bearer["revokedByBearer"], by_bearer["revokedBy"]) == (True, alice)
    assert (by_api["revokedByBearer"], by_api["revokedContext"]["grantId"]) == (False, tokens[0]["id"])
    assert by_api["revokedBy"] != alice


def test_the_list_is_narrowed_by_time_type_source_user_and_id(acme: Sandbox) -> None:
    acme.admin()
    acme.login("alice")
    acme.clock(100)
    acme.login("bob")
    bob, alice, _ = listed(acme)
    assert (bob["data"]["subject"], alice["data"]["subject"]) == ("bob", "alice")

    def found(**query: object) -> list[str]:
        return [event["data"].get("subject", "bot") for event in listed(acme, **query)]

    assert found(eventTime=f"{bob['eventTime']}/{bob['eventTime']}") == ["bob"]
    assert found(eventTime=f"2020-01-01T00:00:00Z/{alice['eventTime']}") == ["alice", "bot"]
    assert found(eventType=BEGIN) == ["bob", "alice"]
    assert found(eventType=BEGIN.upper()) == []
    assert found(source="com.qlik/other") == []
    assert found(userId=user_id(acme, "bob")) == ["bob"]
    assert found(id=f"{bob['id']},{alice['id']}") == ["bob", "alice"]
    assert found(sort="+eventTime") == ["bot", "alice", "bob"]
    assert found(sort="eventType") == ["bot", "alice", "bob"]
    for query in ({"sort": "userId"}, {"limit": 101}, {"eventTime": "today"}, {"eventTime": "2020-01-01/x"}):
        assert acme.api("GET", AUDITS, query_string=query).status_code == 400
    assert acme.api("GET", AUDITS, query_string={"next": "x", "prev": "x"}).status_code == 400


def test_pages_stay_as_they_are_while_new_events_come_in(acme: Sandbox) -> None:
    names = ["carol", "bob", "alice"]
    for name in reversed(names):
        acme.login(name)
    first = page(acme, eventType=BEGIN, limit=2)
    acme.login("erin")
    second = acme.api("GET", first["links"]["next"]["href"]).json or {}
    back = acme.api("GET", second["links"]["prev"]["href"]).json or {}

    assert [event["data"]["subject"] for event in (*first["data"], *second["data"])] == names
    assert back["data"] == first["data"]
    assert "next" not in second["links"]
    assert listed(acme, eventType=BEGIN, limit=1)[0]["data"]["subject"] == "erin"


def test_events_are_kept_for_ninety_days_and_until_a_reset(acme: Sandbox) -> None:
    acme.login("alice")
    (event,) = listed(acme, eventType=BEGIN)
    acme.clock(91 * 86400)
    acme._management = ""  # its token has expired too
    assert listed(acme, eventType=BEGIN) == []
    assert acme.api("GET", f"{AUDITS}/{event['id']}").status_code == 404
    acme.reset()
    assert listed(acme, eventType=BEGIN) == []


def test_types_and_sources(acme: Sandbox) -> None:
    types = acme.api("GET", f"{AUDITS}/types").json or {}
    sources = acme.api("GET", f"{AUDITS}/sources").json or {}
    assert set(types["data"]) == {BEGIN, END, ISSUED, REVOKED}
    assert sources["data"] == ["com.qlik/edge-auth"]


@pytest.mark.parametrize("path", [AUDITS, f"{AUDITS}/types", f"{AUDITS}/sources", f"{AUDITS}/x"])
def test_administrators_alone_may_see_them(acme: Sandbox, path: str) -> None:
    assert acme.call("GET", path).status_code == 401
    refused = acme.api("GET", path, acme.token("alice"))
    assert refused.status_code == 403
    assert "status" not in error(refused), "as Qlik writes errors of this area"


def test_they_have_a_limit_of_their_own(acme: Sandbox) -> None:
    acme.switch(audits_per_minute=1, tier_window_s=60)
    assert [acme.api("GET", path).status_code for path in (AUDITS, f"{AUDITS}/types")] == [200, 429]
    assert acme.api("GET", "/api/v1/users").status_code == 200
