"""POST /oauth/token in its three grants, /oauth/revoke, /oauth-tokens and the well-known documents."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from sandbox.kit import ACCESS_TOKEN, EXCHANGE, IMPERSONATION, ORIGIN, PORTAL, error, private_key

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from sandbox.kit import Sandbox


def body(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def test_impersonation_by_subject_and_by_user_id(acme: Sandbox) -> None:
    acme.login("alice")
    answer = body(acme.impersonate("alice", scope="user_default"))
    assert (answer["token_type"], answer["scope"], answer["expires_in"]) == ("bearer", "user_default", 21600)
    assert answer["expires_at"].endswith("Z")
    assert "refresh_token" not in answer
    me = acme.me(answer["access_token"])
    assert acme.me(body(acme.impersonate(me["id"], by="userId"))["access_token"])["subject"] == "alice"


def test_the_token_is_an_es384_jwt_without_user_data(acme: Sandbox) -> None:
    token = acme.token("alice")
    keys = acme.call("GET", "/.well-known/jwks.json").json
    assert keys is not None
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["kid"]) == ("ES384", keys["keys"][0]["kid"])
    claims = jwt.decode(token, jwt.PyJWK(keys["keys"][0]), algorithms=["ES384"], audience=ORIGIN)
    assert claims["exp"] - claims["iat"] == 21600
    assert claims["iss"] == "qlik.api"
    assert "alice" not in json.dumps(claims)


def test_only_existing_users_can_be_impersonated(acme: Sandbox) -> None:
    unknown = acme.impersonate("nobody")
    wrong = acme.post_token(IMPERSONATION, acme.issuing, client_secret="wrong")
    assert unknown.status_code == 401
    assert error(unknown)["code"] != error(wrong)["code"]
    assert acme.impersonate("dave").status_code == 403
    bot = f"qlikbot\\{acme.management.client_id}"
    assert acme.impersonate(bot).status_code == 401


def test_an_invited_user_can_be_impersonated(acme: Sandbox) -> None:
    assert acme.api("POST", "/api/v1/users", json={"subject": "fred"}).status_code == 201
    assert acme.impersonate("fred").status_code == 200


def test_odd_subjects_are_found_byte_for_byte(acme: Sandbox) -> None:
    subject = "o'neil\"\\"
    acme.login(subject)
    assert acme.me(body(acme.impersonate(subject))["access_token"])["subject"] == subject
    assert acme.impersonate(subject.upper()).status_code == 401


@pytest.mark.parametrize(
    "lookup",
    [
        None,
        {},
        "alice",
        {"field": "email", "value": "alice@example.com"},
        {"field": "subject"},
        {"field": [], "value": "a"},
    ],
)
def test_user_lookup_takes_subject_or_user_id_alone(acme: Sandbox, lookup: object) -> None:
    acme.login("alice")
    assert acme.post_token(IMPERSONATION, acme.issuing, user_lookup=lookup).status_code == 400


@pytest.mark.parametrize("grant", [None, "password", "refresh_token", 7])
def test_other_grants_are_refused(acme: Sandbox, grant: Any) -> None:  # noqa: ANN401 - any JSON
    assert acme.post_token(grant, acme.issuing).status_code == 400


def test_wrong_secret_and_unknown_client(acme: Sandbox) -> None:
    wrong = acme.post_token(IMPERSONATION, acme.issuing, client_secret="wrong")
    unknown = acme.post_token(IMPERSONATION, acme.issuing, client_id="f" * 32)
    assert (wrong.status_code, unknown.status_code) == (401, 400)
    for answer, status in ((wrong, "401"), (unknown, "400")):
        found = error(answer)
        assert (found["code"], found["title"], found["status"]) == ("OAUTH-14", "Invalid client_id", status)
        assert "error" not in (answer.json or {})


def test_a_client_has_its_own_grants_and_scopes(acme: Sandbox) -> None:
    assert acme.post_token("client_credentials", acme.issuing).status_code == 400
    assert acme.post_token(IMPERSONATION, acme.management).status_code == 400
    assert acme.post_token("client_credentials", acme.management, scope="admin.users").status_code == 400
    assert body(acme.post_token("client_credentials", acme.management))["scope"] == "admin_classic user_default"


def test_client_credentials_act_as_a_bot(acme: Sandbox) -> None:
    me = acme.me(body(acme.post_token("client_credentials", acme.management, scope="user_default"))["access_token"])
    assert me["subject"] == f"qlikbot\\{acme.management.client_id}"
    assert me["clientId"] == acme.management.client_id
    assert [role["name"] for role in me["assignedRoles"]] == ["TenantAdmin"]


def test_the_secret_may_come_by_basic_and_as_a_form(acme: Sandbox) -> None:
    client = acme.management
    basic = base64.b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    assert (
        acme.call("POST", "/oauth/token", json={"grant_type": "client_credentials"}, headers=headers).status_code == 200
    )
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    assert acme.call("POST", "/oauth/token", data=form).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(acme: Sandbox, sent: bytes) -> None:
    assert acme.call("POST", "/oauth/token", data=sent, content_type="application/json").status_code == 400


def test_half_a_surrogate_pair_breaks_nothing(acme: Sandbox) -> None:
    assert acme.post_token(IMPERSONATION, acme.issuing, client_secret="\ud800").status_code == 401


def test_consent_has_to_be_trusted(acme: Sandbox) -> None:
    acme.login("alice")
    path = f"/_sandbox/clients/{acme.issuing.client_id}"
    assert acme.call("PATCH", path, json={"consent_method": "required"}).status_code == 200
    assert acme.impersonate("alice").status_code == 403


def test_a_rotated_secret_replaces_the_old_one_and_spares_tokens(acme: Sandbox) -> None:
    token, old = acme.token("alice"), acme.issuing.client_secret
    fresh = body(acme.call("POST", f"/_sandbox/clients/{acme.issuing.client_id}/secret"))["client_secret"]
    lookup = {"field": "subject", "value": "alice"}
    assert acme.post_token(IMPERSONATION, acme.issuing, client_secret=old, user_lookup=lookup).status_code == 401
    assert acme.post_token(IMPERSONATION, acme.issuing, client_secret=fresh, user_lookup=lookup).status_code == 200
    assert acme.me(token)["subject"] == "alice"


# private_key_jwt


def assertion(acme: Sandbox, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - claims
    client, now = acme.issuing, int(time.time())
    claims = {"iss": client.client_id, "sub": client.client_id, "aud": f"{ORIGIN}/oauth/token", "iat": now}
    claims |= {"exp": now + 300, "jti": str(uuid.uuid4())} | changes
    signed = jwt.encode(
        claims, private_key(client.private_key), algorithm="RS256", headers=headers or {"kid": client.key_id}
    )
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return {"client_assertion": signed, "client_assertion_type": kind}


def post_assertion(acme: Sandbox, fields: dict[str, Any]) -> TestResponse:
    lookup = {"field": "subject", "value": "alice"}
    return acme.call("POST", "/oauth/token", json={"grant_type": IMPERSONATION, "user_lookup": lookup, **fields})


def test_a_client_assertion_replaces_the_secret_once(acme: Sandbox) -> None:
    acme.login("alice")
    signed = assertion(acme)
    assert post_assertion(acme, signed).status_code == 200
    assert post_assertion(acme, signed).status_code == 401
    named = {**assertion(acme), "client_id": acme.issuing.client_id}
    assert post_assertion(acme, named).status_code == 200


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"aud": ORIGIN}, "invalid audience"),
        ({"aud": f"{ORIGIN}/oauth/token/"}, "invalid audience"),
        ({"sub": "somebody"}, "invalid client"),
        ({"exp": 400}, "5 minutes"),
        ({"iat": -400, "exp": -200}, "expired"),
        ({"iat": 200, "exp": 300}, "future"),
        ({"jti": 7}, "required"),
    ],
)
def test_a_client_assertion_has_rules(acme: Sandbox, changes: dict[str, Any], named: str) -> None:
    """Times are seconds from now."""
    acme.login("alice")
    now = int(time.time())
    changes = {name: now + value if name in {"iat", "exp"} else value for name, value in changes.items()}
    answer = post_assertion(acme, assertion(acme, **changes))
    assert answer.status_code == 401
    assert named in error(answer)["detail"]


def test_a_client_assertion_needs_the_right_key_type_and_method(acme: Sandbox) -> None:
    acme.login("alice")
    assert post_assertion(acme, assertion(acme, headers={"kid": "other"})).status_code == 401
    typed = assertion(acme) | {"client_assertion_type": "saml"}
    assert error(post_assertion(acme, typed))["title"] == "unsupported_client_assertion_type"
    acme.call("PATCH", f"/_sandbox/clients/{acme.issuing.client_id}", json={"allowed_auth_methods": ["client_secret"]})
    assert "unauthorized_client" in error(post_assertion(acme, assertion(acme)))["detail"]


# token exchange


def exchange(acme: Sandbox, token: str, origin: str | None = PORTAL, **changes: Any) -> TestResponse:  # noqa: ANN401 - JSON
    fields = {"grant_type": EXCHANGE, "client_id": acme.issuing.client_id, "subject_token": token}
    fields |= {"subject_token_type": ACCESS_TOKEN, "purpose": "websocket", "redirect_uri": f"{PORTAL}/page"} | changes
    return acme.call("POST", "/oauth/token", json=fields, headers={"Origin": origin} if origin else {})


def test_an_exchange_needs_no_secret_but_a_listed_origin(acme: Sandbox) -> None:
    token = acme.token("alice")
    answer = exchange(acme, token)
    assert body(answer)["issued_token_type"] == ACCESS_TOKEN
    assert body(answer)["expires_in"] == 60
    assert answer.headers["Access-Control-Allow-Origin"] == PORTAL
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    for origin in ("https://evil.example", None):
        refused = exchange(acme, token, origin)
        assert (refused.status_code, error(refused)["code"]) == (400, "OAUTH-29")


def test_an_exchanged_token_is_no_access_token_and_ends_with_its_parent(acme: Sandbox) -> None:
    token = acme.token("alice")
    short = body(exchange(acme, token, purpose="webresource"))["access_token"]
    assert acme.api("GET", "/api/v1/users/me", short).status_code == 401
    assert exchange(acme, short).status_code == 401
    acme.clock(21590)
    assert body(exchange(acme, token))["expires_in"] <= 10


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"purpose": "lunch"}, 400),
        ({"subject_token_type": "jwt"}, 400),
        ({"subject_token": "x"}, 401),
        ({"subject_token": None}, 401),
        ({"client_id": "x"}, 400),
    ],
)
def test_an_exchange_has_rules(acme: Sandbox, changes: dict[str, Any], status: int) -> None:
    assert exchange(acme, acme.token("alice"), **changes).status_code == status


def test_an_exchange_is_for_the_client_that_got_the_token(acme: Sandbox) -> None:
    acme.call("PATCH", f"/_sandbox/clients/{acme.management.client_id}", json={"allowed_origins": [PORTAL]})
    assert exchange(acme, acme.token("alice"), client_id=acme.management.client_id).status_code == 401


# the end of a token


def test_tokens_die_when_they_should(acme: Sandbox) -> None:
    token, other = acme.token("alice"), acme.token("bob")
    assert acme.call("POST", "/oauth/revoke", json={"token": token}).status_code == 200
    assert acme.api("GET", "/api/v1/users/me", token).status_code == 401
    bob = acme.me(other)["id"]
    acme.api("PATCH", f"/api/v1/users/{bob}", json=[{"op": "replace", "path": "/status", "value": "disabled"}])
    assert acme.api("GET", "/api/v1/users/me", other).status_code == 401
    third = acme.token("carol")
    acme.clock(21601)
    assert acme.api("GET", "/api/v1/users/me", third).status_code == 401


def test_revoking_answers_200_for_unknown_tokens_and_400_for_none(acme: Sandbox) -> None:
    form = {"token": "unknown", "token_type_hint": "access_token"}
    assert acme.call("POST", "/oauth/revoke", data=form).status_code == 200
    assert acme.call("POST", "/oauth/revoke", json={}).status_code == 400


def test_tokens_are_listed_and_deleted_by_their_owner_or_an_administrator(acme: Sandbox) -> None:
    alice, bob = acme.token("alice"), acme.token("bob")
    own = acme.api("GET", "/api/v1/oauth-tokens", alice).json
    everyone = acme.api("GET", "/api/v1/oauth-tokens?limit=2").json
    assert own is not None
    assert everyone is not None
    assert [entry["userId"] for entry in own["data"]] == [acme.me(alice)["id"]]
    assert own["data"][0]["clientId"] == acme.issuing.client_id
    assert "page=" in everyone["links"]["next"]["href"]
    path = f"/api/v1/oauth-tokens/{own['data'][0]['id']}"
    assert acme.api("DELETE", path, bob).status_code == 404
    assert acme.api("DELETE", path, alice).status_code == 204
    assert acme.api("GET", "/api/v1/users/me", alice).status_code == 401


def test_well_known_documents_name_this_origin(acme: Sandbox) -> None:
    found = body(acme.call("GET", "/.well-known/oauth-authorization-server"))
    assert found["issuer"] == ORIGIN
    assert found["token_endpoint"] == f"{ORIGIN}/oauth/token"
    assert found["jwks_uri"] == f"{ORIGIN}/.well-known/jwks.json"
    assert IMPERSONATION in found["grant_types_supported"]
