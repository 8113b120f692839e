"""What watches over a tenant: guardrails, shadow and impersonations, as pages and by the API."""

import re
from dataclasses import replace
from typing import Any

import pytest
from fakes import START
from webkit import Visitor, Web, problem

from bridge.errors import TenantRefused, TenantThrottled
from bridge.guarding import Crowd, Shadowed
from bridge.roles import Grant, Role
from bridge.services.jwt_sessions import IMPERSONATION
from bridge.trail import Impersonation, Kind, TenantEvent
from bridge.web.admin.watch import bar

ACME = "/admin/tenants/acme"
API = "/api/v1/tenants/acme"
HOOK = {"url": "https://hooks.example.com/services/T0/very-secret-path", "secret": "hush-webhook-secret"}


def bearer(demo: Web, role: Role = Role.VIEWER, tenant: str | None = "acme") -> dict[str, str]:
    value = demo.bridge.operators.new_token(f"{role}-{tenant}", actor="test", grant=Grant(role, tenant))
    return {"Authorization": f"Bearer {value}"}


def trouble(demo: Web, failed: int, of: int = 10) -> None:
    """Let *of* people ask for a token, of whom *failed* get none."""
    measures = demo.bridge.measures
    for number in range(of):
        measures.note_person("acme", Crowd.ASKED, f"person-{number}")
        if number < failed:
            measures.note_person("acme", Crowd.NOT_ISSUED, f"person-{number}")
    measures.flush()


@pytest.fixture
def rolling(demo: Web) -> Web:
    demo.change(notify=HOOK, guardrails={"throttled": {"action": "off"}})
    demo.at("rollout", 25)
    return demo


def standings(web: Web) -> dict[str, str]:
    told = web.visitor("erin").get(f"{API}/guardrails").get_json()
    return {each["guardrail"]: each["standing"] for each in told["guardrails"]}


# --- guardrails ------------------------------------------------------------------------------------------


def test_each_guardrail_says_how_it_stands(rolling: Web, erin: Visitor) -> None:
    nothing = standings(rolling)
    trouble(rolling, 1)
    page, fine = erin.get(f"{ACME}/guardrails").text, standings(rolling)
    trouble(rolling, 5)

    assert (nothing["issue_errors"], nothing["throttled"]) == ("too_few_samples", "off")
    assert (fine["issue_errors"], fine["renewals_failed"]) == ("fine", "too_few_samples")
    assert "10 % of people; crossed above 20." in page
    assert "Nothing measured; crossed above 20 % of people." in page
    assert "Stage <code>rollout</code> is guarded" in page
    assert standings(rolling)["issue_errors"] == "crossed"


@pytest.mark.parametrize(
    ("stage", "told"),
    [("shadow", "Stage `shadow` is not guarded, `rollout` is"), ("rollout", "Stage `rollout` is guarded")],
)
def test_it_says_whether_the_present_stage_is_guarded(rolling: Web, erin: Visitor, stage: str, told: str) -> None:
    rolling.at(stage)
    answer = erin.get(f"{API}/guardrails").get_json()

    assert (answer["guarded"], answer["stages"]) == (stage == "rollout", ["rollout"])
    assert told in answer["why"]


def test_a_step_back_shows_its_evidence_and_the_way_on(rolling: Web, erin: Visitor) -> None:
    trouble(rolling, 5)
    rolling.bridge.guardrails.watch()
    page, told = erin.get(f"{ACME}/guardrails").text, erin.get(f"{API}/guardrails").get_json()

    assert told["stage"] == "shadow"
    held = told["holding"]
    assert held["action"] == "stage.step_back"
    assert (held["evidence"][0]["guardrail"], held["evidence"][0]["value"]) == ("issue_errors", 50)
    assert "Then move on: `qlik-bridge stage move acme rollout --percent 5`." in held["next"]
    assert "Stepped back to shadow" in page
    assert "<td>50 % of people</td>" in page
    assert "<code>qlik-bridge doctor acme</code>" in page


def test_a_pause_says_how_it_ends(rolling: Web, erin: Visitor) -> None:
    rolling.change(guardrails={"issue_errors": {"action": "pause"}})
    rolling.at("rollout", 25)
    trouble(rolling, 5)
    rolling.bridge.guardrails.watch()
    told = erin.get(f"{API}/guardrails").get_json()["holding"]

    assert told["action"] == "stage.pause"
    assert "any change of the rollout by a person ends the pause" in " ".join(told["next"])
    assert "Paused: guardrail issue_errors" in erin.get("/admin/").text
    assert '<h2 id="holding">Paused' in erin.get(f"{ACME}/guardrails").text


