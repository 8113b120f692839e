"""What a tenant tells about its licences, and who takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox import licenses
from sandbox.kit import error

if TYPE_CHECKING:
    from sandbox.kit import Sandbox

LICENSES = "/api/v1/licenses"
SETTINGS, OVERVIEW, STATUS, ASSIGNMENTS = (
    f"{LICENSES}/{name}" for name in ("settings", "overview", "status", "assignments")
)


def read(acme: Sandbox, path: str, **query: object) -> dict[str, Any]:
    answer = acme.api("GET", path, query_string=query or None)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def open_an_app(acme: Sandbox, *names: str) -> None:
    """Let people do what takes a licence; tests/sandbox/test_sockets.py does so by a websocket."""
    for name in names:
        acme.login(name)
        user = acme.tenant.user_by_subject(name)
        assert user
        licenses.take(acme.tenant, user)


def taken(acme: Sandbox) -> dict[str, int]:
    return {each["name"]: each["unitsUsed"] for each in read(acme, OVERVIEW)["allotments"]}


def test_a_fresh_tenant_gives_new_users_an_analyzer_licence(acme: Sandbox) -> None:
    assert read(acme, SETTINGS) == {"autoAssignAnalyzer": True, "autoAssignProfessional": False}
    overview = read(acme, OVERVIEW)
    assert (overview["status"], overview["trial"], overview["licenseNumber"]) == ("Ok", False, acme.tenant.id)
    assert [(each["name"], each["units"], each["usageClass"]) for each in overview["allotments"]] == [
        ("professional", 10, "assigned"),
        ("analyzer", 100, "assigned"),
    ]
    assert read(acme, STATUS)["status"] == "Ok"


def test_a_login_takes_no_licence_and_opening_an_app_takes_one(acme: Sandbox) -> None:
    acme.login("alice")
    assert taken(acme) == {"professional": 0, "analyzer": 0}
    open_an_app(acme, "alice", "alice", "bob")
    assert taken(acme) == {"professional": 0, "analyzer": 2}
    listed = read(acme, ASSIGNMENTS)["data"]
    assert [(each["subject"], each["type"], each["excess"]) for each in listed] == [
        ("alice", "analyzer", False),
        ("bob", "analyzer", False),
    ]


def test_an_administrator_says_which_licence_comes_by_itself(acme: Sandbox) -> None:
    answer = acme.api("PUT", SETTINGS, json={"autoAssignProfessional": True})
    assert answer.json == {"autoAssignAnalyzer": True, "autoAssignProfessional": True}
    open_an_app(acme, "alice")
    acme.api("PUT", SETTINGS, json={"autoAssignAnalyzer": False, "autoAssignProfessional": False})
    open_an_app(acme, "bob")
    assert taken(acme) == {"professional": 1, "analyzer": 0}
    assert acme.api("PUT", SETTINGS, json={"autoAssignAnalyzer": "yes"}).status_code == 400
    acme.reset()
    assert taken(acme) == {"professional": 0, "analyzer": 0}


def test_where_none_is_left_nobody_takes_one(acme: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(licenses.UNITS, "analyzer", 1)
    open_an_app(acme, "alice", "bob")
    assert taken(acme)["analyzer"] == 1


def test_assignments_are_narrowed_sorted_and_paged(acme: Sandbox) -> None:
    open_an_app(acme, "alice", "bob", "carol")
    assert [each["subject"] for each in read(acme, ASSIGNMENTS, sort="-subject")["data"]] == ["carol", "bob", "alice"]
    assert [each["subject"] for each in read(acme, ASSIGNMENTS, filter='subject eq "bob"')["data"]] == ["bob"]
    first = read(acme, ASSIGNMENTS, limit=2)
    assert [each["subject"] for each in read(acme, first["links"]["next"]["href"])["data"]] == ["carol"]
    bob = acme.tenant.user_by_subject("bob")
    assert bob
    acme.tenant.drop_user(bob)
    assert [each["subject"] for each in read(acme, ASSIGNMENTS, orphans="true")["data"]] == ["bob"]
    for query in ({"orphans": "maybe"}, {"sort": "excess"}, {"filter": 'name eq "x"'}):
        assert acme.api("GET", ASSIGNMENTS, query_string=query).status_code == 400


@pytest.mark.parametrize("path", [SETTINGS, ASSIGNMENTS])
def test_administrators_alone_may_read_them(acme: Sandbox, path: str) -> None:
    assert acme.call("GET", path).status_code == 401
    refused = acme.api("GET", path, acme.token("alice"))
    assert refused.status_code == 403
    assert "status" not in error(refused), "as Qlik writes errors of this area"
    assert refused.json is not None
    assert {"error", "message"} <= refused.json.keys()


@pytest.mark.parametrize("path", [OVERVIEW, STATUS])
def test_whoever_is_signed_in_may_read_the_whole(acme: Sandbox, path: str) -> None:
    assert acme.call("GET", path).status_code == 401
    assert acme.api("GET", path, acme.token("alice")).status_code == 200
