"""What users, portals, tenants and disks do wrong, against the real sandbox."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from storykit import Portal, World, change_tenant

from bridge.bootstrap import Bridge

LOGIN, TOKEN = "/login/jwt-session", "/oauth/token"


def error(answer: Any) -> tuple[int, str]:  # noqa: ANN401 - a requests answer
    return answer.status_code, answer.json()["error"]


@pytest.fixture
def on_oauth(portal: Portal) -> Portal:
    portal.at("oauth")
    return portal


# --- who is asking ---------------------------------------------------------------------------------------


def test_an_assertion_works_server_to_server(on_oauth: Portal) -> None:
    token = on_oauth.token_for("ada", "Finance", "North")

    assert on_oauth.world.acme.idp_groups(token.text) == {"Finance", "North"}


def test_a_session_for_an_assertion_by_cookie_and_by_bearer(on_oauth: Portal) -> None:
    page = on_oauth.world.person()
    same_site = page.post("/t/acme/session", headers=on_oauth.vouch("ada", "A") | {"Sec-Fetch-Site": "same-site"})
    by_cookie = page.access_token("acme")
    elsewhere = on_oauth.world.person()
    cross_site = elsewhere.post(
        "/t/acme/session", headers=on_oauth.vouch("bea", "B") | {"Sec-Fetch-Site": "cross-site"}
    )
    bearer = {"Authorization": f"Bearer {cross_site.json()['session']}"}
    by_bearer = elsewhere.post("/t/acme/access-token", headers=bearer)

    assert "Set-Cookie" in same_site.headers
    assert "session" not in same_site.json()
    assert "Set-Cookie" not in cross_site.headers
    assert on_oauth.world.acme.me(by_cookie.text)["subject"] == "ada"
    assert on_oauth.world.acme.me(by_bearer.text)["subject"] == "bea"


def test_an_assertion_for_another_tenant_causes_no_call(on_oauth: Portal) -> None:
    assert error(on_oauth.token_for("ada", "A", tenant="globex")) == (403, "not_allowed")
    assert on_oauth.world.acme.calls() == []


def test_an_assertion_counts_once(on_oauth: Portal) -> None:
    page, once = on_oauth.world.person(), on_oauth.vouch("ada", "A")

    assert page.post("/t/acme/access-token", headers=once).ok
    assert error(page.post("/t/acme/access-token", headers=once)) == (401, "not_signed_in")


@pytest.mark.parametrize("missing", ["sub", "name", "email", "groups", "tenant", "jti", "iat", "exp"])
def test_an_assertion_without_a_claim_is_refused_by_name(on_oauth: Portal, missing: str) -> None:
    refused = on_oauth.token_for("ada", "A", **{missing: None})

    assert error(refused) == (401, "not_signed_in")
    assert missing in refused.json()["message"]
    assert on_oauth.world.acme.calls() == []


def test_nobody_and_a_forged_form_get_nothing(world: World) -> None:
    world.at("oauth")
    alice = world.person("alice")

    assert error(world.person().post("/t/acme/access-token")) == (401, "not_signed_in")
    assert error(alice.post("/t/acme/access-token")) == (403, "bad_csrf")
    assert error(alice.post("/t/acme/access-token", headers={"CSRF-Token": "made up"})) == (403, "bad_csrf")
    assert world.acme.calls() == []


def test_a_user_named_in_body_or_query_is_never_honoured(world: World) -> None:
    world.at("oauth")
    alice = world.person("alice")
    named = {"sub": "bob", "subject": "bob", "userId": "bob", "user": "bob", "email": "bob@example.com"}

    answer = alice.post("/t/acme/access-token", headers={"CSRF-Token": alice.csrf("acme")}, json=named, params=named)

    assert world.acme.me(answer.text)["subject"] == "alice"


def test_a_tenant_that_does_not_admit_the_person_is_not_called(product: Bridge, world: World) -> None:
    world.at("oauth")
    change_tenant(product, "acme", required_group="Finance")
    bob = world.person("bob")
    csrf = {"CSRF-Token": bob.csrf("globex")}

    assert error(bob.get("/t/acme/session")) == (403, "not_allowed")
    assert error(bob.get("/t/acme/token")) == (403, "not_allowed")
    assert error(bob.post("/t/acme/access-token", headers=csrf)) == (403, "not_allowed")
    assert world.acme.calls() == []


def test_an_unknown_tenant_is_named_so(world: World) -> None:
    assert error(world.person("alice").get("/t/nowhere/session")) == (404, "unknown_tenant")


def test_two_people_in_one_browser_never_share_a_token(world: World) -> None:
    world.at("oauth")
    browser = world.person("alice")
    hers = browser.access_token("acme").text
    old_csrf = browser.csrf("acme")
    browser.sign_in("bob")
    refused = browser.post("/t/acme/access-token", headers={"CSRF-Token": old_csrf})
    his = browser.access_token("acme").text

    assert error(refused) == (403, "bad_csrf")
    assert [world.acme.me(token)["subject"] for token in (hers, his)] == ["alice", "bob"]


# --- odd people ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sub", ["o'neil\"\\", "Ådne Ünïcode", "a b", "x" * 200, "{{7*7}}", "a;drop table tenants"])
def test_odd_subjects_reach_the_tenant_unchanged(on_oauth: Portal, sub: str) -> None:
    token = on_oauth.token_for(sub, 'say "hi"', "two words", "Größe", "名前", "back\\slash", "comma,separated")

    assert on_oauth.world.acme.me(token.text)["subject"] == sub
    assert on_oauth.world.acme.idp_groups(token.text) == {
        'say "hi"',
        "two words",
        "Größe",
        "名前",
        "back\\slash",
        "comma,separated",
    }


def test_subjects_that_differ_by_case_are_two_people(on_oauth: Portal) -> None:
    small, large = on_oauth.token_for("kim", "A"), on_oauth.token_for("Kim", "B")
    acme = on_oauth.world.acme

    assert (acme.me(small.text)["subject"], acme.me(large.text)["subject"]) == ("kim", "Kim")
    assert acme.me(small.text)["id"] != acme.me(large.text)["id"]
    assert (acme.idp_groups(small.text), acme.idp_groups(large.text)) == ({"A"}, {"B"})


def test_three_hundred_groups_pass_and_too_many_say_so(on_oauth: Portal) -> None:
    some = [f"g{number:03}" for number in range(300)]
    token = on_oauth.token_for("ada", *some)
    refused = on_oauth.token_for("bea", *(f"a group with a long name {number:05}" for number in range(300)))

    assert on_oauth.world.acme.idp_groups(token.text) == set(some)
    assert error(refused) == (403, "sync_refused")
    assert "bytes" in refused.json()["message"]


def test_an_old_session_with_old_groups_never_writes_them_back(on_oauth: Portal) -> None:
    old, new = on_oauth.world.person(), on_oauth.world.person()
    stale = on_oauth.vouch("ada", "Finance", "EMEA", iat=int(time.time()) - 60)
    assert old.post("/t/acme/session", headers=stale).ok
    assert new.post("/t/acme/session", headers=on_oauth.vouch("ada", "Finance")).ok
    fresh = new.access_token("acme").text
    again = old.access_token("acme").text

    assert on_oauth.world.acme.idp_groups(again) == {"Finance"}
    assert fresh == again
    assert on_oauth.world.acme.calls(LOGIN) == [LOGIN]


# --- odd tenants -----------------------------------------------------------------------------------------

GARBAGE = {
    "html": {"status": 200, "content_type": "text/html", "body": "<html>maintenance</html>"},
    "half a json": {"status": 200, "content_type": "application/json", "body": '{"access_token": "abc'},
    "empty object": {"status": 200, "content_type": "application/json", "body": "{}"},
    "no content": {"status": 204},
    "ten megabytes": {"status": 200, "content_type": "application/json", "bytes": 10_000_000},
    "elsewhere": {"status": 302, "location": "http://127.0.0.1:9/elsewhere"},
}


@pytest.mark.parametrize("endpoint", [LOGIN, TOKEN])
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_garbled_answer_is_called_so(world: World, endpoint: str, garbage: dict[str, Any]) -> None:
    world.at("oauth")
    world.acme.control("POST", "faults", {"endpoint": endpoint, "times": None, **garbage})

    assert error(world.person("alice").access_token("acme")) == (502, "tenant_garbled")


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failing_tenant_is_unavailable_and_one_failure_is_repeated(world: World, status: int) -> None:
    world.at("oauth")
    world.acme.control("POST", "faults", {"endpoint": TOKEN, "status": status, "times": 1})
    assert world.person("alice").access_token("acme").ok
    world.acme.control("POST", "faults", {"endpoint": TOKEN, "status": status, "times": None})

    refused = world.person("bob").access_token("acme")

    assert error(refused) == (503, "tenant_unavailable")
    assert int(refused.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_login_whose_answer_is_lost_is_repeated_with_a_fresh_jwt(world: World, moment: str) -> None:
    world.at("oauth")
    world.acme.control("POST", "faults", {"endpoint": LOGIN, "drop": moment, "times": 1})

    token = world.person("alice").access_token("acme")

    assert world.acme.idp_groups(token.text) == {"Finance", "EMEA"}


@pytest.mark.parametrize("offset_s", [300, -300])
def test_a_clock_that_is_off_is_named_as_the_cause(world: World, offset_s: int) -> None:
    world.at("oauth")
    world.acme.control("POST", "clock", {"offset_s": offset_s})

    refused = world.person("alice").access_token("acme")

    assert error(refused) == (502, "tenant_refused")
    assert "clock" in refused.json()["message"].lower()


def test_a_wrong_key_an_unknown_kid_and_a_revoked_secret_need_an_operator(product: Bridge, world: World) -> None:
    world.at("oauth")
    tenant = product.tenants.get("acme").tenant
    assert tenant.issuing_client
    wrong: list[dict[str, Any]] = [
        {"signing_key": "globex.pem"},
        {"key_id": "nobody-knows-it"},
        {"issuing_client": tenant.issuing_client.model_copy(update={"secret": SecretStr("revoked")})},
    ]
    for change in wrong:
        right = {name: getattr(tenant, name) for name in change}
        change_tenant(product, "acme", **change)
        assert error(world.person("alice").access_token("acme")) == (502, "tenant_refused"), list(change)
        change_tenant(product, "acme", **right)

    assert world.person("alice").access_token("acme").ok


def test_groups_that_the_tenant_does_not_create_are_missing_but_the_token_is_issued(world: World) -> None:
    world.at("oauth")
    off = [{"op": "replace", "path": "/autoCreateGroups", "value": False}]
    settings = f"{world.acme.origin}/api/v1/groups/settings"
    assert requests.patch(settings, json=off, headers=world.acme.admin(), timeout=10).status_code == 204

    token = world.person("alice").access_token("acme")

    assert world.acme.idp_groups(token.text) == set()


def test_a_separate_identity_provider_tells_our_logins_from_the_browsers(
    product: Bridge, world: World, tmp_path: Path
) -> None:
    world.at("oauth")
    ours = world.acme.state()["identity_providers"][1]
    (tmp_path / "keys" / "sync.pem").write_text(ours["private_key"])
    change_tenant(product, "acme", sync_issuer=ours["issuer"], sync_key_id=ours["kid"], sync_key="sync.pem")

    assert world.person("alice").access_token("acme").ok
    logins = [call for call in world.acme.control("GET", "calls").json() if call["path"] == LOGIN]
    assert [call["client"] for call in logins] == [ours["issuer"]]


def test_the_issuing_client_can_prove_itself_without_a_shared_secret(
    product: Bridge, world: World, tmp_path: Path
) -> None:
    world.at("oauth")
    client = next(each for each in world.acme.state()["clients"] if each["role"] == "issuing")
    (tmp_path / "keys" / "client.pem").write_text(client["private_key"])
    proof = {"secret": None, "key": "client.pem", "key_id": client["key_id"]}
    known = product.tenants.get("acme").tenant.issuing_client
    assert known
    change_tenant(product, "acme", issuing_client=known.model_copy(update=proof))

    assert world.acme.me(world.person("alice").access_token("acme").text)["subject"] == "alice"


# --- odd disks -------------------------------------------------------------------------------------------


def test_a_locked_database_stops_no_warm_request_and_says_so_to_a_cold_one(world: World, tmp_path: Path) -> None:
    world.at("oauth")
    alice, bob = world.person("alice"), world.person("bob")
    token = alice.access_token("acme").text
    csrf = {"CSRF-Token": bob.csrf("acme")}
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        warm = alice.access_token("acme")
        cold = bob.post("/t/acme/access-token", headers=csrf)
        lock.rollback()

    assert warm.text == token
    assert error(cold) == (503, "store_error")
    assert bob.access_token("acme").ok


def test_a_broken_flag_service_takes_the_safe_side(
    make_product: Callable[..., Bridge], serve: Callable[[Bridge], World]
) -> None:
    world = serve(make_product(BRIDGE_FLAGS="storykit:BrokenFlags"))
    world.at("rollout", percent=100)

    assert world.person("alice").session("acme")["path"] == "jwt"
    assert world.person("erin").move("acme", "oauth").ok
    assert world.person("alice").session("acme")["path"] == "oauth"
