"""/api/v1/users: reading, finding, paging, writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.kit import ORIGIN, error, group_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.kit import Sandbox


NO_ROLES: list[object] = ["x", [7], [{"name": "Pope"}], [{"id": {}}]]


def made(acme: Sandbox, subject: str, **fields: object) -> str:
    answer = acme.api("POST", "/api/v1/users", json={"subject": subject, **fields})
    assert answer.status_code == 201, answer.text
    return str((answer.json or {})["id"])


def listed(acme: Sandbox, token: str = "", **query: object) -> dict[str, Any]:
    answer = acme.api("GET", "/api/v1/users", token, query_string=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def subjects(page: dict[str, Any]) -> list[str]:
    return [user["subject"] for user in page["data"]]


def test_me_is_a_301_that_keeps_the_query_and_a_browser_may_follow(acme: Sandbox) -> None:
    token = acme.token("alice")
    headers = {"Authorization": f"Bearer {token}", "Origin": "http://localhost:8000"}
    answer = acme.call("GET", "/api/v1/users/me?fields=groups", headers=headers)
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"/api/v1/users/{acme.me(token)['id']}?fields=groups"
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:8000"
    assert answer.headers["Cache-Control"] == "no-store"  # a cached 301 would make the next person alice
    assert acme.api("GET", answer.headers["Location"], token).json == {
        "id": acme.me(token)["id"],
        "groups": ["Finance", "EMEA"],
    }


def test_without_a_credential_everything_is_401_with_a_number(acme: Sandbox) -> None:
    for path in ("/api/v1/users", "/api/v1/users/me", "/api/v1/groups"):
        answer = acme.call("GET", path)
        assert (answer.status_code, error(answer)["status"]) == (401, 401)


def test_pages_are_followed_by_absolute_links(acme: Sandbox) -> None:
    for number in range(7):
        made(acme, f"u{number}", name=f"U{number}")
    page = listed(acme, filter='subject co "u"', limit=3, totalResults="true", status="active", sortBy="name")
    assert (subjects(page), page["totalResults"]) == (["u0", "u1", "u2"], 7)
    assert page["links"]["next"]["href"].startswith(f"{ORIGIN}/api/v1/users?")
    assert "next=" in page["links"]["next"]["href"]
    assert "prev" not in page["links"]
    second = acme.api("GET", page["links"]["next"]["href"]).json
    assert second is not None
    assert subjects(second) == ["u3", "u4", "u5"]
    first = acme.api("GET", second["links"]["prev"]["href"]).json
    third = acme.api("GET", second["links"]["next"]["href"]).json
    assert first is not None
    assert third is not None
    assert (subjects(first), subjects(third)) == (["u0", "u1", "u2"], ["u6"])
    assert "next" not in third["links"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"limit": "9" * 5000},
        {"next": "zzz"},
        {"next": "ZnJvbTox", "prev": "ZnJvbTox"},
        {"sort": "+shoesize"},
        {"filter": 'shoesize eq "7"'},
    ],
)
def test_a_query_that_makes_no_sense_is_400(acme: Sandbox, query: dict[str, str]) -> None:
    answer = acme.api("GET", "/api/v1/users", query_string=query)
    assert (answer.status_code, error(answer)["status"]) == (400, 400)


def test_sorting_both_ways_with_a_plus_that_arrives_as_a_blank(acme: Sandbox) -> None:
    for name in ("b", "a", "c"):
        made(acme, f"s-{name}", name=name)
    path = "/api/v1/users?filter=subject%20co%20%22s-%22"
    for sort, order in (("+name", "abc"), ("-name", "cba"), ("-subject", "cba")):
        page = acme.api("GET", f"{path}&sort={sort}").json
        assert page is not None
        assert [user["name"] for user in page["data"]] == list(order)


def test_people_see_the_cards_of_others_and_all_of_themselves(acme: Sandbox) -> None:
    token = acme.token("alice")
    acme.login("bob")
    by_subject = {user["subject"]: user for user in listed(acme, token)["data"]}
    assert "email" not in by_subject["bob"]
    assert by_subject["alice"]["email"] == "alice@example.com"
    assert acme.api("GET", f"/api/v1/users/{by_subject['bob']['id']}", token).status_code == 200
    assert acme.api("POST", "/api/v1/users", token, json={"subject": "x"}).status_code == 403


def test_reading_works_with_user_default_and_writing_needs_more(acme: Sandbox) -> None:
    answer = acme.post_token("client_credentials", acme.management, scope="user_default").json
    assert answer is not None
    reader = answer["access_token"]
    assert "email" in listed(acme, reader, filter='status eq "active"')["data"][0]
    assert acme.api("POST", "/api/v1/users", reader, json={"subject": "x"}).status_code == 403


def test_creating(acme: Sandbox) -> None:
    user = acme.api("POST", "/api/v1/users", json={"subject": "fred", "assignedRoles": [{"name": "Steward"}]}).json
    assert user is not None
    assert (user["status"], user["name"], user["assignedRoles"][0]["name"]) == ("invited", "fred", "Steward")
    conflict = acme.api("POST", "/api/v1/users", json={"subject": "fred"})
    assert (conflict.status_code, error(conflict)["status"]) == (409, 409)
    active = acme.api("POST", "/api/v1/users", json={"subject": "gina", "status": "active"}).json
    assert active is not None
    assert active["status"] == "active"


@pytest.mark.parametrize(
    "sent",
    [{}, {"subject": ""}, {"subject": 7}, {"subject": "x" * 257}, {"subject": "x", "status": "deleted"}]
    + [{"subject": "x", "assignedRoles": roles} for roles in NO_ROLES],
)
def test_creating_nonsense_is_400(acme: Sandbox, sent: dict[str, object]) -> None:
    assert acme.api("POST", "/api/v1/users", json=sent).status_code == 400


def test_a_body_over_500_kb_is_413(acme: Sandbox) -> None:
    answer = acme.api("POST", "/api/v1/users", json={"subject": "x" * 500_001})
    assert (answer.status_code, error(answer)["code"]) == (413, "HTTP-413")


def patch(acme: Sandbox, user_id: str, *operations: Mapping[str, object]) -> int:
    return acme.api("PATCH", f"/api/v1/users/{user_id}", json=list(operations)).status_code


def user(acme: Sandbox, user_id: str) -> dict[str, Any]:
    return dict(acme.api("GET", f"/api/v1/users/{user_id}").json or {})


def test_patching_plain_fields(acme: Sandbox) -> None:
    fred = made(acme, "fred")
    changes = {"name": "Fred", "email": "f@x.io", "preferredLocale": "de", "status": "disabled"}
    assert patch(acme, fred, *({"op": "replace", "path": f"/{n}", "value": v} for n, v in changes.items())) == 204
    assert {name: user(acme, fred)[name] for name in changes} == changes
    assert patch(acme, fred, {"op": "renew", "path": "/inviteExpiry"}) == 204
    assert user(acme, fred)["inviteExpiry"] > 0


def test_patching_roles(acme: Sandbox) -> None:
    fred = made(acme, "fred")

    def roles(op: str, path: str, *names: str) -> list[str]:
        assert patch(acme, fred, {"op": op, "path": path, "value": [{"name": name} for name in names]}) == 204
        return [role["name"] for role in user(acme, fred)["assignedRoles"]]

    assert roles("replace", "/assignedRoles", "Steward") == ["Steward"]
    assert roles("add", "/assignedRoles/-", "TenantAdmin") == ["Steward", "TenantAdmin"]
    assert roles("remove-value", "/assignedRoles", "Steward") == ["TenantAdmin"]


def test_patching_groups_touches_custom_ones_alone(acme: Sandbox) -> None:
    token = acme.token("alice")
    alice = acme.me(token)["id"]
    acme.api("POST", "/api/v1/groups", json={"name": "Finance", "providerType": "custom"})
    replace = {"op": "replace", "path": "/assignedGroups"}
    assert patch(acme, alice, {**replace, "value": [{"name": "Finance", "providerType": "custom"}]}) == 204
    assert group_names(user(acme, alice)) == ["EMEA", "Finance", "Finance"]
    assert patch(acme, alice, {**replace, "value": [{"name": "EMEA", "providerType": "idp"}]}) == 400
    acme.login("alice", groups=[])
    assert [g.get("providerType") for g in user(acme, alice)["assignedGroups"]] == ["custom"]
    assert patch(acme, alice, {**replace, "value": []}) == 204
    assert group_names(user(acme, alice)) == []


def test_a_patch_that_fails_in_part_is_207_and_keeps_the_rest(acme: Sandbox) -> None:
    fred = made(acme, "fred")
    good, bad = {"op": "replace", "path": "/name", "value": "F"}, {"op": "replace", "path": "/shoesize", "value": "7"}
    answer = acme.api("PATCH", f"/api/v1/users/{fred}", json=[good, bad])
    assert (answer.status_code, error(answer)["status"]) == (207, 400)
    assert user(acme, fred)["name"] == "F"
    assert patch(acme, fred, bad) == 400


@pytest.mark.parametrize("sent", [[], {}, [7], "x"])
def test_a_patch_is_a_list_of_operations(acme: Sandbox, sent: object) -> None:
    assert acme.api("PATCH", f"/api/v1/users/{made(acme, 'fred')}", json=sent).status_code == 400


def test_unknown_users_are_users_7(acme: Sandbox) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answer = acme.api(method, "/api/v1/users/nobody", json=[{}] if method == "PATCH" else None)
        assert (answer.status_code, error(answer)["code"]) == (404, "USERS-7")


def test_counting_and_filtering_by_body(acme: Sandbox) -> None:
    assert acme.api("GET", "/api/v1/users/actions/count").json == {"total": 2}
    found = acme.api("POST", "/api/v1/users/actions/filter", json={"filter": 'status eq "disabled"'}).json
    assert found is not None
    assert subjects(found) == ["dave"]
