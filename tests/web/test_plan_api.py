"""The operators' API for plans, ramps, cohorts and kill switches."""

import pytest
from webkit import Visitor, Web, problem

from bridge.errors import UnmetCondition

ACME = "/api/v1/tenants/acme"
TEXT = "5 % for 1 h, 25 % for 1 day, 100 %"
STEPS = [{"percent": 5, "hold_s": 3600}, {"percent": 25, "hold_s": 86_400}, {"percent": 100}]
STALE = UnmetCondition("parity_fresh", "Parity is 9 days old: run it again.")
WRITES = [
    f"{ACME}/{each}" for each in ("cohorts", "ramp", "ramp/pause", "ramp/resume", "ramp/stop", "kill", "revive")
] + ["/api/v1/kill", "/api/v1/revive"]


def post(visitor: Visitor, path: str, **body: object) -> dict[str, object]:
    answer = visitor.post(path, json={"reason": "a calm week", **body}, headers=visitor.csrf())
    assert answer.status_code == 200, answer.text
    document: dict[str, object] = answer.get_json()
    return document


class TestPlan:
    def test_it_shows_the_next_move_and_what_it_lacks(self, demo: Web, erin: Visitor) -> None:
        demo.unmet = [STALE]

        plan = erin.get(f"{ACME}/plan").get_json()

        assert (plan["before"]["stage"], plan["after"]["stage"]) == ("legacy", "shadow")
        assert plan["unmet"] == [STALE.document()]
        assert plan["effects"][0] == "Everybody gets the path jwt in stage shadow."

    def test_it_takes_a_stage_and_a_percentage(self, demo: Web, erin: Visitor) -> None:
        demo.at("rollout", 10)

        plan = erin.get(f"{ACME}/plan?to=rollout&percent=30").get_json()

        assert (plan["before"]["percent"], plan["after"]["percent"]) == (10, 30)
        assert problem(erin.get(f"{ACME}/plan?to=sideways")) == (400, "bad_request")
        assert problem(erin.get(f"{ACME}/plan?percent=nan")) == (400, "bad_request")
        assert problem(erin.get("/api/v1/tenants/nowhere/plan")) == (404, "unknown_tenant")


class TestRamp:
    @pytest.mark.parametrize("steps", [TEXT, STEPS])
    def test_it_starts_pauses_resumes_and_stops(self, demo: Web, erin: Visitor, steps: object) -> None:
        demo.at("rollout")

        started = post(erin, f"{ACME}/ramp", steps=steps)
        paused = post(erin, f"{ACME}/ramp/pause")["ramp"]
        resumed = post(erin, f"{ACME}/ramp/resume")["ramp"]
        stopped = post(erin, f"{ACME}/ramp/stop")

        assert started["percent"] == 5
        assert started["ramp"] == {
            "text": TEXT,
            "steps": [*STEPS[:2], {"percent": 100, "hold_s": 0}],
            "taken": 1,
            "since": "2027-01-15T08:00:00Z",
            "next_at": "2027-01-15T09:00:00Z",
            "pause": None,
            "wait": None,
        }
        assert isinstance(paused, dict)
        assert paused["pause"] == {"actor": "demo:erin", "reason": "a calm week", "at": "2027-01-15T08:00:00Z"}
        assert resumed == started["ramp"]
        assert (stopped["ramp"], stopped["percent"]) == (None, 5)
        actions = [each.action for each in demo.tenants.events]
        assert actions == ["ramp.start", "ramp.pause", "ramp.resume", "ramp.stop"]

    def test_the_background_takes_the_next_step(self, demo: Web, erin: Visitor) -> None:
        demo.at("rollout")
        post(erin, f"{ACME}/ramp", steps=TEXT)

        demo.clock.advance(3600)
        demo.bridge.ramps.run_due()

        assert erin.get(ACME).get_json()["percent"] == 25

    @pytest.mark.parametrize(
        "steps", ["soon", "", [], [{"percent": 5}, {"percent": 4}], [{"percent": "5"}], 5, [{"percent": 1e400}]]
    )
    def test_what_is_no_ramp_is_refused(self, demo: Web, erin: Visitor, steps: object) -> None:
        demo.at("rollout")

        answer = erin.post(f"{ACME}/ramp", json={"steps": steps}, headers=erin.csrf())

        assert problem(answer) == (400, "bad_request")
        assert demo.tenants.events == []

    def test_what_is_wrong_with_a_step_is_said_in_the_callers_words(self, demo: Web, erin: Visitor) -> None:
        demo.at("rollout")
        sent = {"steps": [{"percent": 5, "hold_s": 0.5}, {"percent": 100}], "reason": "x", "dry-run": True}

        told = erin.post(f"{ACME}/ramp", json=sent, headers=erin.csrf()).get_json()["message"]
        assert "steps.0.hold_s: Input should be a valid integer" in told
        assert "dry-run: Extra inputs" in told
        assert "StepBody" not in told
        assert "constrained" not in told

    def test_outside_the_rollout_it_is_refused(self, erin: Visitor) -> None:
        answer = erin.post(f"{ACME}/ramp", json={"steps": TEXT, "reason": "x"}, headers=erin.csrf())

        assert problem(answer) == (409, "stage_refused")
        assert answer.get_json()["unmet"][0]["condition"] == "stage_rollout"


