"""The JSON API beyond stages: tenants are changed, people looked up, tokens made; nobody does more than their role."""

from typing import Any

import pytest
from samples import identity, subject
from webkit import ASSERTION, Visitor, Web, problem, web

from bridge.roles import Grant, Role

ACME = "/api/v1/tenants/acme"


@pytest.fixture
def admin(demo: Web) -> dict[str, str]:
    return demo.operator_token("admin")


@pytest.fixture
def anyone(demo: Web) -> Visitor:
    return demo.visitor()


def bearer(demo: Web, role: Role, tenant: str | None = None) -> dict[str, str]:
    number = len(demo.bridge.operators.tokens())
    value = demo.bridge.operators.new_token(f"{role}-{tenant}-{number}", actor="test", grant=Grant(role, tenant))
    return {"Authorization": f"Bearer {value}"}


def whole(visitor: Visitor, headers: dict[str, str], **changes: object) -> tuple[dict[str, Any], str]:
    """Return acme as a PUT takes it, and the ETag under which it was read."""
    answer = visitor.get(ACME, headers=headers)
    beside = {"stage", "percent", "cohorts", "ramp", "kill", "revision"}
    kept = {name: value for name, value in answer.get_json().items() if name not in beside}
    return {"reason": "as agreed", "tenant": kept | changes}, answer.headers["ETag"]


# --- paging ----------------------------------------------------------------------------------------------


def test_tenants_come_in_pages(anyone: Visitor, admin: dict[str, str]) -> None:
    first = anyone.get("/api/v1/tenants?limit=1", headers=admin).get_json()
    second = anyone.get(f"/api/v1/tenants?limit=1&after={first['next']}", headers=admin).get_json()

    assert ([each["slug"] for each in first["tenants"]], first["next"], first["total"]) == (["acme"], "acme", 2)
    assert ([each["slug"] for each in second["tenants"]], second["next"]) == (["globex"], None)


@pytest.mark.parametrize(
    ("query", "found"), [("search=ACME.ex", ["acme"]), ("stage=legacy&search=glo", ["globex"]), ("stage=oauth", [])]
)
def test_tenants_are_searched(anyone: Visitor, admin: dict[str, str], query: str, found: list[str]) -> None:
    answer = anyone.get(f"/api/v1/tenants?{query}", headers=admin).get_json()

    assert [each["slug"] for each in answer["tenants"]] == found


# --- changing a tenant -----------------------------------------------------------------------------------


def test_a_change_keeps_the_secrets_that_it_leaves_out(demo: Web, anyone: Visitor, admin: dict[str, str]) -> None:
    body, etag = whole(anyone, admin, name="Acme Ltd")
    body["tenant"]["issuing_client"].pop("secret")

    answer = anyone.put(ACME, json=body, headers=admin | {"If-Match": etag, "X-Request-Id": "change-1"})

    assert (answer.status_code, answer.get_json()["name"]) == (200, "Acme Ltd")
    assert answer.headers["ETag"] != etag
    assert demo.tenants.states["acme"].tenant.secrets() == {"issuing_client": "hush-issuing"}
    event = demo.tenants.events[-1]
    assert (event.actor, event.action, event.reason, event.request_id) == (
        "token:admin",
        "tenant.change",
        "as agreed",
        "change-1",
    )
    assert (event.before, event.after) == ({"name": "Acme"}, {"name": "Acme Ltd"})
    assert "hush" not in answer.text


def test_of_two_who_change_at_once_the_second_is_told_and_nothing_is_lost(
    demo: Web, anyone: Visitor, admin: dict[str, str]
) -> None:
    body, etag = whole(anyone, admin, name="First")
    late, same = whole(anyone, admin, required_group="Finance")
    assert etag == same

    assert anyone.put(ACME, json=body, headers=admin | {"If-Match": etag}).status_code == 200
    assert problem(anyone.put(ACME, json=late, headers=admin | {"If-Match": etag})) == (412, "conflict")
    assert demo.tenants.states["acme"].tenant.name == "First"
    assert demo.tenants.states["acme"].tenant.required_group is None


def test_a_stage_move_that_names_an_old_version_is_refused(demo: Web, anyone: Visitor, admin: dict[str, str]) -> None:
    etag = anyone.get(ACME, headers=admin).headers["ETag"]
    there = {"json": {"to": "shadow", "reason": "x"}, "headers": admin | {"If-Match": etag}}

    assert anyone.post(f"{ACME}/stage", **there).status_code == 200
    assert problem(anyone.post(f"{ACME}/stage", **there)) == (412, "conflict")
    assert demo.tenants.states["acme"].rollout.revision == 1


def test_what_is_so_already_is_not_done_again(demo: Web, anyone: Visitor, admin: dict[str, str]) -> None:
    move = {"json": {"to": "shadow", "reason": "x", "percent": 5}, "headers": admin}
    moved = [anyone.post(f"{ACME}/stage", **move).get_json()["revision"] for _ in range(2)]
    body, etag = whole(anyone, admin)
    again = anyone.put(ACME, json=body, headers=admin | {"If-Match": etag})

    assert moved == [1, 1]
    assert (again.status_code, again.headers["ETag"]) == (200, etag)
    assert [each.action for each in demo.tenants.events] == ["operator_token.create", "stage.move"]


