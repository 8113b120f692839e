"""/api/v1/groups and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.kit import error, group_names

if TYPE_CHECKING:
    from sandbox.kit import Sandbox


def made(acme: Sandbox, name: str, **fields: object) -> dict[str, Any]:
    answer = acme.api("POST", "/api/v1/groups", json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def names(acme: Sandbox, **query: str) -> list[str]:
    answer = acme.api("GET", "/api/v1/groups", query_string=query)
    assert answer.status_code == 200, answer.text
    return [group["name"] for group in (answer.json or {})["data"]]


def test_logins_bring_groups_into_existence_exactly_once(acme: Sandbox) -> None:
    acme.login("alice", groups=["Finance", "finance"])
    acme.login("bob", groups=["Finance"])
    assert sorted(names(acme)) == ["Finance", "finance"]


def test_idp_is_the_default_type_and_names_are_unique_within_a_type(acme: Sandbox) -> None:
    assert made(acme, "Ops")["providerType"] == "idp"
    assert made(acme, "Ops", providerType="custom")["providerType"] == "custom"
    answer = acme.api("POST", "/api/v1/groups", json={"name": "Ops"})
    assert (answer.status_code, error(answer)["status"]) == (409, 409)
    assert names(acme, filter='name eq "OPS" and providerType eq "custom"') == ["Ops"]


def test_a_group_seeded_by_api_is_the_one_that_a_login_links(acme: Sandbox) -> None:
    seeded = made(acme, "Finance")["id"]
    me = acme.me(acme.token("alice"))
    assert seeded in [group["id"] for group in me["assignedGroups"]]


@pytest.mark.parametrize(
    "sent", [{}, {"name": "x" * 257}, {"name": "x", "providerType": "ldap"}, {"name": "x", "providerType": []}]
)
def test_creating_nonsense_is_400(acme: Sandbox, sent: dict[str, object]) -> None:
    assert acme.api("POST", "/api/v1/groups", json=sent).status_code == 400


def test_only_administrators_see_groups(acme: Sandbox) -> None:
    token = acme.token("alice")
    assert acme.api("GET", "/api/v1/groups", token).status_code == 403
    assert acme.api("POST", "/api/v1/groups", token, json={"name": "x"}).status_code == 403


def test_everyone_is_a_system_group(acme: Sandbox) -> None:
    assert names(acme, systemGroups="true") == ["com.qlik.Everyone"]
    assert names(acme) == []
    assert acme.api("GET", "/api/v1/groups?systemGroups=true&limit=5").status_code == 400


def test_patching_takes_paths_with_and_without_a_slash(acme: Sandbox) -> None:
    custom, idp = made(acme, "C", providerType="custom")["id"], made(acme, "I")["id"]
    operations = [
        {"op": "replace", "path": "name", "value": "D"},
        {"op": "replace", "path": "/description", "value": "d"},
        {"op": "replace", "path": "/assignedRoles", "value": [{"name": "Steward"}]},
    ]
    assert acme.api("PATCH", f"/api/v1/groups/{custom}", json=operations).status_code == 204
    found = acme.api("GET", f"/api/v1/groups/{custom}").json
    assert found is not None
    assert (found["name"], found["description"], found["assignedRoles"][0]["name"]) == ("D", "d", "Steward")
    assert acme.api("PATCH", f"/api/v1/groups/{idp}", json=operations[:1]).status_code == 400
    assert acme.api("PATCH", f"/api/v1/groups/{idp}", json=operations[2:]).status_code == 204
    made(acme, "C", providerType="custom")
    taken = [{"op": "replace", "path": "/name", "value": "C"}]
    assert acme.api("PATCH", f"/api/v1/groups/{custom}", json=taken).status_code == 409


def test_deleting_takes_memberships_along(acme: Sandbox) -> None:
    token = acme.token("alice")
    finance = next(g["id"] for g in acme.me(token)["assignedGroups"] if g["name"] == "Finance")
    assert acme.api("DELETE", f"/api/v1/groups/{finance}").status_code == 204
    assert group_names(acme.me(token)) == ["EMEA"]
    answer = acme.api("GET", f"/api/v1/groups/{finance}")
    assert (answer.status_code, error(answer)["code"]) == (404, "GROUPS-7")


def test_filtering_by_body(acme: Sandbox) -> None:
    made(acme, "Ops")
    found = acme.api("POST", "/api/v1/groups/actions/filter", json={"filter": 'name co "op"'}).json
    assert found is not None
    assert [group["name"] for group in found["data"]] == ["Ops"]


def test_settings(acme: Sandbox) -> None:
    everyone = "/systemGroups/000000000000000000000001/assignedRoles"
    operations = [
        {"op": "replace", "path": "/autoCreateGroups", "value": False},
        {"op": "replace", "path": "/syncIdpGroups", "value": False},
        {"op": "replace", "path": everyone, "value": [{"name": "TenantAdmin"}]},
    ]
    assert acme.api("PATCH", "/api/v1/groups/settings", json=operations).status_code == 204
    found = acme.api("GET", "/api/v1/groups/settings").json
    assert found is not None
    assert (found["autoCreateGroups"], found["syncIdpGroups"]) == (False, False)
    assert found["systemGroups"]["000000000000000000000001"]["assignedRoles"][0]["name"] == "TenantAdmin"
    assert acme.tenant.is_admin(acme.tenant.memory.users[acme.me(acme.token("carol"))["id"]])


def test_a_bad_settings_patch_changes_nothing(acme: Sandbox) -> None:
    good = {"op": "replace", "path": "/autoCreateGroups", "value": False}
    for bad in ({**good, "value": "no"}, {**good, "path": "/tenantId"}, {**good, "path": []}, {**good, "op": "add"}):
        assert acme.api("PATCH", "/api/v1/groups/settings", json=[good, bad]).status_code == 400
    assert acme.tenant.memory.auto_create_groups is True
