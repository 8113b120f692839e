"""The line that each request leaves: enough to find a fault, no name of a person, nothing that opens a door."""

import re
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from webkit import ASSERTION, DEMO, Visitor, Web, web


@pytest.fixture
def lines() -> Any:  # noqa: ANN401 - structlog's own list
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as found:
        yield found


def last(lines: list[dict[str, Any]]) -> dict[str, Any]:
    return [line for line in lines if line["event"] == "request"][-1]


@pytest.fixture
def demo() -> Web:
    return web(**DEMO)


@pytest.fixture
def alice(demo: Web) -> Visitor:
    return demo.visitor("alice")


def told(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line.get(name) for name in ("tenant", "path", "origin", "status", "problem")}


def test_a_new_token_and_a_kept_one(demo: Web, alice: Visitor, lines: list[dict[str, Any]]) -> None:
    demo.at("oauth")

    alice.access_token()
    fresh = last(lines)
    alice.access_token()
    kept = last(lines)

    assert told(fresh) == {"tenant": "acme", "path": "oauth", "origin": "mint", "status": 200, "problem": None}
    assert told(kept) == {"tenant": "acme", "path": "oauth", "origin": "store", "status": 200, "problem": None}
    assert fresh["subject"] == kept["subject"]
    assert fresh["ms"] >= 0
    assert (fresh["method"], fresh["route"]) == ("POST", "/t/<tenant>/access-token")


def test_the_path_jwt(alice: Visitor, lines: list[dict[str, Any]]) -> None:
    alice.get("/t/acme/token")
    served = last(lines)
    alice.access_token()
    refused = last(lines)

    assert told(served) == {"tenant": "acme", "path": "jwt", "origin": None, "status": 200, "problem": None}
    assert told(refused) == {"tenant": "acme", "path": "jwt", "origin": None, "status": 409, "problem": "still_on_jwt"}


def test_people_are_told_apart_and_not_named(demo: Web, alice: Visitor, lines: list[dict[str, Any]]) -> None:
    demo.at("oauth")
    bob = demo.visitor("bob")
    subjects = []
    for visitor, slug in ((alice, "acme"), (alice, "globex"), (bob, "acme")):
        visitor.get(f"/t/{slug}/session")
        subjects.append(last(lines)["subject"])

    other = web(**DEMO | {"BRIDGE_SECRET_KEY": "z" * 40}).visitor("alice")
    other.get("/t/acme/session")

    assert len({*subjects, last(lines)["subject"]}) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in subjects)
    assert not any(name in str(lines) for name in ("alice", "bob", "Finance", "@example.com"))


def test_operators_find_a_person_in_the_log(demo: Web, alice: Visitor, lines: list[dict[str, Any]]) -> None:
    alice.get("/t/acme/session")
    line = last(lines)

    found = demo.visitor("erin").get("/api/v1/tenants/acme/people/alice").get_json()

    assert found["logged_as"] == line["subject"]


@pytest.mark.parametrize(("given", "taken"), [("portal-42", True), ("no good!", False), ("x" * 65, False)])
def test_a_request_id_is_taken_over_or_made(
    alice: Visitor, lines: list[dict[str, Any]], given: str, *, taken: bool
) -> None:
    answer = alice.get("/t/acme/session", headers={"X-Request-Id": given})

    assert (last(lines)["request_id"] == given) is taken
    assert last(lines)["request_id"] == answer.headers["X-Request-Id"]


def test_no_credential_reaches_a_line(lines: list[dict[str, Any]]) -> None:
    """Every value that opens a door is sent and answered; the lines are searched for it as they are, unmasked."""
    portal = web(**ASSERTION)
    portal.at("oauth")
    page = portal.visitor()
    vouch = portal.assertion()
    session = page.post("/t/acme/session", headers={"Authorization": f"Bearer {vouch}", "Sec-Fetch-Site": "cross-site"})
    bearer = session.get_json()["session"]
    token = page.post("/t/acme/access-token", headers={"Authorization": f"Bearer {bearer}"}).text
    legacy = page.get("/t/acme/token", headers={"Authorization": f"Bearer {bearer}"}).get_json()["token"]
    operator = portal.operator_token()["Authorization"].split()[1]
    page.get("/api/v1/tenants", headers={"Authorization": f"Bearer {operator}"})
    page.get(f"/t/acme/nowhere/{token}?access_token={token}", headers={"Authorization": f"Bearer {vouch}x"})
    page.post("/t/acme/access-token", headers={"Authorization": f"Bearer {vouch}"})

    text = str(lines)

    assert len([line for line in lines if line["event"] == "request"]) == 6
    assert [each for each in (vouch, bearer, token, legacy, operator) if each in text] == []
    assert re.search(r"\bada\b", text) is None


def test_a_line_outside_of_requests_has_the_id_of_none(alice: Visitor, lines: list[dict[str, Any]]) -> None:
    alice.get("/t/acme/session", headers={"X-Request-Id": "portal-42"})
    structlog.get_logger().info("later")

    assert (last(lines)["request_id"], lines[-1]) == ("portal-42", {"event": "later", "log_level": "info"})
