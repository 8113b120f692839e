"""Who still uses the JWT path, for operators of that tenant."""

import pytest
from webkit import ASSERTION, Visitor, Web, problem, web

STRAGGLERS = "/api/v1/tenants/acme/stragglers"


def test_a_use_shows_up(demo: Web, alice: Visitor, erin: Visitor) -> None:
    alice.get("/t/acme/token", headers={"Origin": "https://app.example.com", "User-Agent": "curl/8"})
    demo.bridge.stragglers.flush()

    told = erin.get(STRAGGLERS).get_json()

    assert told["verdict"] == "not_safe"
    assert (told["subjects"], told["uses"][0]["subject"], told["uses"][0]["agent"]) == (1, "alice", "program")
    assert told["origins"][0]["origin"] == "https://app.example.com"
    assert [each["source"] for each in told["evidence"]] == ["bridge", "tenant"]
    assert demo.visitor().get(STRAGGLERS, headers=demo.operator_token()).get_json() == told


def test_it_is_for_operators_of_that_tenant(demo: Web, alice: Visitor) -> None:
    assert problem(demo.visitor().get(STRAGGLERS)) == (401, "not_signed_in")
    assert problem(alice.get(STRAGGLERS)) == (403, "not_allowed")
    portal = web(**ASSERTION)
    answer = portal.visitor().post(
        "/t/globex/session", headers=portal.vouch("x", tenant="globex", groups=["bridge-admins"])
    )
    bearer = {"Authorization": f"Bearer {answer.get_json()['session']}"}
    assert problem(portal.visitor().get(STRAGGLERS, headers=bearer)) == (403, "not_allowed")


def test_the_days_can_be_given(erin: Visitor) -> None:
    assert erin.get(f"{STRAGGLERS}?days=1").get_json()["since"] == "2027-01-14T08:00:00Z"
    assert problem(erin.get("/api/v1/tenants/nowhere/stragglers")) == (404, "unknown_tenant")


@pytest.mark.parametrize("query", ["days=0", "days=91", "days=x", "limit=0", "limit=1001", "colour=red"])
def test_a_wrong_question_is_refused(erin: Visitor, query: str) -> None:
    assert problem(erin.get(f"{STRAGGLERS}?{query}")) == (400, "bad_request")