def test_a_change_says_what_it_replaces(anyone: Visitor, admin: dict[str, str]) -> None:
    body, _ = whole(anyone, admin)

    assert problem(anyone.put(ACME, json=body, headers=admin)) == (428, "needs_if_match")
    assert problem(anyone.put(ACME, json=body, headers=admin | {"If-None-Match": "*"})) == (412, "conflict")


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"host": "https://elsewhere.example.com"}, "the host needs the secret again"),
        ({"issuing_client": {"id": "another"}}, "another client needs its own secret"),
        ({"issuing_client": {"id": "client-acme", "secret": "env:HUSH"}}, "command line"),
        ({"slug": "globex"}, "a slug never changes"),
        ({"name": ""}, "tenant.name"),
        ({"portal_hosts": ["portal.globex.example.com"]}, "already belongs to globex"),
        ({"colour": "hush"}, "tenant.colour"),
    ],
)
def test_a_wrong_change_is_refused_whole(
    demo: Web, anyone: Visitor, admin: dict[str, str], changes: dict[str, Any], mistake: str
) -> None:
    demo.change("globex", portal_hosts=["portal.globex.example.com"])
    body, etag = whole(anyone, admin, **changes)

    answer = anyone.put(ACME, json=body, headers=admin | {"If-Match": etag})

    assert problem(answer) == (400, "bad_request")
    assert mistake in answer.get_json()["message"]
    assert "hush" not in answer.text.casefold()
    assert demo.tenants.states["acme"].revision == 0


def test_another_host_is_taken_with_the_secret(demo: Web, anyone: Visitor, admin: dict[str, str]) -> None:
    client = {"id": "client-acme", "secret": "hush-hush"}
    body, etag = whole(anyone, admin, host="https://new.example.com", issuing_client=client)

    answer = anyone.put(ACME, json=body, headers=admin | {"If-Match": etag})

    assert answer.get_json()["host"] == "https://new.example.com"
    assert demo.tenants.states["acme"].tenant.secrets() == {"issuing_client": "hush-hush"}
    assert "hush" not in answer.text + repr(demo.tenants.events)


def test_a_new_tenant_starts_at_legacy(demo: Web, anyone: Visitor, admin: dict[str, str]) -> None:
    body, _ = whole(anyone, admin, slug="initech", portal_hosts=[], issuing_client={"id": "c", "secret": "hush-c"})

    answer = anyone.put("/api/v1/tenants/initech", json=body, headers=admin)

    assert (answer.status_code, answer.get_json()["stage"]) == (200, "legacy")
    assert demo.tenants.events[-1].action == "tenant.create"


def test_a_reason_is_asked_for(anyone: Visitor, admin: dict[str, str]) -> None:
    body, etag = whole(anyone, admin)

    for reason in ("", "  ", "a\x00b"):
        answer = anyone.put(ACME, json=body | {"reason": reason}, headers=admin | {"If-Match": etag})
        assert problem(answer) == (400, "bad_request")


# --- roles -----------------------------------------------------------------------------------------------


def test_each_role_does_what_it_may_where_it_may(demo: Web, anyone: Visitor) -> None:
    body, etag = whole(anyone, bearer(demo, Role.VIEWER))
    move = {"to": "shadow", "reason": "x"}

    def answers(headers: dict[str, str], slug: str = "acme") -> list[int]:
        route = f"/api/v1/tenants/{slug}"
        version = {"If-Match": etag if slug == "acme" else '"0.0"'}
        return [
            anyone.get(route, headers=headers).status_code,
            anyone.post(f"{route}/stage", json=move, headers=headers).status_code,
            anyone.post(f"{route}/revocations", json={"subject": "a", "reason": "x"}, headers=headers).status_code,
            anyone.put(route, json=body, headers=headers | version).status_code,
        ]

    assert answers(bearer(demo, Role.VIEWER)) == [200, 403, 403, 403]
    assert answers(bearer(demo, Role.OPERATOR, "globex")) == [403, 403, 403, 403]
    assert demo.tenants.states["acme"].rollout.stage == "legacy"
    assert answers(bearer(demo, Role.OPERATOR, "acme")) == [200, 200, 200, 403]
    assert answers(bearer(demo, Role.ADMIN, "acme")) == [200, 200, 200, 403]
    assert answers(bearer(demo, Role.ADMIN)) == [200, 200, 200, 412]
    assert answers(bearer(demo, Role.ADMIN), "globex") == [200, 200, 200, 412]


def test_what_belongs_to_no_tenant_is_for_admins_of_all(demo: Web, anyone: Visitor) -> None:
    for route in ("/api/v1/settings", "/api/v1/operator-tokens"):
        assert anyone.get(route, headers=bearer(demo, Role.ADMIN)).status_code == 200
        assert problem(anyone.get(route, headers=bearer(demo, Role.ADMIN, "acme"))) == (403, "not_allowed")
        assert problem(anyone.get(route, headers=bearer(demo, Role.OPERATOR))) == (403, "not_allowed")