def test_of_a_webhook_the_host_alone_shows_and_why_it_did_not_hear(rolling: Web, erin: Visitor) -> None:
    trouble(rolling, 5)
    rolling.bridge.guardrails.watch()
    rolling.webhooks.answers = [404]
    rolling.bridge.notices.deliver()
    page, answer = erin.get(f"{ACME}/guardrails").text, erin.get(f"{API}/guardrails")

    told = answer.get_json()["notices"]
    assert (told["host"], told["for_all"]) == ("hooks.example.com", False)
    assert [(each["id"], each["attempts"], each["problem"]) for each in told["waiting"]] == [
        ("acme-1", 1, "status_404")
    ]
    assert "<code>status_404</code>" in page
    for secret in ("very-secret-path", "hush"):
        assert secret not in page + answer.text


def test_without_a_webhook_it_says_that_nobody_is_told(demo: Web, erin: Visitor) -> None:
    assert "Nobody is told when a guardrail acts" in erin.get(f"{ACME}/guardrails").text
    assert demo.bridge.notices.report(demo.tenants.get("acme").tenant).waiting == []


@pytest.mark.parametrize(
    ("value", "threshold", "filled", "limit"),
    [(0, 20, 0, 66.7), (20, 20, 66.7, 66.7), (10, 20, 33.3, 66.7), (90, 20, 100, 66.7), (0, 0, 0, 0), (1, 0, 100, 0)],
)
def test_a_bar_shows_a_value_beside_its_threshold(value: float, threshold: float, filled: float, limit: float) -> None:
    assert bar(value, threshold) == {"filled": filled, "limit": limit}


# --- shadow ----------------------------------------------------------------------------------------------


def test_shadow_tells_what_all_workers_counted(demo: Web, erin: Visitor) -> None:
    demo.change(parity={"sample_percent": 20})
    demo.at("shadow")
    for what, times in ((Shadowed.TAKEN, 3), (Shadowed.PROVEN, 2), (Shadowed.MISMATCH, 1), (Shadowed.DROPPED, 4)):
        for _ in range(times):
            demo.bridge.measures.note_shadowed("acme", what)
    demo.bridge.measures.flush()
    told, page = erin.get(f"{API}/shadow").get_json(), erin.get(f"{ACME}/guardrails").text

    assert (told["on"], told["sample_percent"], told["queue"]) == (True, 20, {"waiting": 0, "room": 200})
    assert told["counts"] == {
        "taken": 3, "proven": 2, "mismatch": 1, "unproven": 0, "failed": 0, "left_out": 0, "dropped": 4,
    }  # fmt: skip
    assert "<dt>mismatch</dt><dd>1</dd>" in page
    assert "qlik-bridge shadow plan acme --subjects people.csv" in page
    demo.clock.advance(3700)
    assert set(demo.visitor("erin").get(f"{API}/shadow").get_json()["counts"].values()) == {0}


# --- impersonations --------------------------------------------------------------------------------------


def minted(number: int, at: float, sub: str = "alice") -> Impersonation:
    return Impersonation(f"t-{number}", at, "acme", sub, f"u-{sub}", "client-acme", f"request-{number}")


def told(number: int, at: float, sub: str = "alice") -> TenantEvent:
    data = {"grantType": IMPERSONATION, "issuedToClientId": "client-acme", "resourceOwner": f"u-{sub}"}
    return TenantEvent(f"e-{number}", Kind.TOKEN_ISSUED, at, f"u-{sub}", "192.0.2.9", data)


@pytest.fixture
def impersonated(demo: Web) -> Web:
    """One that is joined each hour, one the tenant does not tell of, one that is not ours."""
    for number in range(1, 8):
        demo.impersonations.rows.append(minted(number, START - 3600 * number))
        demo.events.events.append(told(number, START - 3600 * number + 1))
    demo.impersonations.rows.append(minted(90, START - 90, "bob"))
    demo.events.events.append(told(91, START - 91, "<mallory>"))
    return demo


