"""Qlik's qlik-sdk for Python: what it gets from the sandbox, and what the sandbox saw of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clients.harness import a_user

if TYPE_CHECKING:
    from clients.harness import Client, Json, Tenant

pytestmark = pytest.mark.real_client

TOKEN = "POST /oauth/token 200"
ME = "GET /api/v1/users/me 301"
USERS = "GET /api/v1/users 200"
CREATED = "POST /api/v1/users 201"


def managing(tenant: Tenant) -> Json:
    return {"host": tenant.url, **secret_of(tenant, "management")}


def issuing(tenant: Tenant, field: str, value: str) -> Json:
    return {"host": tenant.url, **secret_of(tenant, "issuing"), "user_lookup": {"field": field, "value": value}}


def secret_of(tenant: Tenant, role: str) -> Json:
    client = tenant.one("clients", role=role)
    return {name: client[name] for name in ("client_id", "client_secret")}


def signing(tenant: Tenant, name: str, **claims: object) -> Json:
    """Return what the SDK needs to sign a login JWT for a person of the directory."""
    provider, person = tenant.all("identity_providers")[0], tenant.one("people", name=name)
    about = {"sub": person["subject"], "name": person["display_name"], "email": person["email"]}
    return {
        "host": tenant.url,
        "private_key": provider["private_key"],
        "kid": provider["kid"],
        "claims": {"issuer": provider["issuer"], "groups": person["groups"], **about, **claims},
    }


# client_credentials and revoke


def test_client_credentials_by_basic(acme: Tenant, qlik_sdk: Client) -> None:
    answer = qlik_sdk.ok("authorize", **managing(acme))

    assert (answer["token_type"].lower(), answer["scope"]) == ("bearer", "admin_classic user_default")
    assert answer["access_token"].count(".") == 2
    (call,) = acme.calls_in_full()
    assert (call["path"], call["client"]) == ("/oauth/token", secret_of(acme, "management")["client_id"])


def test_client_credentials_act_as_a_bot(acme: Tenant, qlik_sdk: Client) -> None:
    me = qlik_sdk.ok("me", **managing(acme))

    assert me["subject"] == f"qlikbot\\{secret_of(acme, 'management')['client_id']}"
    assert acme.calls() == [TOKEN, ME, f"GET /api/v1/users/{me['id']} 200"]


def test_a_wrong_secret_is_refused(acme: Tenant, qlik_sdk: Client) -> None:
    error = qlik_sdk.error("authorize", **{**managing(acme), "client_secret": "wrong"})

    assert error == {"name": "AuthenticationException", "message": "Invalid client_id"}
    assert acme.calls() == ["POST /oauth/token 401"]


def test_an_unknown_client_is_refused(acme: Tenant, qlik_sdk: Client) -> None:
    error = qlik_sdk.error("authorize", **{**managing(acme), "client_id": "nobody"})

    assert (error["name"], error["status"]) == ("HTTPError", 400)
    assert error["body"]["errors"][0]["code"] == "OAUTH-14"


def test_without_authorize_there_is_no_token(acme: Tenant, qlik_sdk: Client) -> None:
    assert qlik_sdk.error("unauthorized", **managing(acme))["name"] == "TypeError"
    assert acme.calls() == []


def test_a_revoked_token_is_dead(acme: Tenant, qlik_sdk: Client) -> None:
    told = qlik_sdk.ok("revoke", **managing(acme))

    assert told["after"]["error"]["name"] == "AuthenticationException"
    mine = f"GET /api/v1/users/{told['before']['id']} 200"
    assert acme.calls() == [TOKEN, ME, mine, "POST /oauth/revoke 200", "GET /api/v1/users/me 401"]


def test_an_expired_token_is_not_replaced(acme: Tenant, qlik_sdk: Client) -> None:
    told = qlik_sdk.ok("expiry", **managing(acme))

    assert told["after"]["error"]["name"] == "AuthenticationException"
    assert acme.calls().count(TOKEN) == 1


# Users


def test_lists_with_a_filter(acme: Tenant, qlik_sdk: Client) -> None:
    for name in ("alice", "bob"):
        acme.sign_in(name)

    listed = qlik_sdk.ok("listed", **managing(acme), query={"filter": 'email eq "alice@example.com"'})

    assert [user["subject"] for user in listed] == ["alice"]
    assert {"Finance", "EMEA"} == set(listed[0]["groups"])
    assert acme.calls() == [TOKEN, USERS]


def test_walks_pages(acme: Tenant, qlik_sdk: Client) -> None:
    users = [a_user(name) for name in ("fay", "gus", "hal", "ida", "jon")]
    qlik_sdk.ok("create_all", **managing(acme), users=users)
    acme.forget_calls()

    walked = qlik_sdk.ok("paged", **managing(acme), query={"filter": 'subject co "crm|"', "limit": 2})

    assert walked == [user["subject"] for user in users]
    assert acme.calls() == [TOKEN, USERS, USERS]


def test_counts(acme: Tenant, qlik_sdk: Client) -> None:
    assert qlik_sdk.ok("count", **managing(acme)) == len(acme.all("users"))


def test_creates_and_refuses_a_second_of_the_same_subject(acme: Tenant, qlik_sdk: Client) -> None:
    created = qlik_sdk.ok("create", **managing(acme), user=a_user("mia"))
    error = qlik_sdk.error("create", **managing(acme), user=a_user("mia"))

    assert created == {**created, "subject": "crm|mia", "name": "Mia", "status": "invited"}
    assert (error["name"], error["status"]) == ("HTTPError", 409)
    assert error["body"]["errors"][0]["status"] == 409
    assert acme.calls() == [TOKEN, CREATED, TOKEN, "POST /api/v1/users 409"]


def test_patches(acme: Tenant, qlik_sdk: Client) -> None:
    alice = acme.sign_in("alice")
    operations = [{"op": "replace", "path": "/name", "value": "Alice Ames"}]

    patched = qlik_sdk.ok("patch", **managing(acme), user_id=alice["id"], operations=operations)

    assert patched["name"] == "Alice Ames"
    path = f"/api/v1/users/{alice['id']}"
    assert acme.calls() == [TOKEN, f"GET {path} 200", f"PATCH {path} 204", f"GET {path} 200"]


def test_a_patch_without_a_body_is_a_400(acme: Tenant, qlik_sdk: Client) -> None:
    alice = acme.sign_in("alice")
    operations = [{"op": "replace", "path": "/name", "value": "Alice Ames"}]

    error = qlik_sdk.error("patch_typed", **managing(acme), user_id=alice["id"], operations=operations)

    assert (error["name"], error["status"]) == ("HTTPError", 400)
    assert acme.one("users", subject="alice")["name"] == "Alice Archer"


def test_deletes(acme: Tenant, qlik_sdk: Client) -> None:
    alice = acme.sign_in("alice")

    qlik_sdk.ok("delete", **managing(acme), user_id=alice["id"])

    assert acme.calls()[-1] == f"DELETE /api/v1/users/{alice['id']} 204"
    assert "alice" not in {user["subject"] for user in acme.all("users")}
    assert qlik_sdk.error("delete", **managing(acme), user_id=alice["id"])["status"] == 404


def test_lists_groups_of_logins(acme: Tenant, qlik_sdk: Client) -> None:
    acme.sign_in("alice")

    assert set(qlik_sdk.ok("groups", **managing(acme))) == {"Finance", "EMEA"}


def test_a_429_is_told_at_once(acme: Tenant, qlik_sdk: Client) -> None:
    acme.switch(tier2_per_minute=1, tier_window_s=60, tenant_rate_limit="off")

    first, second = qlik_sdk.ok("create_all", **managing(acme), users=[a_user("fay"), a_user("gus")])

    assert first == {"ok": "crm|fay"}
    assert (second["error"]["name"], second["error"]["status"]) == ("HTTPError", 429)
    assert 0 < int(second["error"]["retry_after"]) <= 60
    assert acme.calls() == [TOKEN, CREATED, "POST /api/v1/users 429"]


# Impersonation


def test_impersonates_by_subject(acme: Tenant, qlik_sdk: Client) -> None:
    alice = acme.sign_in("alice")

    told = qlik_sdk.ok("impersonate", **issuing(acme, "subject", "alice"))

    assert told["me"]["id"] == alice["id"]
    assert told["token"]["scope"] == "user_default"
    assert "refresh_token" not in told["token"]
    assert acme.calls() == [TOKEN, ME, f"GET /api/v1/users/{alice['id']} 200"]


def test_impersonates_by_user_id(acme: Tenant, qlik_sdk: Client) -> None:
    bob = acme.sign_in("bob")

    assert qlik_sdk.ok("impersonate", **issuing(acme, "userId", bob["id"]))["me"]["subject"] == "bob"


def test_nobody_is_impersonated_by_e_mail(acme: Tenant, qlik_sdk: Client) -> None:
    acme.sign_in("alice")

    error = qlik_sdk.error("impersonate", **issuing(acme, "email", "alice@example.com"))

    assert (error["name"], error["status"]) == ("HTTPError", 400)
    assert acme.calls() == ["POST /oauth/token 400"]


def test_somebody_unknown_is_refused(acme: Tenant, qlik_sdk: Client) -> None:
    error = qlik_sdk.error("impersonate", **issuing(acme, "subject", "nobody"))

    assert error == {"name": "AuthenticationException", "message": "Unauthorized"}


# Login by JWT


def test_logs_in_by_jwt(acme: Tenant, qlik_sdk: Client) -> None:
    told = qlik_sdk.ok("jwt_session", **signing(acme, "alice"))

    assert (told["status"], told["body"]) == (200, {})
    assert told["cookies"] == ["_csrfToken", "_csrfToken.sig", "eas.sid", "eas.sid.sig"]
    assert (told["csrf_status"], told["csrf_matches"]) == (204, True)
    assert told["without_cookies"]["error"]["name"] == "AuthenticationException"
    login, csrf, without, _ = [(call["path"], call["status"], call["user"]) for call in acme.calls_in_full()]
    assert login == ("/login/jwt-session", 200, "alice")
    assert csrf == ("/api/v1/csrf-token", 204, "alice")
    assert without == ("/api/v1/csrf-token", 401, None)
    assert {"Finance", "EMEA"} == {group["name"] for group in acme.one("users", subject="alice")["assignedGroups"]}


def test_a_jwt_works_once(acme: Tenant, qlik_sdk: Client) -> None:
    told = qlik_sdk.ok("jwt_session", **signing(acme, "alice"))

    assert told["again"]["error"]["name"] == "AuthenticationException"
    logins = [call for call in acme.calls() if "jwt-session" in call]
    assert logins == ["POST /login/jwt-session 200", "POST /login/jwt-session 401"]


def test_a_later_login_replaces_the_groups(acme: Tenant, qlik_sdk: Client) -> None:
    for groups in (["Finance", "EMEA"], ["EMEA"]):
        qlik_sdk.ok("jwt_session", **signing(acme, "alice", groups=groups))

    held = {group["name"] for group in acme.one("users", subject="alice")["assignedGroups"]}
    assert "EMEA" in held
    assert "Finance" not in held


@pytest.mark.parametrize(
    ("claims", "status", "says"),
    [
        ({"not_before": 0}, 400, "exp - nbf"),
        ({"sub_type": "robot"}, 400, "subType"),
        ({"audience": "qlik.api"}, 400, "aud"),
    ],
    ids=["not_before of the SDK's example", "subType", "aud"],
)
def test_a_jwt_that_breaks_a_rule_is_a_400(
    acme: Tenant, qlik_sdk: Client, claims: Json, status: int, says: str
) -> None:
    error = qlik_sdk.error("jwt_refused", **signing(acme, "alice", **claims))

    assert (error["name"], error["status"]) == ("HTTPError", status)
    (told,) = error["body"]["errors"]
    assert (told["code"], told["status"]) == ("INTERNAL-TOKEN-1", str(status))
    assert says in told["detail"]


@pytest.mark.parametrize(
    "claims",
    [{"not_before": 0, "expires_in": 60}, {"issuer": "https://somebody.example"}],
    ids=["expired", "unknown issuer"],
)
def test_a_jwt_that_is_not_trusted_is_a_401(acme: Tenant, qlik_sdk: Client, claims: Json) -> None:
    assert qlik_sdk.error("jwt_refused", **signing(acme, "alice", **claims))["name"] == "AuthenticationException"
    assert acme.calls() == ["POST /login/jwt-session 401"]
