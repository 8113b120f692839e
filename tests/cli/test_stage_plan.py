"""Plans, ramps, cohorts and kill switches on the command line."""

import json
import time

import pytest
from clikit import Run

from bridge.adapters.qlik_events import HttpTenantEvents
from bridge.bootstrap import build
from bridge.errors import TenantUnavailable
from bridge.settings import read_settings

TEXT = "5 % for 1 h, 25 % for 1 day, 100 %"


@pytest.fixture
def rolling(unproven: Run) -> Run:
    for stage in ("shadow", "rollout"):
        assert unproven("stage", "move", "acme", stage).code == 0
    return unproven


class TestPlan:
    def test_it_says_what_the_next_move_does(self, applied: Run) -> None:
        plan = applied("stage", "plan", "acme")

        assert plan.code == 0
        assert plan.out.splitlines()[0] == "acme: from legacy to shadow"
        assert "Everybody gets the path jwt in stage shadow." in plan.out

    def test_what_is_unmet_is_listed_and_exits_1(self, applied: Run) -> None:
        plan = applied("stage", "plan", "acme", "--to", "oauth")
        told = applied("stage", "plan", "acme", "--to", "oauth", "--json")

        assert plan.code == told.code == 1
        assert "unmet, next_stage: From legacy the next stage is shadow, not oauth. (cannot be forced)" in plan.out
        assert "unmet, fresh_parity: Parity is proven for 0 of 5 people in the last 7 days." in plan.out
        assert [each["condition"] for each in told.json()["unmet"]] == ["next_stage", "fresh_parity"]
        assert applied("stage", "show", "acme", "--json").json()["stage"] == "legacy"

    def test_it_looks_at_a_percentage(self, rolling: Run) -> None:
        plan = rolling("stage", "plan", "acme", "--to", "rollout", "--percent", "30")

        assert plan.out.splitlines()[0] == "acme: from rollout at 0 % to rollout at 30 %"


class TestRamp:
    def test_it_starts_pauses_resumes_and_stops(self, rolling: Run) -> None:
        started = rolling("stage", "ramp", "start", "acme", TEXT, "--reason", "a calm week", "--json")
        paused = rolling("stage", "ramp", "pause", "acme", "--reason", "lunch")
        resumed = rolling("stage", "ramp", "resume", "acme", "--json")
        stopped = rolling("stage", "ramp", "stop", "acme", "--json")

        assert (started.code, started.json()["percent"], started.json()["ramp"]["text"]) == (0, 5, TEXT)
        assert f"{TEXT}; paused by cli:" in paused.out
        assert "lunch" in paused.out
        assert resumed.json()["ramp"]["pause"] is None
        assert (stopped.json()["ramp"], stopped.json()["percent"]) == (None, 5)

    def test_a_running_one_shows_when_it_goes_on(self, rolling: Run) -> None:
        shown = rolling("stage", "ramp", "start", "acme", TEXT)

        assert f"{TEXT}; next step at 20" in shown.out

    def test_a_bridge_that_starts_later_takes_the_next_step(self, rolling: Run, settings: dict[str, str]) -> None:
        """Each command here is a process of its own; so is the bridge that comes up an hour later."""
        rolling("stage", "ramp", "start", "acme", TEXT)
        for hours, percent in [(0.9, 5), (1.1, 25), (24, 25), (25.2, 100)]:
            bridge = build(read_settings(settings), clock=lambda hours=hours: time.time() + hours * 3600)
            bridge.ramps.run_due()
            bridge.close()
            assert rolling("stage", "show", "acme", "--json").json()["percent"] == percent

        listed = rolling("audit", "export", "--tenant", "acme", "--actor", "ramp").out.splitlines()
        assert [json.loads(line)["reason"] for line in listed] == ["step 2 of 3: 25 % for 1 day", "step 3 of 3: 100 %"]

    def test_what_is_no_ramp_is_said(self, rolling: Run) -> None:
        wrong = rolling("stage", "ramp", "start", "acme", "5 % for 1 fortnight, 100 %")
        nowhere = rolling("stage", "ramp", "pause", "acme")

        assert (wrong.code, nowhere.code) == (1, 1)
        assert "`5 % for 1 fortnight` is no step" in wrong.err
        assert "acme has no ramp" in nowhere.err


class TestCohorts:
    def test_names_come_and_go_one_by_one(self, rolling: Run) -> None:
        rolling("stage", "move", "acme", "rollout", "--no-cohorts")
        rolling("stage", "cohorts", "add", "acme", "--subject", "ada", "--group", "Pilots")
        added = rolling("stage", "cohorts", "add", "acme", "--subject", "bob", "--json")
        removed = rolling("stage", "cohorts", "remove", "acme", "--subject", "ada", "--group", "Pilots", "--json")
        nobody = rolling("stage", "cohorts", "add", "acme")

        assert added.json()["cohorts"] == {"subjects": ["ada", "bob"], "groups": ["Pilots"]}
        assert removed.json()["cohorts"] == {"subjects": ["bob"], "groups": []}
        assert (nobody.code, "Name a subject" in nobody.err) == (1, True)


class TestKill:
    def test_one_tenant(self, rolling: Run) -> None:
        killed = rolling("stage", "kill", "acme", "--reason", "Qlik is down", "--json")
        shown = rolling("stage", "show", "acme")
        revived = rolling("stage", "revive", "acme", "--reason", "it is back", "--json")

        assert killed.json()["kill"]["reason"] == "Qlik is down"
        assert "Qlik is down" in shown.out
        assert (revived.code, revived.json()["kill"], revived.err) == (0, None, "")

    def test_all_tenants(self, rolling: Run) -> None:
        killed = rolling("stage", "kill", "--all", "--reason", "Qlik is down", "--json")
        own = rolling("stage", "revive", "acme", "--reason", "too early")
        revived = rolling("stage", "revive", "--all", "--reason", "it is back", "--json")

        assert [each["kill"]["everywhere"] for each in killed.json()] == [True]
        assert "Still on for acme" in own.err
        assert [each["kill"] for each in revived.json()] == [None]

    def test_a_retired_tenant_is_told_of(self, rolling: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: object) -> None:
            raise TenantUnavailable

        monkeypatch.setattr(HttpTenantEvents, "provider_ids", away)
        for stage in ("oauth", "retired"):
            rolling("stage", "move", "acme", stage, "--force", "--reason", "x")

        killed = rolling("stage", "kill", "acme", "--reason", "x")

        assert killed.code == 0
        assert "Retired: acme." in killed.err
        assert "qlik-bridge stage rollback" in killed.err

    def test_whom_and_why_must_be_said(self, rolling: Run) -> None:
        assert rolling("stage", "kill", "--reason", "x").code == 2
        assert rolling("stage", "kill", "acme", "--all", "--reason", "x").code == 2
        assert rolling("stage", "kill", "acme").code == 1
        assert rolling("stage", "show", "acme", "--json").json()["kill"] is None
