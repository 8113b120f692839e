"""What pages made from Qlik's OAuth sample read through the bridge: sheets and a hypercube."""

import pytest
from fakes import FakeApp
from webkit import ELSEWHERE, Visitor, Web, problem

from bridge.errors import (
    AppRefused,
    BadContent,
    BridgeError,
    TenantGarbled,
    TenantRefused,
    TenantThrottled,
    TenantTimeout,
    TenantUnavailable,
)

ROUTES = ["app-sheets", "hypercube", "user-attributes"]
CONTENT = {"app_id": "app-acme", "hypercube_dimension": "Product", "hypercube_measure": "Sum(Sales)"}


def sheet(name: str, rank: float) -> dict[str, object]:
    return {"qInfo": {"qId": name, "qType": "sheet"}, "qMeta": {"title": name}, "qData": {"rank": rank, "title": name}}


@pytest.fixture
def demo(demo: Web) -> Web:
    """Acme on the new path, with an app that shows each person something else."""
    demo.at("oauth")
    demo.change(content=CONTENT)
    demo.engine.apps["app-acme"] = FakeApp(
        rows={"alice": [("Tea", "1,200"), ("Cups", "80")], "bob": [("Milk", "3")]},
        sheets=[sheet("details", 1), sheet("overview", 0)],
        closed_to={"carol"},
    )
    return demo


@pytest.mark.parametrize("at", ["/t/acme/", "/"])
def test_sheets_come_by_rank_as_a_list(demo: Web, at: str) -> None:
    answer = demo.visitor("alice").get(f"{at}app-sheets")

    assert answer.status_code == 200
    assert answer.get_json() == [sheet("overview", 0), sheet("details", 1)]


@pytest.mark.parametrize("at", ["/t/acme/", "/"])
def test_each_person_gets_their_own_rows(demo: Web, at: str) -> None:
    answers = {name: demo.visitor(name).get(f"{at}hypercube").get_json() for name in ("alice", "bob", "erin")}

    assert answers == {
        "alice": {"returnedDimension": ["Tea", "Cups"], "returnedMeasure": ["1,200", "80"]},
        "bob": {"returnedDimension": ["Milk"], "returnedMeasure": ["3"]},
        "erin": {"returnedDimension": [], "returnedMeasure": []},
    }


@pytest.mark.parametrize("at", ["/t/acme/", "/"])
def test_a_person_learns_who_they_are_here_and_in_the_app(demo: Web, at: str) -> None:
    answer = demo.visitor("alice").get(f"{at}user-attributes")

    assert answer.get_json() == {"sessionUserId": "alice", "qlikUserId": "alice"}


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_not_open_the_app_is_told_so(demo: Web, route: str) -> None:
    answer = demo.visitor("carol").get(f"/t/acme/{route}")

    assert problem(answer) == (403, "app_refused")
    assert answer.get_json()["message"] == AppRefused.public


@pytest.mark.parametrize("route", ROUTES)
def test_people_on_jwt_are_not_asked_for(demo: Web, route: str) -> None:
    demo.at("legacy")

    assert problem(demo.visitor("alice").get(f"/t/acme/{route}")) == (409, "still_on_jwt")
    assert demo.qlik.calls == demo.engine.calls == []


@pytest.mark.parametrize(
    ("route", "missing"),
    [("app-sheets", "app_id"), ("user-attributes", "app_id"), *(("hypercube", name) for name in CONTENT)],
)
def test_an_operator_learns_what_to_set(demo: Web, route: str, missing: str) -> None:
    demo.change(content=CONTENT | {missing: ""})

    answer = demo.visitor("alice").get(f"/t/acme/{route}")

    assert problem(answer) == (404, "bad_content")
    assert f"`content.{missing}`" in answer.get_json()["message"]
    assert demo.qlik.calls == demo.engine.calls == []


def test_sheets_need_no_hypercube(demo: Web) -> None:
    demo.change(content={"app_id": "app-acme"})

    assert demo.visitor("alice").get("/t/acme/app-sheets").status_code == 200


def test_they_need_no_csrf_token_and_follow_the_rules_of_origins(alice: Visitor) -> None:
    listed = alice.get("/t/acme/hypercube", headers={"Origin": ELSEWHERE})
    other = alice.get("/t/acme/hypercube", headers={"Origin": "https://evil.example"})
    at_root = alice.get("/hypercube", headers={"Origin": ELSEWHERE})

    assert listed.headers["Access-Control-Allow-Origin"] == listed.headers["Timing-Allow-Origin"] == ELSEWHERE
    for answer in (other, at_root):
        assert not {"Access-Control-Allow-Origin", "Timing-Allow-Origin"} & set(answer.headers.keys())


@pytest.mark.parametrize(
    ("error", "answered"),
    [
        (AppRefused(), (403, "app_refused")),
        (BadContent(), (404, "bad_content")),
        (TenantRefused(status=400), (502, "tenant_refused")),
        (TenantThrottled(retry_after_s=2), (503, "tenant_throttled")),
        (TenantUnavailable(), (503, "tenant_unavailable")),
        (TenantTimeout(), (504, "tenant_timeout")),
        (TenantGarbled(), (502, "tenant_garbled")),
    ],
)
def test_failures_of_the_engine(demo: Web, alice: Visitor, error: BridgeError, answered: tuple[int, str]) -> None:
    demo.engine.fail["sheets"] = [error]

    assert problem(alice.get("/t/acme/app-sheets")) == answered


def test_steps_are_told(demo: Web, alice: Visitor) -> None:
    first, again, third = (alice.get(f"/t/acme/{route}").headers["Server-Timing"] for route in ROUTES)
    demo.engine.fail["hypercube"] = [TenantTimeout()]
    failed = alice.get("/t/acme/hypercube").headers["Server-Timing"]

    def names(header: str) -> list[str]:
        return [each.split(";")[0] for each in header.split(", ")]

    assert names(first) == ["session", "jwt-login", "groups", "mint", "websocket", "open-app", "sheets", "total"]
    assert names(again) == ["session", "kept", "websocket", "open-app", "hypercube", "total"]
    assert names(third) == ["session", "kept", "websocket", "open-app", "reader", "total"]
    assert names(failed) == ["session", "kept", "websocket", "total"]
    assert 'desc="tenant_timeout"' in failed
