"""The forms of a tenant's page: who moves first, one comparison now, and two operators at once."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from webkit import Visitor, Web, problem

from bridge.errors import TenantUnavailable, UnmetCondition
from bridge.plan import Order
from bridge.roles import Grant, Role

ACME = "/admin/tenants/acme"
PARITY = "/api/v1/tenants/acme/parity"

Submit = Callable[..., Any]


@pytest.fixture
def submit(erin: Visitor) -> Submit:
    def send(action: str, **fields: str) -> Any:  # noqa: ANN401 - werkzeug's answer
        return erin.post(f"{ACME}/{action}", data={"csrf_token": erin.csrf()["CSRF-Token"], **fields})

    return send


def cohorts(demo: Web) -> tuple[set[str], set[str]]:
    found = demo.tenants.states["acme"].rollout.cohorts
    return set(found.subjects), set(found.groups)


def of_role(demo: Web, role: Role, slug: str | None = "acme") -> dict[str, str]:
    name = f"{role}-{slug}"
    return {"Authorization": f"Bearer {demo.bridge.operators.new_token(name, actor='test', grant=Grant(role, slug))}"}


# --- who moves first -------------------------------------------------------------------------------------


def test_several_are_added_at_once_and_one_taken_out_by_one_click(demo: Web, erin: Visitor, submit: Submit) -> None:
    demo.at("rollout", 10)
    added = submit("cohorts", add_subjects=" ada \r\n\r\nbob\r\n", add_groups="Pilot", reason="they asked")
    page = erin.get(ACME).text
    removed = submit("cohorts", remove_subjects="ada", reason="left")

    assert (added.status_code, removed.status_code) == (303, 303)
    assert re.findall(r'name="remove_(\w+)" value="(\w+)"', page) == [
        ("subjects", "ada"),
        ("subjects", "bob"),
        ("groups", "Pilot"),
    ]
    assert cohorts(demo) == ({"bob"}, {"Pilot"})
    assert [event.reason for event in demo.tenants.events] == ["they asked", "left"]


@pytest.mark.parametrize("inside", ["\u2028", "\u2029"])
def test_a_name_ends_where_its_line_ends_in_the_form(demo: Web, submit: Submit, inside: str) -> None:
    demo.at("rollout", 10)

    assert submit("cohorts", add_subjects=f"ada{inside}lovelace\r\nbob\ncy\rdan", reason="x").status_code == 303
    assert cohorts(demo) == ({f"ada{inside}lovelace", "bob", "cy", "dan"}, set())


@pytest.mark.parametrize("inside", ["\x85", "\x1c", "\x1d", "\x1e", "\x0b", "\x0c"])
def test_a_control_character_makes_no_two_names_of_one(demo: Web, submit: Submit, inside: str) -> None:
    demo.at("rollout", 10)
    answer = submit("cohorts", add_subjects=f"ada{inside}lovelace", reason="x")

    assert answer.status_code == 400
    assert "control characters" in answer.text
    assert cohorts(demo) == (set(), set())


def test_a_button_of_one_name_adds_nobody(demo: Web, submit: Submit) -> None:
    demo.at("rollout", 10, subjects=frozenset({"ada"}))

    assert submit("cohorts", remove_subjects="ada", add_subjects="bob", reason="x").status_code == 303
    assert cohorts(demo) == (set(), set())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"add_subjects": "ada"}, "reason"),
        ({"reason": "x"}, "Name a subject or a group"),
        ({"add_groups": "Pi\x07lot", "reason": "x"}, "control characters"),
        ({"add_subjects": "a" * 513, "reason": "x"}, "at most 512"),
    ],
)
def test_what_cannot_be_added_is_said(demo: Web, submit: Submit, fields: dict[str, str], told: str) -> None:
    answer = submit("cohorts", **fields)

    assert (answer.status_code, cohorts(demo)) == (400, (set(), set()))
    assert told in answer.text


def test_what_is_not_met_can_be_forced_by_the_same_form(demo: Web, submit: Submit) -> None:
    demo.at("rollout", 10)
    demo.unmet.append(UnmetCondition("fresh_parity", "Nobody is proven."))
    refused = submit("cohorts", add_subjects="ada", reason="pilot")

    assert refused.status_code == 409
    assert "Nobody is proven." in refused.text
    assert ">ada</textarea>" in refused.text
    assert 'name="force"' in refused.text
    assert submit("cohorts", add_subjects="ada", reason="pilot", force="true").status_code == 303
    assert cohorts(demo) == ({"ada"}, set())


# --- one comparison now ----------------------------------------------------------------------------------


@pytest.fixture
def known(demo: Web) -> Web:
    demo.at("rollout", 0)
    demo.visitor("alice").get("/t/acme/token")
    return demo


def test_a_person_is_compared_now(known: Web, erin: Visitor, submit: Submit) -> None:
    before = erin.get(f"{ACME}?person=alice").text
    answer = submit("compare", subject="alice", reason="she called")
    page = erin.get(answer.headers["Location"]).text

    assert "Run parity now" in before
    assert "not compared yet" in before
    assert answer.headers["Location"] == f"{ACME}?person=alice&done=compared"
    assert "Compared just now" in page
    assert "Parity:" in page
    event = known.audit.events[-1]
    assert (event.action, event.actor, event.reason) == ("parity.run", "demo:erin", "she called")
    assert event.after == {"subject": "alice", "outcome": known.bridge.parity.result("acme", "alice").outcome.value}  # type: ignore[union-attr]


def test_a_program_gets_the_three_columns(known: Web) -> None:
    bearer = of_role(known, Role.OPERATOR)
    answer = known.visitor().post(PARITY, json={"subject": "alice"}, headers=bearer)
    told = answer.get_json()

    assert (answer.status_code, told["sub"]) == (200, "alice")
    assert {"expected", "baseline", "oauth"} <= set(told["checks"][0])
    assert known.visitor().get(PARITY, headers=bearer).get_json()["results"][0] == told


def test_a_stranger_is_not_compared(known: Web, submit: Submit) -> None:
    api = known.visitor().post(PARITY, json={"subject": "nobody"}, headers=of_role(known, Role.OPERATOR))
    page = submit("compare", subject="nobody")

    assert problem(api) == (400, "bad_request")
    assert "ever signed in at this tenant" in api.get_json()["message"]
    assert (page.status_code, known.qlik.calls) == (400, [])
    assert "ever signed in at this tenant" in page.text


def test_who_may_not_use_the_tenant_is_not_compared(known: Web) -> None:
    known.change(required_group="Analytics")
    answer = known.visitor().post(PARITY, json={"subject": "alice"}, headers=of_role(known, Role.OPERATOR))

    assert problem(answer) == (403, "not_allowed")
    assert "required_group" in answer.get_json()["message"]
    assert known.qlik.calls == []


def test_with_the_tenant_away_the_error_has_a_name_and_the_old_result_stays(known: Web, submit: Submit) -> None:
    bearer = of_role(known, Role.OPERATOR)
    known.visitor().post(PARITY, json={"subject": "alice"}, headers=bearer)
    old = known.bridge.parity.result("acme", "alice")
    known.clock.advance(60)
    for name in ("log_in", "mint", "whoami"):
        known.qlik.fail[name] = [TenantUnavailable() for _ in range(10)]
    api = known.visitor().post(PARITY, json={"subject": "alice"}, headers=bearer)
    page = submit("compare", subject="alice")

    assert problem(api) == (503, "tenant_unavailable")
    assert (page.status_code, page.headers.get("Retry-After")) == (503, None)
    assert "cannot be reached" in page.text
    assert known.bridge.parity.result("acme", "alice") == old


# --- two operators at once -------------------------------------------------------------------------------


def changes(demo: Web) -> list[str]:
    return [each.action for each in demo.tenants.events if not each.action.startswith("operator_token.")]


def move_meanwhile(demo: Web, percentage: float = 50) -> None:
    """Let somebody else change the rollout."""
    state = demo.tenants.states["acme"]
    moved = type(state.rollout)(state.rollout.stage, percentage, state.rollout.cohorts, state.rollout.revision)
    demo.bridge.stages.write(state, moved, Order("demo:zoe", "it went well"), action="stage.move")


def test_every_form_of_the_page_says_what_it_was_made_for(demo: Web, erin: Visitor) -> None:
    demo.at("rollout", 10)
    forms = re.findall(r'<form[^>]* action="/admin/tenants/acme/\w+">(.*?)</form>', erin.get(ACME).text, re.DOTALL)

    assert len(forms) > 4
    assert all('name="revision" value="0"' in form for form in forms)


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("stage", {"to": "rollout", "percent": "20"}),
        ("cohorts", {"add_subjects": "ada"}),
        ("ramp", {"steps": "60 % for 1 h, 100 %"}),
    ],
)
def test_a_form_that_is_late_is_refused_and_says_what_changed(
    demo: Web, submit: Submit, action: str, fields: dict[str, str]
) -> None:
    demo.at("rollout", 10)
    move_meanwhile(demo)
    answer = submit(action, reason="my own reason", revision="0", **fields)

    assert answer.status_code == 412
    assert "What changed since you opened the page" in answer.text
    assert answer.text.count("it went well") == 2  # there, and under the last changes
    assert 'value="my own reason"' in answer.text
    assert 'name="revision" value="1"' in answer.text
    assert demo.tenants.states["acme"].rollout.percentage == 50
    assert submit(action, reason="my own reason", revision="1", **fields).status_code == 303


def test_what_is_on_the_safe_side_works_late_and_says_so(demo: Web, erin: Visitor, submit: Submit) -> None:
    for action, fields in (("back", {"to": "shadow"}), ("kill", {})):
        demo.at("rollout", 10)
        move_meanwhile(demo)
        answer = submit(action, reason="trouble", revision="0", **fields)

        assert answer.status_code == 303, action
        assert "somebody else had changed this tenant" in erin.get(answer.headers["Location"]).text
    assert demo.tenants.states["acme"].rollout.kill is not None


def test_a_late_way_back_never_leads_forward(demo: Web, submit: Submit) -> None:
    """Between the page and the click somebody else went back further."""
    demo.at("legacy")
    move_meanwhile(demo, 0)
    answer = submit("back", to="shadow", reason="trouble", revision="0")

    assert (answer.status_code, demo.tenants.states["acme"].rollout.stage) == (412, "legacy")


@pytest.mark.parametrize("revision", ["", "x", "-1", "9" * 12, "²"])
def test_a_version_that_makes_no_sense_is_refused(demo: Web, submit: Submit, revision: str) -> None:
    assert submit("kill", reason="x", revision=revision).status_code == 303
    assert submit("revive", reason="x", revision=revision).status_code == 412
    assert demo.tenants.states["acme"].rollout.kill is not None


# --- who may ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["cohorts", "compare", "back"])
def test_neither_viewers_nor_operators_of_another_tenant_nor_forged_forms(demo: Web, action: str) -> None:
    fields = {"subject": "alice", "add_subjects": "ada", "to": "legacy", "reason": "x"}
    for bearer in (of_role(demo, Role.VIEWER), of_role(demo, Role.OPERATOR, "globex")):
        assert demo.visitor().post(f"{ACME}/{action}", data=fields, headers=bearer).status_code == 403
    assert demo.visitor("erin").post(f"{ACME}/{action}", data=fields).status_code == 403
    assert changes(demo) == []


def test_a_comparison_by_the_api_needs_an_operator(known: Web) -> None:
    for role, slug, status in (
        (Role.VIEWER, "acme", 403),
        (Role.OPERATOR, "globex", 403),
        (Role.OPERATOR, "acme", 200),
    ):
        answer = known.visitor().post(PARITY, json={"subject": "alice"}, headers=of_role(known, role, slug))
        assert answer.status_code == status
    assert known.visitor("erin").post(PARITY, json={"subject": "alice"}).status_code == 403  # no CSRF token


@pytest.mark.parametrize("field", ["reason", "subject", "group"])
def test_no_control_character_gets_in_by_the_api(demo: Web, field: str) -> None:
    names = {"subjects": ["a\x07"] if field == "subject" else [], "groups": ["a\x07"] if field == "group" else []}
    body = {"to": "shadow", "reason": "a\x07" if field == "reason" else "x", "cohorts": names}
    answer = demo.visitor().post("/api/v1/tenants/acme/stage", json=body, headers=of_role(demo, Role.OPERATOR))

    assert problem(answer) == (400, "bad_request")
    assert "control characters" in answer.get_json()["message"]
    assert changes(demo) == []


# --- the kill switch of all tenants ----------------------------------------------------------------------


def test_all_tenants_are_switched_off_and_on_again_on_home(demo: Web, erin: Visitor) -> None:
    csrf = {"csrf_token": erin.csrf()["CSRF-Token"]}
    assert erin.post("/admin/kill", data={"reason": "Qlik is down", **csrf}).status_code == 303
    on = erin.get("/admin/").text
    killed = demo.tenants.killed
    assert erin.post("/admin/revive", data={"reason": "it is back", **csrf}).status_code == 303

    assert killed is not None
    assert "demo:erin said: Qlik is down" in on
    assert "Give all tenants their path back" in on
    assert demo.tenants.killed is None
    assert changes(demo) == ["stage.kill", "stage.revive"]


def test_the_switch_of_all_asks_for_a_reason(demo: Web, erin: Visitor) -> None:
    answer = erin.post("/admin/kill", data={"reason": " ", "csrf_token": erin.csrf()["CSRF-Token"]})

    assert (answer.status_code, demo.tenants.killed) == (400, None)
    assert "reason" in answer.text
    assert "Take all tenants to jwt" in answer.text


@pytest.mark.parametrize("action", ["kill", "revive"])
def test_who_may_not_switch_all_tenants(demo: Web, action: str) -> None:
    demo.bridge.kills.kill_all(Order("demo:zoe", "Qlik is down"))
    for bearer in (of_role(demo, Role.VIEWER, None), of_role(demo, Role.ADMIN, "acme")):
        visitor = demo.visitor()
        assert visitor.post(f"/admin/{action}", data={"reason": "x"}, headers=bearer).status_code == 403
        assert "Give all tenants their path back" not in visitor.get("/admin/", headers=bearer).text
    assert demo.visitor("erin").post(f"/admin/{action}", data={"reason": "x"}).status_code == 403  # no CSRF token
    assert demo.tenants.killed is not None


def test_operators_of_one_tenant_learn_that_all_are_off_and_not_who_or_why(demo: Web) -> None:
    demo.bridge.kills.kill_all(Order("demo:zoe", "Globex was hacked"))
    visitor, one, of_all = demo.visitor(), of_role(demo, Role.ADMIN), of_role(demo, Role.VIEWER, None)
    pages = ("/admin/", ACME, "/admin/audit", "/api/v1/kill", "/api/v1/tenants", "/api/v1/tenants/acme")
    for path in pages:
        told = visitor.get(path, headers=one).text
        assert "zoe" not in told, path
        assert "Globex was hacked" not in told, path
    shown = visitor.get("/api/v1/tenants/acme", headers=one).get_json()["kill"]
    moved = visitor.post("/api/v1/tenants/acme/kill", json={"reason": "ours too"}, headers=one).get_json()["kill"]

    assert (shown["everywhere"], shown["actor"], shown["reason"]) == (True, None, None)
    assert (moved["everywhere"], moved["reason"]) == (False, "ours too")
    assert "The kill switch of all tenants is on." in visitor.get(ACME, headers=one).text
    assert visitor.get("/api/v1/kill", headers=of_all).get_json()["kill"]["reason"] == "Globex was hacked"