def test_people_get_their_role_by_group() -> None:
    found = web(
        **ASSERTION,
        BRIDGE_OPERATOR_GROUPS="assertion:acme-team@acme,assertion:at@work@*",
        BRIDGE_VIEWER_GROUPS="assertion:support",
    )
    visitor = found.visitor()

    def grants(*groups: str) -> Any:  # noqa: ANN401 - JSON
        headers = found.vouch(groups=list(groups), tenant="acme")
        return visitor.get("/api/v1/whoami", headers=headers).get_json().get("grants", [])

    assert grants("acme-team") == [{"role": "operator", "tenant": "acme"}]
    assert grants("at@work") == [{"role": "operator", "tenant": "acme"}]
    assert grants("support") == [{"role": "viewer", "tenant": "acme"}]
    assert grants("bridge-admins") == [{"role": "admin", "tenant": "acme"}]
    assert grants("Finance") == []


def test_settings_are_shown_without_secrets(demo: Web, anyone: Visitor, admin: dict[str, str]) -> None:
    answer = anyone.get("/api/v1/settings", headers=admin)

    assert answer.get_json()["settings"]["public_url"] == "http://localhost:8000"
    assert demo.settings.secret_key.get_secret_value() not in answer.text


# --- people ----------------------------------------------------------------------------------------------


def test_a_person_is_shown_with_path_groups_and_token(demo: Web, anyone: Visitor, admin: dict[str, str]) -> None:
    demo.at("rollout", 0, subjects=frozenset({"alice"}))
    visitor = demo.visitor("alice")
    assert visitor.access_token().status_code == 200

    answer = anyone.get(f"{ACME}/people/alice", headers=admin)

    found = answer.get_json()
    assert found["decision"] == {
        "path": "oauth",
        "reason": "TARGETING_MATCH",
        "variant": "rollout",
        "provider": found["decision"]["provider"],
    }
    assert (found["groups"], found["synced_groups"]) == (["EMEA", "Finance"], ["EMEA", "Finance"])
    assert (found["known"], found["user_id"], found["synced_at"]) == (True, "id-alice", "2027-01-15T08:00:00Z")
    assert found["token"]["expires_at"] == "2027-01-15T14:00:00Z"
    assert "fake-token" not in answer.text


def test_a_stranger_is_said_to_be_one(anyone: Visitor, admin: dict[str, str]) -> None:
    found = anyone.get(f"{ACME}/people/auth0%7Cx%2Fy", headers=admin).get_json()

    assert (found["sub"], found["known"], found["token"], found["noted"]) == ("auth0|x/y", False, None, None)
    assert found["decision"] == {"path": "jwt", "reason": "STATIC", "variant": "legacy", "provider": ""}


def test_a_persons_tokens_are_revoked(demo: Web, anyone: Visitor, admin: dict[str, str]) -> None:
    demo.at("oauth")
    demo.subjects.note("acme", subject("bob"), 0)
    demo.bridge.broker.issue(demo.tenants.get("acme"), identity("bob"))

    answer = anyone.post(f"{ACME}/revocations", json={"subject": "bob", "reason": "left"}, headers=admin)

    assert answer.get_json() == {"revoked": 1, "failed": 0}
    assert demo.qlik.revoked == {"fake-token-1"}
    assert (demo.audit.events[-1].action, demo.audit.events[-1].reason) == ("tokens.revoke", "left")


# --- operator tokens -------------------------------------------------------------------------------------


def test_an_operator_token_is_made_shown_once_and_revoked(anyone: Visitor, admin: dict[str, str]) -> None:
    wanted = {"name": "ci", "role": "viewer", "tenant": "acme", "reason": "nightly report"}
    made = anyone.post("/api/v1/operator-tokens", json=wanted, headers=admin)
    headers = {"Authorization": f"Bearer {made.get_json()['token']}"}

    assert made.status_code == 201
    assert anyone.get(ACME, headers=headers).status_code == 200
    assert problem(anyone.post("/api/v1/operator-tokens", json=wanted, headers=admin)) == (400, "bad_request")
    listed = anyone.get("/api/v1/operator-tokens", headers=admin)
    assert [each["name"] for each in listed.get_json()["tokens"]] == ["admin", "ci"]
    assert made.get_json()["token"] not in listed.text
    anyone.post("/api/v1/operator-tokens/ci/revoke", json={"reason": "done"}, headers=admin)
    assert problem(anyone.get(ACME, headers=headers)) == (401, "not_signed_in")


# --- the documentation page ------------------------------------------------------------------------------


def test_the_page_of_the_api_needs_nothing_from_elsewhere(anyone: Visitor) -> None:
    page = anyone.get("/api/v1/docs")

    assert page.status_code == 200
    assert "<script" not in page.text
    assert "/api/v1/tenants/{slug}/people/{sub}" in page.text
    assert page.text.count("https://") == 0
