"""A rule that is crossed: who is stepped back, who is paused, and that it happens once."""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeAudit, FakeClock, FakeMeasures, FakeOutbox, FakeTenants, FakeWebhooks
from samples import state

from bridge.errors import StoreError, TenantUnavailable
from bridge.guarding import Tally
from bridge.model import AuditEvent, Cohorts, Rollout, Stage, TenantState
from bridge.plan import Kill, Pause, Ramp, read_steps
from bridge.ports import TenantStore
from bridge.ports.watching import MeasureStore
from bridge.services.guardrails import Guardrails
from bridge.services.measures import Measures
from bridge.services.notices import Notices
from bridge.telemetry import Metrics
from bridge.trail import AuditEntry

PEOPLE = [f"person-{number}" for number in range(10)]
HOOK = {"url": "https://hooks.example.com/acme", "secret": "hush-webhook-secret"}


def rolling(slug: str = "acme", percentage: float = 25, **changes: Any) -> TenantState:  # noqa: ANN401 - whatever a test invents
    return state(Stage.ROLLOUT, slug=slug, percentage=percentage, subjects=["ada"], notify=HOOK, **changes)


class Watch:
    """Guardrails of one worker over stores that others may share."""

    def __init__(
        self, tenants: TenantStore, audit: FakeAudit, measured: MeasureStore, outbox: FakeOutbox, clock: FakeClock
    ) -> None:
        self.metrics = Metrics()
        notices = Notices(
            outbox=outbox, sender=FakeWebhooks(), tenants=tenants, for_all=None, clock=clock, metrics=self.metrics
        )
        self.rails = Guardrails(
            tenants=tenants, measures=measured, audit=audit, notices=notices, clock=clock, metrics=self.metrics
        )

    def crossed(self, guardrail: str, action: str) -> float:
        labels = {"tenant": "acme", "guardrail": guardrail, "action": action}
        return self.metrics.registry.get_sample_value("bridge_guardrails_crossed_total", labels) or 0


@pytest.fixture
def tenants() -> FakeTenants:
    return FakeTenants(rolling(), rolling("globex"))


@pytest.fixture
def audit(tenants: FakeTenants) -> FakeAudit:
    audit = FakeAudit()
    audit.events = tenants.events
    return audit


@pytest.fixture
def outbox(tenants: FakeTenants) -> FakeOutbox:
    return tenants.outbox


@pytest.fixture
def watch(
    tenants: FakeTenants, audit: FakeAudit, measured: FakeMeasures, outbox: FakeOutbox, clock: FakeClock
) -> Watch:
    return Watch(tenants, audit, measured, outbox, clock)


def fail(measures: Measures, count: int, *, tenant: str = "acme", of: int = 10) -> None:
    """Let *of* people ask for a token, of whom *count* get none."""
    for number, sub in enumerate(PEOPLE[:of]):
        with suppress(TenantUnavailable), measures.issuing(tenant, sub):
            if number < count:
                raise TenantUnavailable
    measures.flush()


def throttle(measures: Measures, times: int) -> None:
    for _ in range(times):
        measures.note_call("acme", True)
    measures.flush()


def ramp(tenants: FakeTenants, since: float) -> None:
    """Let acme's percentage rise by itself, the first step taken already."""
    now = tenants.states["acme"]
    rising = Ramp(read_steps("25 % for 1 h, 100 %"), 1, since)
    tenants.states["acme"] = replace(now, rollout=replace(now.rollout, ramp=rising))