class TestCohorts:
    def test_names_come_and_go(self, demo: Web, erin: Visitor) -> None:
        demo.at("rollout", groups=frozenset({"Pilots"}))

        changed = post(erin, f"{ACME}/cohorts", add={"subjects": ["bob"]}, remove={"groups": ["Pilots"]})

        assert changed["cohorts"] == {"subjects": ["bob"], "groups": []}
        empty = erin.post(f"{ACME}/cohorts", json={"reason": "x"}, headers=erin.csrf())
        assert problem(empty) == (400, "bad_request")


class TestKill:
    def test_pages_are_sent_to_jwt_at_once_and_back(self, demo: Web, erin: Visitor, alice: Visitor) -> None:
        demo.at("oauth")
        assert alice.access_token().status_code == 200

        killed = post(erin, f"{ACME}/kill")

        assert killed["kill"] == {
            "actor": "demo:erin",
            "reason": "a calm week",
            "at": "2027-01-15T08:00:00Z",
            "everywhere": False,
        }
        session = alice.get("/t/acme/session").get_json()
        assert (session["path"], session["stage"], session["killed"]) == ("jwt", "oauth", True)
        assert problem(alice.access_token()) == (409, "still_on_jwt")
        assert alice.get("/t/acme/token").status_code == 200
        post(erin, f"{ACME}/revive")
        assert alice.get("/t/acme/session").get_json()["path"] == "oauth"

    def test_the_one_of_all_tenants(self, demo: Web, erin: Visitor, alice: Visitor) -> None:
        demo.at("oauth")
        demo.at("retired", slug="globex")

        killed = post(erin, "/api/v1/kill")

        assert erin.get("/api/v1/kill").get_json() == killed
        assert [each["kill"]["everywhere"] for each in erin.get("/api/v1/tenants").get_json()["tenants"]] == [
            True,
            True,
        ]
        assert [alice.get(f"/t/{slug}/session").get_json()["path"] for slug in ("acme", "globex")] == ["jwt", "oauth"]
        metrics = erin.get("/metrics", peer="127.0.0.1").text
        assert 'bridge_killed{tenant="acme"} 1.0' in metrics
        assert 'bridge_killed{tenant="globex"} 0.0' in metrics
        assert post(erin, "/api/v1/revive") == {"kill": None}

    def test_metrics_are_served_while_the_database_is_away(self, demo: Web, erin: Visitor) -> None:
        demo.tenants.broken = True

        assert erin.get("/metrics", peer="127.0.0.1").status_code == 200

    def test_it_needs_a_reason(self, demo: Web, erin: Visitor) -> None:
        for path in (f"{ACME}/kill", "/api/v1/kill", f"{ACME}/revive", "/api/v1/revive"):
            assert problem(erin.post(path, json={}, headers=erin.csrf())) == (400, "bad_request")
        assert demo.tenants.events == []


class TestVersions:
    CHANGES = ("cohorts", "ramp", "ramp/pause", "ramp/resume", "ramp/stop", "kill", "revive", "stage")

    @pytest.mark.parametrize("change", CHANGES)
    def test_a_change_for_an_old_version_is_refused(self, demo: Web, erin: Visitor, change: str) -> None:
        demo.at("rollout")
        etag = erin.get(ACME).headers["ETag"]
        post(erin, f"{ACME}/ramp", steps=TEXT)
        bodies: dict[str, dict[str, object]] = {
            "cohorts": {"add": {"subjects": ["bob"]}},
            "ramp": {"steps": TEXT},
            "stage": {"to": "shadow"},
        }
        body = {"reason": "late", **bodies.get(change, {})}

        answer = erin.post(f"{ACME}/{change}", json=body, headers=erin.csrf() | {"If-Match": etag})

        assert problem(answer) == (412, "conflict")
        assert [each.action for each in demo.tenants.events] == ["ramp.start"]

    def test_one_for_the_present_version_is_made(self, erin: Visitor) -> None:
        etag = erin.get(ACME).headers["ETag"]

        for named in (etag, "*"):
            answer = erin.post(f"{ACME}/kill", json={"reason": "x"}, headers=erin.csrf() | {"If-Match": named})
            assert answer.status_code == 200


class TestWho:
    @pytest.mark.parametrize("path", WRITES)
    def test_only_operators_with_a_csrf_token(self, demo: Web, alice: Visitor, erin: Visitor, path: str) -> None:
        assert problem(demo.visitor().post(path, json={})) == (401, "not_signed_in")
        assert problem(alice.post(path, json={}, headers=alice.csrf())) == (403, "not_allowed")
        assert problem(erin.post(path, json={})) == (403, "bad_csrf")
        assert demo.tenants.events == []

    def test_an_operator_of_one_tenant_stays_there(self, portal: Web) -> None:
        visitor = portal.visitor()
        visitor.post("/t/acme/session", headers=portal.vouch(groups=["bridge-admins"]))
        csrf = visitor.csrf()

        for path in ("/api/v1/tenants/globex/kill", "/api/v1/kill", "/api/v1/revive"):
            assert problem(visitor.post(path, json={"reason": "x"}, headers=csrf)) == (403, "not_allowed")
        assert visitor.post(f"{ACME}/kill", json={"reason": "x"}, headers=csrf).status_code == 200
