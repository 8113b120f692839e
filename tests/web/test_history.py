"""What people do on the embed routes shows in the history of their tenant."""

import pytest
from webkit import DEMO, Visitor, Web, problem, web

from bridge.errors import StoreError
from bridge.history import Series, Span, Trouble
from bridge.roles import Grant, Role


@pytest.fixture
def demo() -> Web:
    return web(**DEMO)


def now_of(demo: Web) -> dict[Series, int | None]:
    demo.bridge.history.flush()
    found = demo.bridge.history.look_back("acme", Span.DAY, demo.clock())
    return {series: values[-1] for series, values in found.values.items()}


def troubles(demo: Web) -> list[Trouble]:
    demo.bridge.history.flush()
    return list(demo.bridge.history.troubles("acme", 0, 10))


def people(demo: Web) -> tuple[int | None, int | None]:
    found = now_of(demo)
    return found[Series.JWT_PEOPLE], found[Series.OAUTH_PEOPLE]


def asks(visitor: Visitor) -> None:
    csrf = visitor.get("/t/acme/session").get_json()["csrf"]
    assert visitor.post("/t/acme/access-token", headers={"CSRF-Token": csrf}).status_code == 200


def test_people_count_on_the_path_that_they_used(demo: Web) -> None:
    for name in ("alice", "bob"):
        demo.visitor(name).get("/t/acme/session")
    demo.visitor("alice").get("/t/acme/token")
    assert people(demo) == (2, 0)

    demo.at("oauth")
    demo.visitor("carol").get("/t/acme/session")
    assert people(demo) == (2, 0)  # nobody was given a token yet
    asks(demo.visitor("carol"))
    demo.visitor("bob").get("/t/acme/token")
    assert people(demo) == (2, 1)
    assert now_of(demo)[Series.ISSUED] == 1


def test_what_people_met_when_they_asked(demo: Web) -> None:
    alice = demo.visitor("alice")
    csrf = {"CSRF-Token": alice.get("/t/acme/session").get_json()["csrf"]}
    for _ in range(2):
        alice.post("/t/acme/access-token", headers=csrf)
    demo.clock.advance(1)
    demo.at("retired")
    alice.get("/t/acme/token")

    now = demo.clock()
    assert troubles(demo) == [Trouble("jwt_retired", 1, now), Trouble("still_on_jwt", 2, now)]


def test_what_nobody_asked_a_token_for_is_no_trouble(demo: Web) -> None:
    demo.visitor("alice").get("/t/acme/app-sheets")
    demo.visitor("alice").get("/t/nobody/token")
    demo.visitor("alice").get("/admin/tenants/acme")

    assert troubles(demo) == []


def test_a_store_that_is_away_stops_nobody(demo: Web) -> None:
    demo.history.broken = True
    demo.at("oauth")
    asks(demo.visitor("alice"))

    with pytest.raises(StoreError):
        demo.bridge.history.flush()


HISTORY = "/api/v1/tenants/acme/history"


def test_the_api_tells_by_hour_and_by_day(demo: Web) -> None:
    demo.visitor("alice").get("/t/acme/token")
    demo.at("retired")
    demo.visitor("bob").get("/t/acme/token")
    demo.bridge.history.flush()
    bearer = demo.operator_token()

    day, month = (demo.visitor().get(f"{HISTORY}{query}", headers=bearer).get_json() for query in ("", "?span=month"))
    assert (day["span"], day["slot_s"], day["starts"][-1]) == ("day", 3600, "2027-01-15T08:00:00Z")
    assert (month["span"], len(month["starts"]), month["starts"][-1]) == ("month", 30, "2027-01-15T00:00:00Z")
    assert set(day["values"]) == set(Series)
    for told in (day, month):
        assert told["values"]["jwt_people"][-2:] == [None, 1]
        assert told["values"]["proven"][-1] is None
        assert told["troubles"] == [{"code": "jwt_retired", "times": 1, "last_at": "2027-01-15T08:00:00Z"}]


def test_it_is_for_those_who_may_see_the_tenant(demo: Web) -> None:
    elsewhere = demo.bridge.operators.new_token("other", actor="test", grant=Grant(Role.VIEWER, "globex"))
    viewer = demo.bridge.operators.new_token("viewer", actor="test", grant=Grant(Role.VIEWER, "acme"))

    def told(token: str, query: str = "") -> int:
        return demo.visitor().get(HISTORY + query, headers={"Authorization": f"Bearer {token}"}).status_code

    assert [told(viewer), told(elsewhere), told(viewer, "?span=year")] == [200, 403, 400]
    assert problem(demo.visitor().get(HISTORY)) == (401, "not_signed_in")
