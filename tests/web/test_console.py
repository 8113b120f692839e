"""The console's pages, as people use them without JavaScript."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fakes import START
from samples import state
from webkit import Visitor, Web

from bridge.evidence import Area, Check, ParityResult, Verdict
from bridge.model import AuditEvent, Path, Stage, TenantState, Unreadable
from bridge.plan import Kill, Ramp, RampStep, Wait
from bridge.roles import Grant, Role

ACME = "/admin/tenants/acme"


def many(demo: Web, number: int) -> None:
    demo.tenants.states = {
        slug: state(Stage.LEGACY, slug=slug) for slug in (f"tenant-{each:03}" for each in range(number))
    }


def shown(page: str) -> list[str]:
    """Return the slugs of the tenants in the order in which a page lists them."""
    return re.findall(r'<li id="([^"]+)" data-tenant', page)


@pytest.fixture
def submit(erin: Visitor) -> Callable[..., Any]:
    def send(action: str, **fields: str) -> Any:  # noqa: ANN401 - werkzeug's answer
        return erin.post(f"{ACME}/{action}", data={"csrf_token": erin.csrf()["CSRF-Token"], **fields})

    return send


# --- home ------------------------------------------------------------------------------------------------


def test_without_a_tenant_it_says_what_to_do_first(demo: Web, erin: Visitor) -> None:
    demo.tenants.states = {}

    assert "tenants apply tenants.toml" in erin.get("/admin/").text


def test_a_tenant_that_cannot_be_read_is_named_to_those_who_may_see_it(demo: Web, erin: Visitor) -> None:
    demo.tenants.bad["initech"] = Unreadable("host: must be https")
    value = demo.bridge.operators.new_token("v", actor="test", grant=Grant(Role.VIEWER, "acme"))
    page = erin.get("/admin/").text

    assert "host: must be https" in page
    assert shown(page) == ["acme", "globex"]
    assert "initech" not in demo.visitor().get("/admin/", headers={"Authorization": f"Bearer {value}"}).text
    assert "initech cannot be read: host: must be https" in erin.get("/admin/tenants/initech").text


def test_a_hundred_tenants_come_in_pages(demo: Web, erin: Visitor) -> None:
    many(demo, 100)
    first, last = erin.get("/admin/").text, erin.get("/admin/?page=4").text

    assert (len(shown(first)), shown(first)[0], shown(last)[-1]) == (25, "tenant-000", "tenant-099")
    assert "Page 1 of 4, 100 tenants" in first
    assert shown(erin.get("/admin/?page=99").text) == shown(last)
    assert shown(erin.get("/admin/?search=-042").text) == ["tenant-042"]


def test_trouble_comes_first(demo: Web, erin: Visitor) -> None:
    globex = demo.tenants.states["globex"]
    killed = replace(globex.rollout, kill=Kill("erin", "Qlik is down", START))
    demo.tenants.states["globex"] = replace(globex, rollout=killed)

    assert shown(erin.get("/admin/").text) == ["globex", "acme"]
    assert "Qlik is down" in erin.get("/admin/").text
    assert shown(erin.get("/admin/?sort=name").text) == ["acme", "globex"]


def unfinished(slug: str, stage: Stage) -> TenantState:
    return state(stage, slug=slug, issuing_client=None, web_integration_id=None)


def test_what_stands_still_comes_before_what_was_never_finished(demo: Web, erin: Visitor) -> None:
    """However many parts are missing elsewhere: nobody of those tenants has moved yet."""
    others = [unfinished(f"a-{each:03}", Stage.LEGACY) for each in range(40)]
    broken, stepped_back = unfinished("broken", Stage.ROLLOUT), state(Stage.SHADOW, slug="stepped-back")
    killed, waiting = state(Stage.SHADOW, slug="killed"), state(Stage.ROLLOUT, slug="waiting")
    killed = replace(killed, rollout=replace(killed.rollout, kill=Kill("erin", "it burns", START)))
    ramp = Ramp((RampStep(5, 60), RampStep(100)), taken=1, since=START, wait=Wait("the tenant is away", START))
    waiting = replace(waiting, rollout=replace(waiting.rollout, ramp=ramp))
    demo.tenants.states = {each.tenant.slug: each for each in (*others, broken, waiting, killed, stepped_back)}
    shadow = {"stage": "shadow"}
    demo.audit.append(AuditEvent(START, "guardrail", "stage.step_back", "stepped-back", "20 %", None, shadow))

    for kill_all in (None, Kill("erin", "all of it", START)):
        demo.tenants.states = {slug: replace(each, kill_all=kill_all) for slug, each in demo.tenants.states.items()}
        page = erin.get("/admin/").text
        assert shown(page)[:5] == ["stepped-back", "killed", "waiting", "broken", "a-000"]


def test_what_is_missing_is_told_as_on_the_tenants_own_page(demo: Web, erin: Visitor) -> None:
    demo.tenants.states = {"acme": state(Stage.LEGACY, issuing_client=None)}

    assert "give it an <code>issuing_client</code>" in erin.get("/admin/").text


def come(demo: Web, slug: str, *, jwt: int, oauth: int) -> None:
    """Let so many people use each path today."""
    for path, number in ((Path.JWT, jwt), (Path.OAUTH, oauth)):
        for each in range(number):
            demo.bridge.history.note_person(slug, path, f"{slug}-{each}")
    demo.bridge.history.flush()


def test_the_share_of_paths_today(demo: Web, erin: Visitor) -> None:
    assert erin.get("/admin/").text.count("Nobody came today") == 3  # both tenants, and all together
    come(demo, "acme", jwt=1, oauth=2)
    come(demo, "globex", jwt=1199, oauth=1)

    page = erin.get("/admin/").text
    shares = re.findall(r"oauth (.+) today", page)
    assert shares == ["under 1 % of 1,203 people", "67 % of 3 people", "under 1 % of 1,200 people"]


def test_tenants_are_sorted_by_their_share(demo: Web, erin: Visitor) -> None:
    many(demo, 4)
    come(demo, "tenant-001", jwt=3, oauth=1)
    come(demo, "tenant-002", jwt=0, oauth=1)
    come(demo, "tenant-003", jwt=1, oauth=1)

    by_share = [f"tenant-00{number}" for number in (2, 3, 1)]
    assert shown(erin.get("/admin/?sort=oauth").text) == [*by_share, "tenant-000"]
    assert shown(erin.get("/admin/?sort=jwt").text) == [*reversed(by_share), "tenant-000"]


def test_an_operator_of_one_tenant_sees_its_people_alone(demo: Web) -> None:
    come(demo, "acme", jwt=1, oauth=0)
    come(demo, "globex", jwt=0, oauth=3)
    token = demo.bridge.operators.new_token("one", actor="test", grant=Grant(Role.VIEWER, "acme"))

    page = demo.visitor().get("/admin/", headers={"Authorization": f"Bearer {token}"}).text
    assert re.findall(r"oauth (.+) today", page) == ["0 % of 1 person"] * 2


def test_a_step_back_by_a_guardrail_is_trouble(demo: Web, erin: Visitor) -> None:
    demo.at("shadow")
    demo.audit.append(
        AuditEvent(START, "guardrail", "stage.step_back", "acme", "20 % got no token", None, {"stage": "shadow"})
    )

    assert "Stepped back: 20 % got no token" in erin.get("/admin/").text
    for page in ("", "/parity", "/stragglers"):
        shown = erin.get(f"{ACME}{page}").text
        assert "20 % got no token" in shown
        assert f'href="{ACME}/guardrails">What to do next' in shown


def test_what_a_person_moved_on_from_is_no_trouble(demo: Web, erin: Visitor) -> None:
    """Also where the tenant is in `shadow` again, because a person wanted it so."""
    for actor in ("guardrail", "oidc:erin"):
        demo.audit.append(AuditEvent(START, actor, "stage.step_back", "acme", "20 % got no token", None, None))
    demo.at("shadow")

    assert "20 % got no token" not in erin.get("/admin/").text
    assert "What to do next" not in erin.get(ACME).text


@pytest.mark.parametrize("query", ["page=x", "page=-1", "page=²", "sort=hush", "stage=hush", "colour=hush"])
def test_an_address_that_makes_no_sense_shows_the_tenants(erin: Visitor, query: str) -> None:
    page = erin.get(f"/admin/?{query}")

    assert (page.status_code, len(shown(page.text))) == (200, 2)


# --- a tenant --------------------------------------------------------------------------------------------


def test_it_names_the_next_step_and_what_it_lacks(demo: Web, erin: Visitor) -> None:
    demo.change(web_integration_id=None)
    page = erin.get(ACME).text

    assert "Next step: shadow" in page
    assert "The tenant has no web integration id" in page
    assert "hush" not in page


def test_forms_do_what_they_say(demo: Web, submit: Callable[..., Any]) -> None:
    demo.at("rollout")
    for action, fields in (
        ("ramp", {"steps": "5 % for 1 h, 100 %"}),
        ("pause", {}),
        ("resume", {}),
        ("stop", {}),
        ("kill", {}),
        ("revive", {}),
        ("stage", {"to": "shadow"}),
    ):
        assert submit(action, reason="as agreed", **fields).status_code == 303, action

    done = [event.action for event in demo.tenants.events]
    assert done == ["ramp.start", "ramp.pause", "ramp.resume", "ramp.stop", "stage.kill", "stage.revive", "stage.move"]
    assert {event.reason for event in demo.tenants.events} == {"as agreed"}


@pytest.mark.parametrize(
    ("action", "fields", "status", "told"),
    [
        ("kill", {}, 400, "reason"),
        ("ramp", {"steps": "up", "reason": "x"}, 400, "This is no ramp"),
        ("pause", {"reason": "x"}, 409, "has no ramp"),
        ("revoke", {"reason": "x"}, 400, "sub"),
    ],
)
def test_a_refusal_is_told_on_the_page(
    submit: Callable[..., Any], action: str, fields: dict[str, str], status: int, told: str
) -> None:
    answer = submit(action, **fields)

    assert answer.status_code == status
    assert told in answer.text


def test_a_person_is_looked_up_and_their_token_revoked(demo: Web, erin: Visitor, submit: Callable[..., Any]) -> None:
    demo.at("oauth")
    assert demo.visitor("alice").access_token().status_code == 200

    found = erin.get(f"{ACME}?person=alice").text
    gone = submit("revoke", subject="alice", reason="left")

    assert "EMEA, Finance" in found
    assert "Revoke their token" in found
    assert (gone.status_code, gone.headers["Location"]) == (303, f"{ACME}?person=alice&done=revoked")
    assert demo.qlik.revoked == {"fake-token-1"}
    assert "nobody of this" in erin.get(f"{ACME}?person=stranger").text
    assert "control characters" in erin.get(f"{ACME}?person=%00").text


def test_parity_names_each_difference(demo: Web, erin: Visitor) -> None:
    assert "Nobody was compared yet" in erin.get(f"{ACME}/parity").text
    checks = [
        Check(Area.GROUPS, "Finance", Verdict.MISSING, "idp", "idp", "", "not in the tenant"),
        Check(Area.ROLES, "Viewer", Verdict.SAME, "yes", "yes", "yes"),
    ]
    demo.bridge.parity._store.keep_result(ParityResult("acme", "bob", 0, START, None, "", checks))

    page = erin.get(f"{ACME}/parity?outcome=mismatch").text
    told = erin.get("/api/v1/tenants/acme/parity").get_json()

    assert "groups: Finance" in page
    assert "1 checks are the same" in page
    assert (told["mismatch"], told["results"][0]["sub"], len(told["results"][0]["checks"])) == (1, "bob", 2)
    assert erin.get("/api/v1/tenants/acme/doctor").get_json()["findings"]


def test_doctor_and_stragglers_have_their_pages(demo: Web, erin: Visitor) -> None:
    demo.visitor("alice").get("/t/acme/token", headers={"Origin": "https://app.example.com"})
    demo.bridge.stragglers.flush()

    assert "alice" in erin.get(f"{ACME}/stragglers").text
    assert 'data-light="' in erin.get(f"{ACME}/doctor").text
    assert erin.get("/admin/tenants/nowhere/stragglers").status_code == 404


# --- who may ---------------------------------------------------------------------------------------------


def test_a_viewer_sees_no_forms_and_can_send_none(demo: Web) -> None:
    value = demo.bridge.operators.new_token("v", actor="test", grant=Grant(Role.VIEWER, "acme"))
    viewer, bearer = demo.visitor(), {"Authorization": f"Bearer {value}"}

    page = viewer.get(ACME, headers=bearer).text
    assert "<h1>Acme</h1>" in page
    assert f'action="{ACME}/' not in page
    for action in ("stage", "kill", "ramp", "revoke"):
        sent = viewer.post(f"{ACME}/{action}", data={"to": "shadow", "reason": "x"}, headers=bearer)
        assert sent.status_code == 403
    assert viewer.get("/admin/tenants/globex", headers=bearer).status_code == 403
    assert viewer.get(f"{ACME}/doctor", headers=bearer).status_code == 403
    assert viewer.get("/admin/settings", headers=bearer).status_code == 403
    assert shown(viewer.get("/admin/", headers=bearer).text) == ["acme"]
    assert demo.tenants.states["acme"].rollout.stage == "legacy"


# --- the audit -------------------------------------------------------------------------------------------


@pytest.fixture
def trail(demo: Web) -> Web:
    for number in range(120):
        slug = "acme" if number % 2 else "globex"
        demo.audit.append(
            AuditEvent(START + number, "oidc:erin", "stage.move", slug, f"=SUM({number})", None, {"a": 1})
        )
    return demo


def test_the_audit_says_what_was_changed(demo: Web, erin: Visitor) -> None:
    demo.bridge.operators.new_token("ci", actor="cli:erin", grant=Grant(Role.VIEWER))
    before, after = ({"cohorts": {"subjects": each, "groups": ["Pilot"]}} for each in ([], ["ada", "<b>"]))
    demo.audit.append(AuditEvent(START, "oidc:erin", "stage.move", "acme", "x", before, after))
    many = {f"field-{number}": "y" * 200 for number in range(9)}
    demo.audit.append(AuditEvent(START, "oidc:erin", "tenant.change", "acme", "x", None, many))
    page = erin.get("/admin/audit").text

    assert "<div>name: ci</div>" in page
    assert "<div>role: viewer</div>" in page
    assert "<div>cohorts.subjects: ada, &lt;b&gt;</div>" in page
    assert "groups: " not in page
    assert "<summary>6 more</summary>" in page
    assert f"<div>field-8: {'y' * 157}...</div>" in page
    assert "<div>cohorts.subjects: ada, &lt;b&gt;</div>" in erin.get(ACME).text


@pytest.mark.usefixtures("trail")
def test_the_audit_is_narrowed_and_paged(erin: Visitor) -> None:
    first = erin.get("/admin/audit?tenant=acme").text
    older = re.search(r'href="(/admin/audit\?[^"]*before=[^"]*)"', first)
    assert older is not None
    second = erin.get(older[1].replace("&amp;", "&")).text

    assert (first.count("=SUM("), second.count("=SUM(")) == (50, 10)
    assert "=SUM(119)" in first
    assert "=SUM(118)" not in first + second
    assert "Older" not in second


@pytest.mark.usefixtures("trail")
def test_the_audit_leaves_as_csv_and_as_json_lines(erin: Visitor) -> None:
    table = erin.get("/admin/audit.csv?tenant=globex")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    lines = [json.loads(line) for line in erin.get("/admin/audit.json?actor=oidc:erin").text.splitlines()]

    assert table.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    assert (len(rows), rows[0]["reason"], rows[0]["after"]) == (60, "'=SUM(0)", '{"a": 1}')
    assert (len(lines), lines[0]["reason"]) == (120, "=SUM(0)")


def test_an_operator_of_one_tenant_takes_that_one_away(trail: Web) -> None:
    value = trail.bridge.operators.new_token("o", actor="test", grant=Grant(Role.VIEWER, "acme"))
    bearer = {"Authorization": f"Bearer {value}"}
    lines = trail.visitor().get("/admin/audit.json", headers=bearer).text.splitlines()

    assert {json.loads(line)["tenant"] for line in lines} == {"acme"}
    assert trail.visitor().get("/admin/audit?tenant=globex", headers=bearer).status_code == 403
    assert trail.visitor().get("/admin/audit.csv?tenant=globex", headers=bearer).status_code == 403


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("query", ["since=yesterday", "tenant=ACME!", "endpoint=x", "limit=5", "before=60"])
def test_no_file_holds_other_events_than_asked_for(erin: Visitor, query: str) -> None:
    for name in ("audit.csv", "audit.json"):
        assert erin.get(f"/admin/{name}?{query}").status_code == 400


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("query", ["endpoint=x", "_method=DELETE", "_scheme=ftp", "tenant=ACME!"])
def test_odd_questions_to_the_audit_are_answered(erin: Visitor, query: str) -> None:
    answer = erin.get(f"/admin/audit?{query}")

    assert answer.status_code == 200
    assert "This cannot be searched for" in answer.text
    assert "ftp:" not in answer.text


def test_what_cannot_be_searched_for_is_said(erin: Visitor) -> None:
    told = "This cannot be searched for: since: must be a date or time as in 2026-11-01"

    assert told in erin.get("/admin/audit?since=hush").text


# --- settings --------------------------------------------------------------------------------------------


def test_settings_show_secrets_as_set(demo: Web, erin: Visitor) -> None:
    page = erin.get("/admin/settings").text

    assert "set (secret)" in page
    assert "not set" in page
    assert demo.settings.secret_key.get_secret_value() not in page


def test_a_token_is_made_shown_once_and_revoked(demo: Web, erin: Visitor) -> None:
    csrf = {"csrf_token": erin.csrf()["CSRF-Token"]}
    wanted = {"name": "ci", "role": "viewer", "tenant": "acme", "reason": "reports", **csrf}
    made = erin.post("/admin/settings/tokens", data=wanted)
    value = re.search(r"qbo_[\w-]+", made.text)

    assert made.status_code == 201
    assert value is not None
    assert value[0] not in erin.get("/admin/settings").text
    assert erin.post("/admin/settings/tokens", data=wanted).status_code == 400
    assert erin.post("/admin/settings/tokens/ci/revoke", data={"reason": "done", **csrf}).status_code == 303
    assert demo.operator_tokens.rows == {}


def test_every_page_keeps_to_the_strict_policy(erin: Visitor) -> None:
    for path in (
        "/admin/",
        ACME,
        f"{ACME}/doctor",
        f"{ACME}/parity",
        f"{ACME}/stragglers",
        f"{ACME}/set-up",
        "/admin/tenants/new",
        f"{ACME}/trends",
        f"{ACME}/guardrails",
        f"{ACME}/impersonations",
        "/admin/audit",
        "/admin/settings",
    ):
        page = erin.get(path)
        assert page.status_code == 200
        assert "style=" not in page.text
        assert re.findall(r"<script(?! src=)", page.text) == []
        assert " on" not in "".join(re.findall(r"<[^>]* on\w+=", page.text))
        assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_an_operator_of_some_tenants_is_told_whose_audit_they_read(trail: Web) -> None:
    """There is no "all" for them, so none is offered: the page names the tenant that it shows."""
    grants = frozenset({Grant(Role.VIEWER, "acme"), Grant(Role.VIEWER, "globex")})
    trail.bridge.operators.grants_of = lambda identity: grants  # type: ignore[method-assign]  # noqa: ARG005 - whoever asks
    visitor = trail.visitor("alice")
    first, other = visitor.get("/admin/audit").text, visitor.get("/admin/audit?tenant=globex").text

    assert '<option value="">all</option>' not in first + other
    assert "<option selected>acme" in first
    assert "<option selected>globex" in other
    assert ("=SUM(119)" in first, "=SUM(118)" in first, "=SUM(118)" in other) == (True, False, True)
    assert "/admin/audit.csv?tenant=acme" in first
