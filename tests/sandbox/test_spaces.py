"""/spaces, /items, /tenants/me, /roles, product-info: what a caller can reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.kit import ORIGIN, error

if TYPE_CHECKING:
    from sandbox.kit import Sandbox


def got(acme: Sandbox, path: str, token: str = "") -> dict[str, Any]:
    answer = acme.api("GET", path, token)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def names(acme: Sandbox, path: str, token: str = "") -> list[str]:
    return [entry["name"] for entry in got(acme, path, token)["data"]]


def member_of(acme: Sandbox, name: str, *groups: str) -> str:
    """Return the token of somebody who signed in with these groups."""
    acme.login(name, groups=list(groups))
    return str((acme.impersonate(name).json or {})["access_token"])


def finance(acme: Sandbox) -> str:
    return f"/api/v1/spaces/{got(acme, '/api/v1/spaces?name=Finance')['data'][0]['id']}"


def test_the_administrator_gives_a_group_its_space_when_it_appears(acme: Sandbox) -> None:
    alice = acme.token("alice")
    bob, carol = member_of(acme, "bob", "Sales"), member_of(acme, "carol")
    assert names(acme, "/api/v1/spaces", alice) == ["Everybody", "Finance"]
    assert names(acme, "/api/v1/items", alice) == ["Ledger", "Retail sales"]
    assert names(acme, "/api/v1/items", bob) == ["Pipeline", "Retail sales"]
    assert names(acme, "/api/v1/items", carol) == ["Retail sales"]


def test_a_group_that_was_posted_has_its_space_too_but_not_a_custom_one(acme: Sandbox) -> None:
    acme.api("POST", "/api/v1/groups", json={"name": "Finance", "providerType": "custom"})
    assert got(acme, f"{finance(acme)}/assignments")["data"] == []
    made = acme.api("POST", "/api/v1/groups", json={"name": "Finance"}).json or {}
    assert [entry["assigneeId"] for entry in got(acme, f"{finance(acme)}/assignments")["data"]] == [made["id"]]


def test_a_group_that_comes_again_gets_no_second_assignment(acme: Sandbox) -> None:
    first = acme.api("POST", "/api/v1/groups", json={"name": "Finance"}).json or {}
    acme.api("DELETE", f"/api/v1/groups/{first['id']}")
    acme.api("POST", "/api/v1/groups", json={"name": "Finance"})
    assert got(acme, f"{finance(acme)}/assignments")["data"] == []


def test_a_group_assignment_opens_a_space_and_its_items(acme: Sandbox) -> None:
    bob = member_of(acme, "bob", "AMER")
    assert names(acme, "/api/v1/spaces", bob) == ["Everybody"]
    group = got(acme, "/api/v1/groups?filter=name%20eq%20%22AMER%22")["data"][0]["id"]
    sent = {"type": "group", "assigneeId": group, "roles": ["consumer"]}
    answer = acme.api("POST", f"{finance(acme)}/assignments", json=sent)
    assert answer.status_code == 201
    assert names(acme, "/api/v1/spaces", bob) == ["Everybody", "Finance"]
    assert names(acme, "/api/v1/items", bob) == ["Ledger", "Retail sales"]
    again = acme.api("POST", f"{finance(acme)}/assignments", json=sent)
    assert (again.status_code, "status" in error(again)) == (409, False)


def test_an_administrator_sees_and_manages_all_spaces(acme: Sandbox) -> None:
    assert names(acme, "/api/v1/spaces") == ["Everybody", "Finance", "Sales"]
    path = f"{finance(acme)}/assignments"
    alice = acme.me(member_of(acme, "alice"))["id"]
    made = acme.api("POST", path, json={"type": "user", "assigneeId": alice, "roles": ["facilitator"]}).json
    assert made is not None
    one = f"{path}/{made['id']}"
    assert (acme.api("PUT", one, json={"roles": ["consumer"]}).json or {})["roles"] == ["consumer"]
    assert [entry["assigneeId"] for entry in got(acme, path)["data"]] == [alice]
    assert acme.api("DELETE", one).status_code == 204
    assert acme.api("DELETE", one).status_code == 404


def test_members_without_the_role_manage_nothing(acme: Sandbox) -> None:
    carol = member_of(acme, "carol")
    everybody = got(acme, "/api/v1/spaces", carol)["data"][0]["id"]
    assert acme.api("DELETE", f"/api/v1/spaces/{everybody}", carol).status_code == 403
    assert acme.api("GET", finance(acme), carol).status_code == 404


@pytest.mark.parametrize(
    "change", [{"type": "team"}, {"assigneeId": "x"}, {"roles": []}, {"roles": ["pope"]}, {"roles": "consumer"}]
)
def test_assignments_have_rules(acme: Sandbox, change: dict[str, object]) -> None:
    alice = acme.me(acme.token("alice"))["id"]
    sent = {"type": "user", "assigneeId": alice, "roles": ["consumer"], **change}
    assert acme.api("POST", f"{finance(acme)}/assignments", json=sent).status_code == 400


def test_anyone_may_make_a_space_and_owns_it(acme: Sandbox) -> None:
    alice = acme.token("alice")
    answer = acme.api("POST", "/api/v1/spaces", alice, json={"name": "Mine", "type": "shared"})
    assert answer.status_code == 201
    space = f"/api/v1/spaces/{(answer.json or {})['id']}"
    assert got(acme, space, alice)["meta"]["roles"] == ["owner"]
    assert acme.api("POST", "/api/v1/spaces", alice, json={"name": "Mine"}).status_code == 409
    assert acme.api("POST", "/api/v1/spaces", alice, json={"name": "N", "type": "secret"}).status_code == 400
    assert acme.api("DELETE", space, alice).status_code == 204


def test_an_item_is_found_by_id_for_members_alone(acme: Sandbox) -> None:
    ledger = next(item for item in got(acme, "/api/v1/items")["data"] if item["name"] == "Ledger")
    assert got(acme, f"/api/v1/items/{ledger['id']}")["resourceType"] == "app"
    assert acme.api("GET", f"/api/v1/items/{ledger['id']}", acme.token("alice")).status_code == 200
    carol = member_of(acme, "carol")
    assert acme.api("GET", f"/api/v1/items/{ledger['id']}", carol).status_code == 404


def test_the_tenant_redirects_to_itself(acme: Sandbox) -> None:
    token = acme.token("alice")
    answer = acme.api("GET", "/api/v1/tenants/me", token)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"/api/v1/tenants/{acme.tenant.id}")
    found = got(acme, answer.headers["Location"], token)
    assert (found["name"], found["hostnames"]) == ("Acme", ["127.0.0.1"])
    missing = acme.api("GET", "/api/v1/tenants/other", token)
    assert (missing.status_code, error(missing)["status"]) == (404, "404")


def test_roles_are_listed(acme: Sandbox) -> None:
    assert "TenantAdmin" in names(acme, "/api/v1/roles")
    assert got(acme, "/api/v1/roles")["data"][0]["links"]["self"]["href"].startswith(ORIGIN)


def test_clients_learn_without_credentials_that_this_is_qlik_cloud(acme: Sandbox) -> None:
    path = "/resources/autogenerated/product-info.json"
    answer = acme.call("GET", path, headers={"Origin": "https://anywhere.example"})
    assert answer.status_code == 200
    assert (answer.json or {})["composition"]["deploymentType"] == "qlikcloudservices"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_unknown_paths_and_methods_keep_the_envelope(acme: Sandbox) -> None:
    missing = acme.call("GET", "/nowhere")
    assert (missing.status_code, error(missing)["code"], error(missing)["status"]) == (404, "HTTP-404", "404")
    assert acme.call("GET", "/oauth/token").status_code == 405
