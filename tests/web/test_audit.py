"""The audit as the JSON API shows it: narrowed, page by page, and to whom."""

from dataclasses import replace

import pytest
from webkit import ASSERTION, Visitor, Web, problem, web

from bridge.model import AuditEvent

AUDIT = "/api/v1/audit"
EVENT = AuditEvent(
    1_800_000_000.0, "cli:erin", "stage.move", "acme", "because", {"stage": "a"}, {"stage": "b"}, "req-1"
)


@pytest.fixture
def filled(demo: Web) -> Web:
    hour = 3600
    elsewhere, another = replace(EVENT, tenant="globex"), replace(EVENT, actor="cli:bob")
    changed, of_none = replace(EVENT, action="tenant.change"), replace(EVENT, tenant=None)
    for number, event in enumerate((EVENT, elsewhere, another, changed, of_none)):
        demo.audit.append(replace(event, at=event.at + number * hour))
    return demo


def ids(visitor: Visitor, query: str = "") -> list[int]:
    return [each["id"] for each in visitor.get(f"{AUDIT}?{query}").get_json()["events"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("tenant=acme", [4, 3, 1]),
        ("actor=cli:bob", [3]),
        ("action=tenant.change", [4]),
        ("since=2027-01-15T10:00:00Z", [5, 4, 3]),
        ("until=2027-01-15T10:00:00%2B00:00", [2, 1]),
        ("since=2027-01-15&until=2027-01-15T09:30", [2, 1]),
        ("before=3", [2, 1]),
        ("tenant=acme&before=4&limit=1", [3]),
    ],
)
def test_the_audit_can_be_narrowed(filled: Web, erin: Visitor, query: str, found: list[int]) -> None:
    assert filled.audit.events
    assert ids(erin, query) == found


def test_pages_follow_each_other_to_the_end(filled: Web, erin: Visitor) -> None:
    seen, query = [], "limit=2"
    while query:
        page = erin.get(f"{AUDIT}?{query}").get_json()
        seen.append([each["id"] for each in page["events"]])
        query = f"limit=2&before={page['next']}" if page["next"] else ""

    assert seen == [[5, 4], [3, 2], [1]]
    assert len(filled.audit.events) == 5


@pytest.mark.parametrize("query", ["since=yesterday", "before=0", "before=x", "limit=0", "limit=1001", "colour=red"])
def test_a_wrong_question_is_refused(erin: Visitor, query: str) -> None:
    assert problem(erin.get(f"{AUDIT}?{query}")) == (400, "bad_request")


def test_an_operator_of_one_tenant_sees_its_events_alone(filled: Web) -> None:
    """Neither those of another, nor those of none: they name operators and subjects of all tenants."""
    portal = web(**ASSERTION)
    portal.audit.events.extend(filled.audit.events)
    answer = portal.visitor().post("/t/acme/session", headers=portal.vouch("erin", groups=["bridge-admins"]))
    bearer = {"Authorization": f"Bearer {answer.get_json()['session']}"}
    scoped = portal.visitor()

    assert [each["id"] for each in scoped.get(AUDIT, headers=bearer).get_json()["events"]] == [4, 3, 1]
    assert problem(scoped.get(f"{AUDIT}?tenant=globex", headers=bearer)) == (403, "not_allowed")
    whole = scoped.get(AUDIT, headers=portal.operator_token()).get_json()["events"]
    assert {each["tenant"] for each in whole} == {"acme", "globex", None}
