"""What operators see of the budget: the page, the API, the metrics."""

import re

from fakes import START
from samples import tenant
from webkit import DEMO, Visitor, Web, web

from bridge.budgeting import Lane
from bridge.services.budget import claiming

BUDGET = "/api/v1/tenants/acme/budget"


def spend(demo: Web, slug: str, calls: int, lane: Lane = Lane.PAGE_OPEN) -> None:
    with claiming(lane):
        for _ in range(calls):
            demo.bridge.budget.spend(tenant(slug))


def tenants_of(page: str) -> list[str]:
    return re.findall(r'<td><a href="/admin/tenants/([^"]+)"', page)


def test_the_fullest_budget_comes_first(demo: Web, erin: Visitor) -> None:
    spend(demo, "globex", 8)
    page = erin.get("/admin/budget").text

    assert tenants_of(page) == ["globex", "acme"]
    assert "392" in page
    assert "8 (2 %)" in page
    assert 'aria-current="page">Budget' in page


def test_a_frozen_tenant_comes_before_all_and_says_until_when(demo: Web, erin: Visitor) -> None:
    spend(demo, "globex", 8)
    demo.budget.close("acme", 2, START + 60, now=START)
    page = erin.get("/admin/budget").text

    assert tenants_of(page)[0] == "acme"
    assert "frozen by the tenant until <time datetime=" in page


def test_a_rush_is_worked_out_and_nonsense_is_not(erin: Visitor) -> None:
    worked_out = erin.get("/admin/budget?people=10000&minutes=0").text

    assert "a login and a token" in worked_out
    assert "<td>249 min</td>" in worked_out
    for asked in ("people=x", "people=-1&minutes=2", "people=100&minutes=inf", "people=9999999"):
        answer = erin.get(f"/admin/budget?{asked}")
        assert (answer.status_code, "a login and a token" in answer.text) == (200, False)


def test_the_api_tells_the_same(demo: Web, erin: Visitor) -> None:
    spend(demo, "acme", 10)
    spend(demo, "acme", 2, Lane.SHADOW)
    told = erin.get(f"{BUDGET}?people=1000&minutes=30").get_json()

    assert (told["limit"], told["budget"], told["spent"], told["left"]) == (500, 400, 12, 388)
    assert {each["lane"]: each["spent"] for each in told["lanes"]} == {
        "page_open": 10,
        "renewal": 0,
        "pre_warm": 0,
        "shadow": 2,
    }
    assert len(told["rush"]) == 8
    assert erin.get(BUDGET).get_json()["rush"] is None
    assert erin.get(f"{BUDGET}?people=0").status_code == 400


def test_who_sees_one_tenant_sees_one_budget() -> None:
    found = web(**DEMO | {"BRIDGE_VIEWER_GROUPS": "demo:Finance@acme"})
    alice = found.visitor("alice")

    assert tenants_of(alice.get("/admin/budget").text) == ["acme"]
    assert alice.get(BUDGET).status_code == 200
    assert alice.get(BUDGET.replace("acme", "globex")).status_code == 403
    assert found.visitor("bob").get("/admin/budget").status_code == 403


def test_metrics_are_as_of_the_scrape(demo: Web) -> None:
    spend(demo, "acme", 10)
    demo.budget.close("acme", 2, START + 60, now=START)
    lines = demo.visitor(peer="127.0.0.1").get("/metrics").text

    assert 'bridge_budget_left{tenant="acme"} 390.0' in lines
    assert 'bridge_budget_size{tenant="globex"} 400.0' in lines
    assert 'bridge_budget_frozen_seconds{tenant="acme"} 60.0' in lines
    assert 'bridge_budget_calls_total{lane="page_open",tenant="acme"} 10.0' in lines