def test_a_row_shows_both_sides_or_why_not(impersonated: Web, erin: Visitor) -> None:
    page = erin.get(f"{ACME}/impersonations").text
    answer = erin.get(f"{API}/impersonations").get_json()

    assert answer["counts"] == {"joined": 7, "ambiguous": 0, "bridge_only": 1, "tenant_only": 1}
    kinds = [each["joined"] for each in answer["impersonations"]]
    assert kinds == ["bridge_only", "tenant_only", *["joined"] * 7]
    assert (answer["whole"], answer["next"]) == (True, None)
    assert "The tenant tells of none within a minute" in answer["impersonations"][0]["why"]
    assert f'href="{ACME}?person=alice">alice</a>' in page
    for part in ("request-3", "e-3", "192.0.2.9", "somebody else has the client&#39;s secret", "u-&lt;mallory&gt;"):
        assert part in page
    assert impersonated.events.pages_read == 2


@pytest.mark.usefixtures("impersonated")
def test_they_come_in_pages_and_by_kind(erin: Visitor) -> None:
    seen, before = [], ""
    while True:
        page = erin.get(f"{API}/impersonations?limit=4{before}").get_json()
        seen += [each["token_id"] or each["event_id"] for each in page["impersonations"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"

    assert seen == ["t-90", "e-91", *(f"t-{number}" for number in range(1, 8))]
    alone = erin.get(f"{API}/impersonations?joined=tenant_only").get_json()["impersonations"]
    assert [each["event_id"] for each in alone] == ["e-91"]
    assert "request-3" not in erin.get(f"{ACME}/impersonations?joined=bridge_only").text


def test_older_ones_are_a_link_away(demo: Web, erin: Visitor) -> None:
    demo.impersonations.rows = [minted(number, START - 100 * number) for number in range(1, 61)]
    first = erin.get(f"{ACME}/impersonations?days=7").text
    older = re.search(r'href="([^"]*before=[^"]*)">Older', first)
    assert older
    second = erin.get(older[1].replace("&amp;", "&")).text

    assert [len(re.findall(r"request-\d+", page)) for page in (first, second)] == [50, 10]
    assert "days=7" in older[1]


@pytest.mark.parametrize("failure", [TenantRefused(status=403), TenantThrottled(retry_after_s=9)])
def test_a_tenant_that_tells_nothing_is_said(demo: Web, erin: Visitor, failure: Any) -> None:  # noqa: ANN401 - either
    demo.events.fail = failure
    page, answer = erin.get(f"{ACME}/impersonations"), erin.get(f"{API}/impersonations")

    assert page.status_code == answer.status_code == {"tenant_refused": 502, "tenant_throttled": 503}[failure.code()]
    assert problem(answer)[1] == failure.code()
    assert "<h1>Impersonations</h1>" in page.text


@pytest.mark.parametrize("query", ["days=0", "days=x", "joined=hush", "before=nan", "colour=red", "limit=0"])
def test_an_address_that_makes_no_sense_is_refused(erin: Visitor, query: str) -> None:
    assert problem(erin.get(f"{API}/impersonations?{query}")) == (400, "bad_request")
    page = erin.get(f"{ACME}/impersonations?{query}")
    assert (page.status_code, "The request is not valid" in page.text) == (400, True)


# --- who may ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["guardrails", "shadow"])
def test_a_viewer_may_read_what_is_measured(demo: Web, path: str) -> None:
    headers = bearer(demo)

    assert demo.visitor().get(f"{API}/{path}", headers=headers).status_code == 200
    assert demo.visitor().get(f"/api/v1/tenants/globex/{path}", headers=headers).status_code == 403
    assert demo.visitor().get(f"{ACME}/guardrails", headers=headers).status_code == 200
    assert demo.visitor().get("/admin/tenants/globex/guardrails", headers=headers).status_code == 403


def test_only_an_operator_makes_the_bridge_ask_the_tenant(demo: Web) -> None:
    viewer, operator = bearer(demo), bearer(demo, Role.OPERATOR)
    for path in (API, ACME):
        assert demo.visitor().get(f"{path}/impersonations", headers=viewer).status_code == 403
        assert demo.visitor().get(f"{path}/impersonations", headers=operator).status_code == 200
    assert demo.events.pages_read == 2
    assert "impersonations" not in demo.visitor().get(f"{ACME}/guardrails", headers=viewer).text


def test_what_others_wrote_is_escaped(rolling: Web, erin: Visitor) -> None:
    trouble(rolling, 5)
    rolling.bridge.guardrails.watch()
    event = rolling.tenants.events[-1]
    rolling.tenants.events[-1] = replace(event, reason="<script>alert(1)</script>")
    for path in (ACME, f"{ACME}/guardrails", "/admin/"):
        assert "<script>alert" not in erin.get(path).text