class TestSteppingBack:
    def test_a_tenant_in_trouble_goes_back_to_shadow_alone(
        self, watch: Watch, measures: Measures, tenants: FakeTenants
    ) -> None:
        fail(measures, 5)
        fail(measures, 0, tenant="globex")
        watch.rails.watch()

        acme = tenants.get("acme").rollout
        assert (acme.stage, acme.percentage, acme.cohorts) == (Stage.SHADOW, 0, Cohorts(frozenset({"ada"})))
        assert tenants.get("globex").rollout.stage is Stage.ROLLOUT
        assert watch.crossed("issue_errors", "step_back") == 1

    def test_its_ramp_ends(self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock) -> None:
        ramp(tenants, since=clock())
        fail(measures, 5)
        watch.rails.watch()

        assert tenants.get("acme").rollout.ramp is None

    def test_the_audit_holds_the_evidence(self, watch: Watch, measures: Measures, tenants: FakeTenants) -> None:
        fail(measures, 5)
        watch.rails.watch()

        [event] = tenants.events
        assert (event.actor, event.action, event.tenant) == ("guardrail", "stage.step_back", "acme")
        assert event.reason == "guardrail issue_errors: 50 % of people is more than 20 (10 people in 600 s)"
        assert (event.before or {})["stage"] == "rollout"
        after = event.after or {}
        assert after["stage"] == "shadow"
        [evidence] = after["evidence"]
        assert evidence["guardrail"] == "issue_errors"
        assert (evidence["value"], evidence["threshold"], evidence["samples"]) == (50, 20, 10)
        assert not any(sub in json.dumps(evidence) for sub in PEOPLE)

    def test_a_notice_is_on_its_way_and_names_nobody(
        self, watch: Watch, measures: Measures, outbox: FakeOutbox
    ) -> None:
        fail(measures, 5)
        watch.rails.watch()

        [notice] = outbox.rows.values()
        body = json.loads(notice.body)
        assert (body["event"], body["tenant"]) == ("stage.step_back", "acme")
        assert (body["before"], body["after"]) == (
            {"stage": "rollout", "percent": 25},
            {"stage": "shadow", "percent": 0},
        )
        assert body["evidence"][0]["value"] == 50
        assert "ada" not in notice.body
        assert "hush" not in notice.body

    def test_with_the_kill_switch_on_nobody_is_on_the_new_path(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        now = tenants.states["acme"]
        kill = Kill("cli:erin", "because", clock())
        tenants.states["acme"] = replace(now, rollout=replace(now.rollout, kill=kill))
        fail(measures, 5)
        watch.rails.watch()

        assert tenants.events == []

    @pytest.mark.parametrize("tenant", [None, "acme"])
    def test_trouble_from_before_the_kill_switch_does_not_count_after_it(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock, tenant: str | None
    ) -> None:
        """Not for a worker either that starts after it."""
        revived = AuditEvent(clock() + 20, "cli:erin", "stage.revive", tenant, "over", None, None)
        fail(measures, 5)
        clock.advance(20)
        tenants.events.append(revived)
        watch.rails.watch()
        assert tenants.events == [revived]

        clock.advance(20)
        fail(measures, 5)
        watch.rails.watch()
        assert tenants.get("acme").rollout.stage is Stage.SHADOW

    def test_few_people_or_few_troubles_change_nothing(
        self, watch: Watch, measures: Measures, tenants: FakeTenants
    ) -> None:
        fail(measures, 9, of=9)
        watch.rails.watch()
        fail(measures, 1, tenant="globex")
        watch.rails.watch()

        assert tenants.events == []

    def test_old_trouble_is_forgotten(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        fail(measures, 5)
        clock.advance(601)
        watch.rails.watch()

        assert tenants.events == []

    @pytest.mark.parametrize("stage", [Stage.LEGACY, Stage.SHADOW, Stage.OAUTH, Stage.RETIRED])
    def test_other_stages_are_left_alone(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, stage: Stage
    ) -> None:
        tenants.states["acme"] = replace(rolling(), rollout=Rollout(stage))
        fail(measures, 10)
        watch.rails.watch()

        assert tenants.events == []

    def test_stage_oauth_is_guarded_where_the_tenant_says_so(
        self, watch: Watch, measures: Measures, tenants: FakeTenants
    ) -> None:
        guarded = rolling(guardrails={"stages": ["rollout", "oauth"]})
        tenants.states["acme"] = replace(guarded, rollout=Rollout(Stage.OAUTH))
        fail(measures, 10)
        watch.rails.watch()

        assert tenants.get("acme").rollout.stage is Stage.SHADOW

    def test_a_rule_that_is_off_does_nothing(self, watch: Watch, measures: Measures, tenants: FakeTenants) -> None:
        tenants.states["acme"] = rolling(guardrails={"issue_errors": {"action": "off"}})
        fail(measures, 10)
        watch.rails.watch()

        assert tenants.events == []


class TestHolding:
    def test_it_steps_back_once(self, watch: Watch, measures: Measures, tenants: FakeTenants) -> None:
        fail(measures, 5)
        for _ in range(5):
            watch.rails.watch()

        assert len(tenants.events) == 1

    def test_who_moves_on_starts_with_a_clean_slate(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        fail(measures, 5)
        watch.rails.watch()
        clock.advance(20)
        back = tenants.get("acme").rollout
        moved_on = replace(tenants.events[-1], at=clock(), actor="cli:erin", action="stage.move")
        tenants.move("acme", before=back, after=replace(back, stage=Stage.ROLLOUT, percentage=25), event=moved_on)
        watch.rails.watch()
        assert tenants.get("acme").rollout.stage is Stage.ROLLOUT

        clock.advance(20)
        fail(measures, 5)
        watch.rails.watch()
        assert tenants.get("acme").rollout.stage is Stage.SHADOW

    def test_it_tells_what_holds_until_a_person_moves_on(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        assert watch.rails.holding("acme") is None
        fail(measures, 5)
        watch.rails.watch()
        assert watch.rails.holding("acme") == tenants.events[-1]

        back = tenants.get("acme").rollout
        moved_on = replace(tenants.events[-1], at=clock(), actor="cli:erin", action="stage.move")
        tenants.move("acme", before=back, after=replace(back, stage=Stage.ROLLOUT), event=moved_on)
        assert watch.rails.holding("acme") is None

    def test_of_many_tenants_those_are_found_that_a_guardrail_holds(
        self, measures: Measures, measured: FakeMeasures, outbox: FakeOutbox, clock: FakeClock
    ) -> None:
        asked = []

        class Counting(FakeAudit):
            def page(self, *question: Any, **more: Any) -> Sequence[AuditEntry]:  # noqa: ANN401 - as the log takes it
                asked.append(question)
                return super().page(*question, **more)

        tenants = FakeTenants(rolling(), *(rolling(f"tenant-{number}") for number in range(100)))
        audit = Counting()
        audit.events = tenants.events
        rails = Watch(tenants, audit, measured, outbox, clock).rails
        assert rails.holds(tenants.all().values()) == {}
        assert len(asked) == 1

        fail(measures, 5)
        rails.watch()
        assert rails.holds(tenants.all().values()) == {"acme": tenants.events[-1]}
        asked.clear()
        rails.holds(tenants.all().values())
        assert len(asked) == 1

    def test_a_change_is_found_below_much_else(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, audit: FakeAudit, clock: FakeClock
    ) -> None:
        fail(measures, 5)
        clock.advance(20)
        now = tenants.get("acme").rollout
        moved = AuditEvent(clock(), "cli:erin", "stage.move", "acme", "", None, None)
        tenants.move("acme", before=now, after=replace(now, percentage=50), event=moved)
        for number in range(6000):
            audit.append(replace(moved, action="tokens.revoke", reason=str(number)))
        watch.rails.watch()

        assert tenants.get("acme").rollout.stage is Stage.ROLLOUT

    def test_a_step_of_the_ramp_forgets_nothing(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        fail(measures, 5)
        clock.advance(20)
        now = tenants.get("acme").rollout
        step = AuditEvent(clock(), "ramp", "ramp.step", "acme", "", None, None)
        tenants.move("acme", before=now, after=replace(now, percentage=50), event=step)
        watch.rails.watch()

        assert tenants.get("acme").rollout.stage is Stage.SHADOW

    def test_two_workers_step_back_once(
        self,
        tenants: FakeTenants,
        audit: FakeAudit,
        measured: FakeMeasures,
        measures: Measures,
        outbox: FakeOutbox,
        clock: FakeClock,
    ) -> None:
        """The second one looked when the tenant was still rolling out."""

        class Stale(FakeTenants):
            def move(self, slug: str, **change: object) -> Rollout:
                return tenants.move(slug, **change)  # type: ignore[arg-type]

        slow = Watch(Stale(*tenants.all().values()), audit, measured, outbox, clock)
        fast = Watch(tenants, audit, measured, outbox, clock)
        fail(measures, 5)
        fast.rails.watch()
        slow.rails.watch()

        assert len(tenants.events) == 1
        assert len(outbox.rows) == 1
        assert slow.crossed("issue_errors", "step_back") == 0

    def test_a_store_that_is_away_is_for_the_keeper(
        self, watch: Watch, measured: FakeMeasures, tenants: FakeTenants
    ) -> None:
        measured.broken = True
        with pytest.raises(StoreError):
            watch.rails.watch()
        assert tenants.events == []


class Crash(BaseException):
    """The worker dies here."""


class TestCrashing:
    def test_a_worker_that_dies_right_after_its_move_loses_no_notice(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
    ) -> None:
        move = tenants.move

        def last_move(slug: str, **change: Any) -> Rollout:  # noqa: ANN401 - as the store takes it
            move(slug, **change)
            raise Crash

        monkeypatch.setattr(tenants, "move", last_move)
        fail(measures, 5)
        with pytest.raises(Crash):
            watch.rails.watch()

        hooks = FakeWebhooks()
        after = Notices(
            outbox=tenants.outbox, sender=hooks, tenants=tenants, for_all=None, clock=clock, metrics=Metrics()
        )
        after.deliver()
        [(_, body, _)] = hooks.posted
        assert tenants.get("acme").rollout.stage is Stage.SHADOW
        assert (json.loads(body)["id"], json.loads(body)["after"]["stage"]) == ("acme-1", "shadow")


class TestMovingForward:
    def test_a_rule_that_is_crossed_speaks_against_it(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        assert list(watch.rails.conditions(tenants.get("acme"), Stage.OAUTH)) == []
        fail(measures, 5)

        (unmet,) = watch.rails.conditions(tenants.get("acme"), Stage.OAUTH)
        assert unmet.condition == "guardrails"
        assert unmet.message.startswith("guardrail issue_errors: 50 % of people is more than 20")
        assert "wait until 600 s went well" in unmet.message
        assert unmet.forceable
        assert list(watch.rails.conditions(tenants.get("globex"), Stage.OAUTH)) == []
        clock.advance(601)
        assert list(watch.rails.conditions(tenants.get("acme"), Stage.OAUTH)) == []

    def test_it_still_does_after_the_guardrail_acted(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        """A step back mends nothing: its own event must not clear the way."""
        fail(measures, 5)
        watch.rails.watch()
        clock.advance(1)

        assert tenants.get("acme").rollout.stage is Stage.SHADOW
        (unmet,) = watch.rails.conditions(tenants.get("acme"), Stage.ROLLOUT)
        assert unmet.condition == "guardrails"
        clock.advance(601)
        assert list(watch.rails.conditions(tenants.get("acme"), Stage.ROLLOUT)) == []


class TestPausing:
    def test_a_pause_is_audited_told_and_holds(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, outbox: FakeOutbox, clock: FakeClock
    ) -> None:
        throttle(measures, 11)
        for _ in range(3):
            watch.rails.watch()
            clock.advance(5)
            throttle(measures, 11)
        watch.rails.watch()

        [event] = tenants.events
        rollout = tenants.get("acme").rollout
        assert (event.action, rollout.stage, rollout.percentage) == ("stage.pause", Stage.ROLLOUT, 25)
        assert len(outbox.rows) == 1

    def test_a_ramp_stands_still_and_says_why(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        ramp(tenants, since=clock())
        throttle(measures, 11)
        watch.rails.watch()

        found = tenants.get("acme").rollout.ramp
        assert found
        assert found.pause
        assert found.pause == Pause("guardrail", tenants.events[-1].reason, clock())

    def test_a_worse_rule_still_steps_back(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        throttle(measures, 11)
        watch.rails.watch()
        clock.advance(20)
        fail(measures, 5)
        watch.rails.watch()

        assert [event.action for event in tenants.events] == ["stage.pause", "stage.step_back"]

    def test_who_changes_the_rollout_ends_the_pause(
        self, watch: Watch, measures: Measures, tenants: FakeTenants, clock: FakeClock
    ) -> None:
        throttle(measures, 11)
        watch.rails.watch()
        clock.advance(20)
        paused = tenants.get("acme").rollout
        moved_on = replace(tenants.events[-1], at=clock(), actor="cli:erin", action="stage.move")
        tenants.move("acme", before=paused, after=replace(paused, percentage=50), event=moved_on)
        watch.rails.watch()
        assert len(tenants.events) == 2

        clock.advance(20)
        throttle(measures, 11)
        watch.rails.watch()
        assert [event.action for event in tenants.events] == ["stage.pause", "stage.move", "stage.pause"]


def test_readings_say_how_near_a_tenant_is(watch: Watch, measures: Measures) -> None:
    fail(measures, 1)
    seen = {each.guardrail: each for each in watch.rails.readings("acme")}

    assert (seen["issue_errors"].value, seen["issue_errors"].samples) == (10, 10)
    assert not any(each.is_crossed for each in seen.values())
    assert seen["renewals_failed"].samples == 0
    assert [each.samples for each in watch.rails.readings("globex")] == [0] * 6


def test_a_hundred_tenants_cost_a_question_a_window(audit: FakeAudit, outbox: FakeOutbox, clock: FakeClock) -> None:
    asked = []

    class Counting(FakeMeasures):
        def tallies(self, tenants: Collection[str], since: float) -> Mapping[str, Tally]:
            asked.append(len(tenants))
            return super().tallies(tenants, since)

    tenants = FakeTenants(*(rolling(f"tenant-{number}") for number in range(100)))
    Watch(tenants, audit, Counting(), outbox, clock).rails.watch()

    assert asked == [100, 100]
