"""The main job, as the README tells it: sign in, move the flag, look again, move it back."""

import requests
from storykit import World

LOGIN, TOKEN = "/login/jwt-session", "/oauth/token"


def test_legacy_path_gives_a_jwt_that_the_tenant_accepts_once(world: World) -> None:
    alice = world.person("alice")

    assert alice.session("acme")["path"] == "jwt"
    signed = alice.get("/t/acme/token").json()["token"]
    bearer = {"Authorization": f"Bearer {signed}"}
    first, second = (requests.post(world.acme.origin + LOGIN, headers=bearer, timeout=10) for _ in range(2))
    refused = alice.access_token("acme")

    assert (first.status_code, second.status_code) == (200, 401)
    assert (refused.status_code, refused.json()["error"]) == (409, "still_on_jwt")


def test_new_path_syncs_groups_then_mints_once_and_goes_back(world: World) -> None:
    world.at("oauth")
    alice = world.person("alice")

    first = alice.access_token("acme")
    assert first.headers["Content-Type"].startswith("text/plain")
    assert world.acme.me(first.text)["subject"] == "alice"
    assert world.acme.idp_groups(first.text) == {"Finance", "EMEA"}
    assert world.acme.calls(LOGIN, TOKEN) == [LOGIN, TOKEN]

    world.acme.forget_calls()
    assert alice.access_token("acme").text == first.text
    assert world.acme.calls() == []

    world.acme.control("PATCH", "people/alice", {"groups": ["Finance"]})
    alice.sign_in("alice")
    again = alice.access_token("acme")
    assert world.acme.idp_groups(again.text) == {"Finance"}
    assert world.acme.calls(LOGIN) == [LOGIN]

    assert world.person("erin").move("acme", "legacy").ok
    assert alice.access_token("acme").status_code == 409
    assert alice.session("acme")["path"] == "jwt"


def test_the_other_tenant_never_moved(world: World) -> None:
    world.at("oauth")
    alice = world.person("alice")

    assert alice.session("globex")["path"] == "jwt"
    assert alice.access_token("globex").status_code == 409
    assert world.globex.calls() == []


def test_retired_closes_the_jwt_path(world: World) -> None:
    world.at("retired")
    alice = world.person("alice")

    refused = alice.get("/t/acme/token")
    assert (refused.status_code, refused.json()["error"]) == (410, "jwt_retired")
    assert alice.access_token("acme").ok


def test_a_rollout_moves_the_named_people_first(world: World) -> None:
    world.at("rollout")
    erin = world.person("erin")
    assert erin.move("acme", "rollout", percent=0, cohorts={"subjects": ["bob"], "groups": ["EMEA"]}).ok

    paths = {name: world.person(name).session("acme")["path"] for name in ("alice", "bob", "carol")}
    assert paths == {"alice": "oauth", "bob": "oauth", "carol": "jwt"}


def test_a_stage_cannot_be_skipped_even_by_force(world: World) -> None:
    refused = world.person("erin").move("acme", "oauth", force=True)

    assert refused.status_code == 409
    assert [each["condition"] for each in refused.json()["unmet"]] == ["next_stage"]


def test_only_operators_move_stages_and_every_move_is_audited(world: World) -> None:
    erin, alice = world.person("erin"), world.person("alice")

    assert alice.move("acme", "shadow").status_code == 403
    assert erin.move("acme", "shadow", reason="let us begin").ok
    newest = erin.get("/api/v1/audit").json()["events"][0]
    assert (newest["actor"], newest["reason"], newest["tenant"]) == ("demo:erin", "let us begin", "acme")
    assert (newest["before"]["stage"], newest["after"]["stage"]) == ("legacy", "shadow")


def test_signing_out_ends_the_token_at_the_tenant(world: World) -> None:
    world.at("oauth")
    alice = world.person("alice")
    token = alice.access_token("acme").text
    csrf = alice.csrf("acme")

    assert alice.post("/logout", data={"csrf_token": csrf}).status_code in {302, 303}
    dead = requests.get(
        f"{world.acme.origin}/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=10
    )
    assert dead.status_code == 401
    assert alice.get("/t/acme/session").status_code == 401


def test_a_rejected_token_is_replaced_when_it_is_dead_and_kept_when_it_lives(world: World) -> None:
    world.at("oauth")
    alice = world.person("alice")
    first = alice.access_token("acme")

    kept = alice.access_token("acme", **{"X-Rejected-Token": first.headers["Token-Id"]})
    world.acme.control("POST", "tokens/expire")
    replaced = alice.access_token("acme", **{"X-Rejected-Token": first.headers["Token-Id"]})

    assert kept.text == first.text
    assert replaced.text != first.text
    assert world.acme.me(replaced.text)["subject"] == "alice"


def test_a_user_deleted_at_the_tenant_is_made_anew(world: World) -> None:
    world.at("oauth")
    alice = world.person("alice")
    first = alice.access_token("acme")
    user_id = world.acme.me(first.text)["id"]
    gone = requests.delete(f"{world.acme.origin}/api/v1/users/{user_id}", headers=world.acme.admin(), timeout=10)
    assert gone.status_code == 204

    again = alice.access_token("acme", **{"X-Rejected-Token": first.headers["Token-Id"]})

    assert world.acme.me(again.text)["id"] != user_id
    assert world.acme.idp_groups(again.text) == {"Finance", "EMEA"}


def test_a_disabled_user_gets_no_token(world: World) -> None:
    world.at("oauth")

    refused = world.person("dave").access_token("acme")

    assert (refused.status_code, refused.json()["error"]) == (403, "subject_not_provisioned")
    assert world.acme.calls(TOKEN) == []


def test_the_tenants_rate_limit_is_obeyed(world: World) -> None:
    world.at("oauth")
    alice = world.person("alice")
    world.acme.control("POST", "faults", {"endpoint": LOGIN, "status": 429, "retry_after": 30, "times": 1})

    first, second = alice.access_token("acme"), world.person("bob").access_token("acme")

    assert (first.status_code, first.json()["error"]) == (503, "tenant_throttled")
    assert (second.status_code, second.json()["error"]) == (503, "tenant_throttled")
    assert 1 <= int(second.headers["Retry-After"]) <= 30
    assert world.acme.calls(LOGIN, TOKEN) == [LOGIN]
