"""The operators' API and page."""

from collections.abc import Callable
from typing import Any

import pytest
from webkit import Visitor, Web, problem

from bridge.errors import Conflict

STAGE = "/api/v1/tenants/acme/stage"
NOTHING_PLANNED = {"ramp": None, "kill": None}
READS = ["/api/v1/tenants", "/api/v1/tenants/acme", "/api/v1/audit"]


def test_tenants_are_listed_without_secrets(erin: Visitor) -> None:
    answer = erin.get("/api/v1/tenants")

    tenants = answer.get_json()["tenants"]
    assert [each["slug"] for each in tenants] == ["acme", "globex"]
    assert tenants[0].items() >= {"stage": "legacy", "percent": 0, "revision": 0, "name": "Acme"}.items()
    assert tenants[0].items() >= {"host": "https://acme.example.com", "admits": tenants[0]["admits"]}.items()
    assert tenants[0]["cohorts"] == {"subjects": [], "groups": []}
    assert tenants[0]["issuing_client"]["id"] == "client-acme"
    assert "hush" not in answer.text


def test_one_tenant(erin: Visitor) -> None:
    assert erin.get("/api/v1/tenants/acme").get_json()["slug"] == "acme"
    assert problem(erin.get("/api/v1/tenants/nowhere")) == (404, "unknown_tenant")


def test_a_move_answers_with_the_new_state_and_is_audited(demo: Web, erin: Visitor) -> None:
    body = {"to": "shadow", "reason": "let us begin", "percent": 12.5, "cohorts": {"subjects": ["bob"], "groups": []}}

    answer = erin.post(STAGE, json=body, headers=erin.csrf() | {"X-Request-Id": "move-1"})

    moved = answer.get_json()
    assert (moved["stage"], moved["percent"], moved["revision"]) == ("shadow", 12.5, 1)
    assert moved["cohorts"] == {"subjects": ["bob"], "groups": []}
    assert erin.get("/api/v1/audit").get_json()["events"] == [
        {
            "id": 1,
            "at": "2027-01-15T08:00:00Z",
            "actor": "demo:erin",
            "action": "stage.move",
            "tenant": "acme",
            "reason": "let us begin",
            "before": NOTHING_PLANNED | {"stage": "legacy", "percent": 0, "cohorts": {"subjects": [], "groups": []}},
            "after": NOTHING_PLANNED
            | {"stage": "shadow", "percent": 12.5, "cohorts": {"subjects": ["bob"], "groups": []}},
            "request_id": "move-1",
        }
    ]
    assert demo.tenants.states["globex"].rollout.stage == "legacy"


def test_an_unsafe_move_names_each_condition(demo: Web, erin: Visitor) -> None:
    demo.change(web_integration_id=None)

    answer = erin.post(STAGE, json={"to": "oauth", "reason": "hurry"}, headers=erin.csrf())

    assert problem(answer) == (409, "stage_refused")
    assert [each["condition"] for each in answer.get_json()["unmet"]] == ["next_stage", "tenant_complete"]


def test_a_move_of_nobody_is_unknown(erin: Visitor) -> None:
    answer = erin.post("/api/v1/tenants/nowhere/stage", json={"to": "shadow", "reason": "x"}, headers=erin.csrf())

    assert problem(answer) == (404, "unknown_tenant")


def test_a_race_is_a_conflict(demo: Web, erin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> None:
        raise Conflict

    monkeypatch.setattr(demo.tenants, "move", lost)

    assert problem(erin.post(STAGE, json={"to": "shadow", "reason": "x"}, headers=erin.csrf())) == (412, "conflict")


@pytest.mark.parametrize(
    ("body", "mistakes"),
    [
        ("", ["JSON"]),
        ("{", ["JSON"]),
        ("[]", ["object"]),
        ('{"reason": "x"}', ["to: "]),
        ('{"to": "sideways"}', ["to: "]),
        ('{"to": "shadow", "percent": "many", "colour": "hush"}', ["percent: ", "colour: "]),
        ('{"to": "shadow", "percent": 101}', ["percent: "]),
        ('{"to": "shadow", "percent": -1}', ["percent: "]),
        ('{"to": "shadow", "percent": NaN}', ["percent: "]),
        ('{"to": "shadow", "percent": "50"}', ["percent: "]),
        ('{"to": "shadow", "cohorts": {"people": []}}', ["cohorts.people: "]),
        ('{"to": "shadow", "cohorts": {"subjects": "hush"}}', ["cohorts.subjects: "]),
        ('{"to": "shadow", "force": "yes"}', ["force: "]),
        ('{"to": "shadow", "reason": 7}', ["reason: "]),
        ('{"to": "shadow", "force": true}', ["needs a reason"]),
    ],
)
def test_every_mistake_of_a_body_is_listed_and_none_repeated(
    demo: Web, erin: Visitor, body: str, mistakes: list[str]
) -> None:
    answer = erin.post(STAGE, data=body, headers=erin.csrf(), content_type="application/json")

    assert problem(answer) == (400, "bad_request")
    assert [mistake for mistake in mistakes if mistake not in answer.get_json()["message"]] == []
    assert "hush" not in answer.text
    assert demo.tenants.states["acme"].rollout.stage == "legacy"


# --- who may ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", READS)
def test_reading_is_for_operators(demo: Web, alice: Visitor, path: str) -> None:
    assert problem(demo.visitor().get(path)) == (401, "not_signed_in")
    assert problem(alice.get(path)) == (403, "not_allowed")
    assert demo.visitor().get(path, headers=demo.operator_token()).status_code == 200


def test_moving_is_for_operators(demo: Web, alice: Visitor, erin: Visitor) -> None:
    move = {"json": {"to": "shadow", "reason": "x"}}

    assert problem(demo.visitor().post(STAGE, **move)) == (401, "not_signed_in")
    assert problem(alice.post(STAGE, **move, headers=alice.csrf())) == (403, "not_allowed")
    assert problem(erin.post(STAGE, **move)) == (403, "bad_csrf")
    assert demo.tenants.states["acme"].rollout.stage == "legacy"


def test_machines_move_with_an_operator_token(demo: Web) -> None:
    answer = demo.visitor().post(STAGE, json={"to": "shadow", "reason": "x"}, headers=demo.operator_token("ci"))

    assert answer.status_code == 200
    assert demo.tenants.events[-1].actor == "token:ci"


def test_an_unknown_operator_token_is_refused_even_beside_a_good_cookie(erin: Visitor) -> None:
    answer = erin.get("/api/v1/tenants", headers={"Authorization": "Bearer qbo_unknown"})

    assert problem(answer) == (401, "not_signed_in")


def test_an_operator_token_opens_no_embed(demo: Web) -> None:
    demo.at("oauth")

    assert demo.visitor().post("/t/acme/access-token", headers=demo.operator_token()).status_code == 401
    assert demo.qlik.calls == []


def test_groups_of_another_source_make_no_operator(portal: Web, proxied: Web) -> None:
    vouched = portal.vouch(groups=["bridge-admins"])
    assert portal.visitor().get("/api/v1/tenants", headers=vouched).status_code == 200

    object.__setattr__(portal.bridge.operators, "_grants", proxied.settings.grants())
    vouched = portal.vouch(groups=["bridge-admins", "header:bridge-admins", "assertion:bridge-admins"])
    assert problem(portal.visitor().get("/api/v1/tenants", headers=vouched)) == (403, "not_allowed")
    assert proxied.settings.admin_groups == ("header:bridge-admins",)


def test_who_was_vouched_for_at_one_tenant_operates_that_one(portal: Web) -> None:
    visitor = portal.visitor()
    visitor.post("/t/acme/session", headers=portal.vouch(groups=["bridge-admins"]))
    csrf = {"CSRF-Token": visitor.get("/t/acme/session").get_json()["csrf"]}
    move = {"json": {"to": "legacy", "reason": "x"}, "headers": csrf}

    assert [each["slug"] for each in visitor.get("/api/v1/tenants").get_json()["tenants"]] == ["acme"]
    assert problem(visitor.get("/api/v1/tenants/globex")) == (403, "not_allowed")
    assert problem(visitor.get("/api/v1/audit?tenant=globex")) == (403, "not_allowed")
    assert problem(visitor.post("/api/v1/tenants/globex/stage", **move)) == (403, "not_allowed")
    assert visitor.post(STAGE, **move).status_code == 200
    assert portal.tenants.events[-1].actor == "assertion:ada"


# --- the audit -------------------------------------------------------------------------------------------


def test_the_audit_is_narrowed_by_tenant_and_number(demo: Web, erin: Visitor) -> None:
    for slug in ("acme", "globex", "acme"):
        now = demo.tenants.states[slug].rollout.stage
        to = "shadow" if now == "legacy" else "rollout"
        erin.post(f"/api/v1/tenants/{slug}/stage", json={"to": to, "reason": slug}, headers=erin.csrf())

    def shown(query: str) -> list[str]:
        return [each["tenant"] for each in erin.get(f"/api/v1/audit?{query}").get_json()["events"]]

    assert shown("") == ["acme", "globex", "acme"]
    assert shown("tenant=globex") == ["globex"]
    assert shown("tenant=acme&limit=1") == ["acme"]
    assert shown("tenant=nowhere") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=many", "limit=1001", "since=hush"])
def test_a_wrong_query_is_said_so(erin: Visitor, query: str) -> None:
    answer = erin.get(f"/api/v1/audit?{query}")

    assert problem(answer) == (400, "bad_request")
    assert "hush" not in answer.text


# --- the page --------------------------------------------------------------------------------------------


@pytest.fixture
def submit(erin: Visitor) -> Callable[..., Any]:
    """Send the page's form as a browser without JavaScript does."""

    def send(slug: str = "acme", **fields: str) -> Any:  # noqa: ANN401 - werkzeug's answer
        form = {"csrf_token": erin.csrf()["CSRF-Token"], "percent": "", "reason": "", **fields}
        return erin.post(f"/admin/tenants/{slug}/stage", data=form)

    return send


def test_the_page_moves_stages_without_javascript(demo: Web, erin: Visitor, submit: Callable[..., Any]) -> None:
    demo.at("shadow")

    answer = submit(to="rollout", percent="12.5", reason="<b>slowly</b>")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/tenants/acme")
    assert (demo.tenants.states["acme"].rollout.percentage, demo.tenants.events[-1].reason) == (12.5, "<b>slowly</b>")
    page = erin.get("/admin/tenants/acme").text
    assert "&lt;b&gt;slowly" in page
    assert "demo:erin" in page
    assert "12.5 %" in page
    assert "hush" not in page
    assert "<script>" not in page


def test_the_page_shows_refusals(demo: Web, submit: Callable[..., Any]) -> None:
    refused = submit(to="retired", reason="in a hurry")
    wrong = submit(to="shadow", percent="150")

    assert (refused.status_code, wrong.status_code) == (409, 400)
    assert "the next stage is shadow" in refused.text
    assert 'value="in a hurry"' in refused.text
    assert "<option selected>retired" in refused.text
    assert "percent: " in wrong.text
    assert demo.tenants.states["acme"].rollout.stage == "legacy"
    assert submit("nowhere", to="shadow").status_code == 404


def test_the_page_is_for_operators_and_needs_csrf(demo: Web, alice: Visitor, erin: Visitor) -> None:
    assert alice.get("/admin/").status_code == 403
    assert erin.post("/admin/tenants/acme/stage", data={"to": "shadow"}).status_code == 403
    assert demo.tenants.states["acme"].rollout.stage == "legacy"


def test_outside_the_demo_the_page_refuses_strangers(portal: Web) -> None:
    answer = portal.visitor().get("/admin/")

    assert (answer.status_code, answer.mimetype) == (401, "text/html")
