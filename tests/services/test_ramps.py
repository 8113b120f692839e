"""Ramps: which steps are taken when, by whom, and what stops them."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from fakes import FakeClock, FakeKeys, FakeTenants, StaleTenants
from samples import state

from bridge.errors import BadRequest, Conflict, StageRefused, StoreError, TenantUnavailable, UnmetCondition
from bridge.model import Rollout, Stage, TenantState
from bridge.plan import Order, Ramp, RampStep, read_steps
from bridge.services.kills import Kills
from bridge.services.ramps import Ramps
from bridge.services.stages import Move, Stages
from bridge.telemetry import Metrics

HOUR, DAY = 3_600, 86_400
STEPS = read_steps("5 % for 1 h, 25 % for 1 day, 100 %")
ERIN = Order("erin", "a calm week", "r-1")
STALE = UnmetCondition("parity_fresh", "Parity is 9 days old: run it again.")


class Bridge:
    """One tenant, and as many workers as a test wants; all see the same store."""

    def __init__(self, *states: TenantState) -> None:
        self.clock, self.metrics = FakeClock(), Metrics()
        self.tenants = FakeTenants(*(states or [state(Stage.ROLLOUT)]))
        self.unmet: list[UnmetCondition] = []
        self.asked: list[tuple[Stage, float]] = []
        self.trouble: Exception | None = None
        self.stages = Stages(self.tenants, FakeKeys(), self.clock, self.metrics, [self.condition])
        self.ramps = Ramps(self.tenants, self.stages, self.clock, self.metrics)
        self.kills = Kills(self.tenants, self.stages, self.clock)

    def condition(self, now: TenantState, to: Stage) -> Iterable[UnmetCondition]:
        self.asked.append((to, now.rollout.percentage))
        if self.trouble:
            raise self.trouble
        return self.unmet

    def start(self, steps: Iterable[RampStep] = STEPS, order: Order = ERIN) -> Rollout:
        return self.ramps.start("acme", tuple(steps), order).rollout

    def after(self, seconds: float) -> Rollout:
        self.clock.advance(seconds)
        self.ramps.run_due()
        return self.rollout

    @property
    def rollout(self) -> Rollout:
        return self.tenants.get("acme").rollout

    @property
    def ramp(self) -> Ramp:
        assert self.rollout.ramp
        return self.rollout.ramp

    def trail(self) -> list[tuple[str, str, float]]:
        return [(each.actor, each.action, (each.after or {})["percent"]) for each in self.tenants.events]


class TestSteps:
    def test_they_are_taken_when_their_hold_is_over(self) -> None:
        bridge = Bridge()

        assert bridge.start().percentage == 5
        assert bridge.after(HOUR - 1).percentage == 5
        assert bridge.after(1).percentage == 25
        assert bridge.after(DAY - 1).percentage == 25
        done = bridge.after(1)

        assert (done.percentage, done.ramp) == (100, None)
        assert bridge.after(DAY) == done
        assert bridge.trail() == [("erin", "ramp.start", 5), ("ramp", "ramp.step", 25), ("ramp", "ramp.step", 100)]
        assert [each.reason for each in bridge.tenants.events] == [
            "a calm week",
            "step 2 of 3: 25 % for 1 day",
            "step 3 of 3: 100 %",
        ]
        assert bridge.metrics.registry.get_sample_value("bridge_ramp_steps_total", {"tenant": "acme"}) == 3

    def test_a_bridge_that_was_away_takes_one_step_and_holds_it(self) -> None:
        """Nobody is thrown from 5 to 100 % because nobody was there to look in between."""
        bridge = Bridge()
        bridge.start()

        assert bridge.after(30 * DAY).percentage == 25
        assert bridge.after(DAY - 1).percentage == 25
        assert bridge.after(1).percentage == 100

    def test_two_workers_never_take_one_twice(self) -> None:
        """Both look at the same moment; the second one's write finds another revision."""
        bridge = Bridge()
        bridge.start()
        bridge.clock.advance(HOUR)
        other = Ramps(StaleTenants(bridge.tenants), bridge.stages, bridge.clock, bridge.metrics)

        bridge.ramps.run_due()
        other.run_due()

        assert bridge.trail() == [("erin", "ramp.start", 5), ("ramp", "ramp.step", 25)]
        assert bridge.metrics.registry.get_sample_value("bridge_ramp_steps_total", {"tenant": "acme"}) == 2

    def test_one_tenants_trouble_holds_up_no_other(self) -> None:
        bridge = Bridge(state(Stage.ROLLOUT), state(Stage.ROLLOUT, slug="globex"))
        for slug in ("acme", "globex"):
            bridge.ramps.start(slug, STEPS, ERIN)
        move = bridge.tenants.move

        def shaky(slug: str, **details: object) -> Rollout:
            if slug == "acme":
                raise StoreError
            return move(slug, **details)  # type: ignore[arg-type]

        bridge.tenants.move = shaky  # type: ignore[method-assign]
        bridge.clock.advance(HOUR)
        with pytest.raises(StoreError):
            bridge.ramps.run_due()

        assert bridge.tenants.get("globex").rollout.percentage == 25
        assert bridge.tenants.get("acme").rollout.percentage == 5

    def test_a_new_ramp_replaces_the_old_one(self) -> None:
        bridge = Bridge()
        bridge.start()

        bridge.start(read_steps("10 % for 2 h, 20 %"))

        assert bridge.after(HOUR).percentage == 10
        assert bridge.after(HOUR).percentage == 20
        assert bridge.rollout.ramp is None

    def test_the_same_one_again_runs_on(self) -> None:
        """A request that comes twice starts no hold anew, and is no sign that a person moved on."""
        bridge = Bridge()
        once = bridge.start()
        bridge.clock.advance(HOUR / 2)

        assert bridge.start() == once
        assert bridge.after(HOUR / 2).percentage == 25
        assert [action for _, action, _ in bridge.trail()] == ["ramp.start", "ramp.step"]

    def test_the_last_step_again_is_nothing_new(self) -> None:
        bridge = Bridge()
        once = bridge.start(read_steps("100 %"))

        assert bridge.start(read_steps("100 %")) == once
        assert len(bridge.tenants.events) == 1

    def test_the_same_one_again_ends_its_pause(self) -> None:
        bridge = Bridge()
        bridge.start()
        bridge.ramps.pause("acme", Order("guard", "errors"))

        bridge.start()

        assert bridge.ramp.pause is None
        assert bridge.trail()[-1] == ("erin", "ramp.start", 5)


class TestStart:
    @pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.ROLLOUT])
    def test_only_a_rollout_has_one(self, stage: Stage) -> None:
        with pytest.raises(StageRefused, match=f"in stage {stage}; a ramp runs in stage rollout"):
            Bridge(state(stage)).start()

    def test_where_another_provider_decides_it_would_do_nothing(self) -> None:
        bridge = Bridge()
        elsewhere = Ramps(bridge.tenants, bridge.stages, bridge.clock, bridge.metrics, ours=False)

        with pytest.raises(StageRefused, match="another provider"):
            elsewhere.start("acme", STEPS, ERIN)

    def test_a_tenant_with_flags_of_its_own_has_one_beside_another_provider(self) -> None:
        bridge = Bridge(state(Stage.ROLLOUT, own_flags=True))
        elsewhere = Ramps(bridge.tenants, bridge.stages, bridge.clock, bridge.metrics, ours=False)

        assert elsewhere.start("acme", STEPS, ERIN).rollout.percentage == STEPS[0].percent

    @pytest.mark.parametrize(
        ("steps", "mistake"), [([], "1 to 50 steps"), ([RampStep(10), RampStep(5, 9)], "does not rise")]
    )
    def test_steps_must_make_a_ramp(self, steps: list[RampStep], mistake: str) -> None:
        with pytest.raises(BadRequest, match=mistake):
            Bridge().start(steps)

    def test_it_takes_nobody_back(self) -> None:
        bridge = Bridge(state(Stage.ROLLOUT, percentage=10))

        with pytest.raises(BadRequest, match="start it at 10 % or more"):
            bridge.start()
        assert bridge.start(read_steps("10 % for 1 h, 20 %")).percentage == 10

    def test_an_unmet_condition_refuses_the_first_step_unless_forced_with_a_reason(self) -> None:
        bridge = Bridge()
        bridge.unmet = [STALE]

        with pytest.raises(StageRefused, match="run it again"):
            bridge.start()
        with pytest.raises(BadRequest, match="needs a reason"):
            bridge.start(order=Order("erin", force=True))
        assert bridge.tenants.events == []
        bridge.start(order=Order("erin", "the board says so", force=True))

        assert (bridge.tenants.events[0].after or {})["overridden"] == [STALE.document()]


class TestConditions:
    def test_they_are_asked_before_each_step(self) -> None:
        bridge = Bridge()
        bridge.start()
        bridge.after(HOUR)
        bridge.after(DAY)

        assert bridge.asked == [(Stage.ROLLOUT, 0), (Stage.ROLLOUT, 5), (Stage.ROLLOUT, 25)]

    def test_an_unmet_one_pauses_until_a_person_resumes(self) -> None:
        bridge = Bridge()
        bridge.start()
        bridge.unmet = [STALE]

        paused = bridge.after(HOUR)

        assert paused.percentage == 5
        assert bridge.ramp.pause
        assert bridge.ramp.pause.actor == "ramp"
        assert bridge.ramp.pause.reason == "step 2 of 3: 25 % for 1 day was not taken. " + STALE.message
        assert bridge.trail()[1:] == [("ramp", "ramp.pause", 5)]
        bridge.unmet = []
        assert bridge.after(DAY) == paused
        bridge.ramps.resume("acme", ERIN)
        assert bridge.after(0).percentage == 25

    def test_one_that_cannot_be_checked_is_asked_again(self) -> None:
        """A tenant that is away for a minute needs no person afterwards."""
        bridge = Bridge()
        bridge.start()
        bridge.trouble = TenantUnavailable()
        bridge.after(HOUR)

        assert bridge.ramp.pause is None
        assert bridge.ramp.wait
        assert bridge.ramp.wait.since == bridge.clock()
        assert "step 2 of 3: 25 % for 1 day waits. A condition could not be checked" in bridge.ramp.wait.reason
        bridge.trouble = None
        questions = len(bridge.asked)

        assert bridge.after(59).percentage == 5
        assert len(bridge.asked) == questions
        assert bridge.after(1).percentage == 25
        assert [action for _, action, _ in bridge.trail()] == ["ramp.start", "ramp.wait", "ramp.step"]

    def test_a_tenant_that_stays_away_pauses_it_whichever_worker_looks(self) -> None:
        bridge = Bridge()
        bridge.start()
        bridge.trouble = TenantUnavailable()
        bridge.after(HOUR)
        bridge.after(899)
        assert [action for _, action, _ in bridge.trail()] == ["ramp.start", "ramp.wait"]

        bridge.clock.advance(1)
        Ramps(bridge.tenants, bridge.stages, bridge.clock, bridge.metrics).run_due()

        assert bridge.ramp.pause
        assert "was not taken. A condition could not be checked" in bridge.ramp.pause.reason
        bridge.ramps.resume("acme", ERIN)
        bridge.after(60)
        assert bridge.trail()[-1][1] == "ramp.wait", "it waits anew"

    def test_where_something_else_is_unmet_too_it_pauses_at_once(self) -> None:
        bridge = Bridge()
        bridge.start()
        bridge.unmet = [STALE, UnmetCondition("not_checked", "Nobody answered.")]

        bridge.after(HOUR)

        assert bridge.ramp.pause


class TestOtherFlags:
    def test_a_ramp_that_runs_when_another_provider_takes_over_is_paused(self) -> None:
        bridge = Bridge(state(Stage.ROLLOUT), state(Stage.ROLLOUT, slug="own", own_flags=True))
        for slug in ("acme", "own"):
            bridge.ramps.start(slug, STEPS, ERIN)
        elsewhere = Ramps(bridge.tenants, bridge.stages, bridge.clock, bridge.metrics, ours=False)
        elsewhere.run_due()

        assert bridge.ramp.pause
        assert (bridge.ramp.pause.actor, bridge.trail()[-1]) == ("ramp", ("ramp", "ramp.pause", 5))
        assert "another provider" in bridge.ramp.pause.reason
        with pytest.raises(StageRefused, match="another provider"):
            elsewhere.resume("acme", ERIN)
        own = bridge.tenants.get("own").rollout.ramp
        assert own
        assert own.pause is None


class TestPause:
    def test_it_stands_still_and_the_rest_of_the_hold_is_held(self) -> None:
        bridge = Bridge()
        bridge.start()
        bridge.after(HOUR / 2)

        bridge.ramps.pause("acme", Order("guard", "issue errors: 12 %"))
        assert bridge.after(DAY).percentage == 5
        bridge.ramps.resume("acme", ERIN)

        assert bridge.after(HOUR / 2 - 1).percentage == 5
        assert bridge.after(1).percentage == 25
        assert bridge.trail() == [
            ("erin", "ramp.start", 5),
            ("guard", "ramp.pause", 5),
            ("erin", "ramp.resume", 5),
            ("ramp", "ramp.step", 25),
        ]

    def test_the_first_pause_and_resume_count(self) -> None:
        bridge = Bridge()
        bridge.start()
        bridge.ramps.pause("acme", Order("guard", "first"))
        bridge.ramps.pause("acme", Order("erin", "second"))
        assert bridge.ramp.pause
        assert bridge.ramp.pause.reason == "first"
        bridge.ramps.resume("acme", ERIN)
        bridge.ramps.resume("acme", ERIN)

        assert [action for _, action, _ in bridge.trail()] == ["ramp.start", "ramp.pause", "ramp.resume"]

    def test_it_does_not_lose_against_a_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The ramp steps between our reading and our writing: the pause is written on what stands then."""
        bridge = Bridge()
        bridge.start()
        bridge.clock.advance(HOUR)
        write, raced = bridge.stages.write, list[bool]()

        def overtaken(*arguments: object, **details: object) -> TenantState:
            if not raced:
                raced.append(True)
                bridge.ramps.run_due()
            return write(*arguments, **details)  # type: ignore[arg-type]

        monkeypatch.setattr(bridge.stages, "write", overtaken)
        bridge.ramps.pause("acme", Order("guard", "errors"))

        assert bridge.rollout.percentage == 25
        assert bridge.ramp.pause

    def test_in_the_end_it_gives_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bridge = Bridge()
        bridge.start()

        def lost(*_: object, **__: object) -> TenantState:
            raise Conflict

        monkeypatch.setattr(bridge.stages, "write", lost)
        with pytest.raises(Conflict):
            bridge.ramps.pause("acme", ERIN)

    def test_without_a_ramp_there_is_nothing_to_change(self) -> None:
        ramps = Bridge().ramps
        for change in (ramps.pause, ramps.resume, ramps.stop):
            with pytest.raises(StageRefused, match="acme has no ramp"):
                change("acme", ERIN)


class TestVersions:
    def test_an_order_for_another_version_is_refused(self) -> None:
        bridge = Bridge()
        late, ramps = Order("erin", "late", seen=7), bridge.ramps
        bridge.start(order=replace(ERIN, seen=0))

        with pytest.raises(Conflict):
            bridge.start(order=late)
        for change in (ramps.pause, ramps.resume, ramps.stop):
            with pytest.raises(Conflict):
                change("acme", late)
        for seen, change in enumerate((ramps.pause, ramps.resume, ramps.stop), start=1):
            change("acme", replace(ERIN, seen=seen))

        assert [action for _, action, _ in bridge.trail()] == ["ramp.start", "ramp.pause", "ramp.resume", "ramp.stop"]

    def test_a_pause_does_not_stand_already_because_an_old_copy_says_so(self) -> None:
        bridge = Bridge()
        bridge.start()
        bridge.ramps.pause("acme", ERIN)
        tenants = StaleTenants(bridge.tenants)
        late = Ramps(tenants, Stages(tenants, FakeKeys(), bridge.clock, bridge.metrics), bridge.clock, bridge.metrics)
        bridge.ramps.resume("acme", ERIN)

        late.pause("acme", Order("eve", "errors"))

        assert bridge.ramp.pause
        assert bridge.ramp.pause.actor == "eve"


class TestEnd:
    def test_stopped_the_percentage_stays(self) -> None:
        bridge = Bridge()
        bridge.start()

        bridge.ramps.stop("acme", ERIN)

        assert bridge.after(30 * DAY).percentage == 5
        assert bridge.trail()[-1] == ("erin", "ramp.stop", 5)

    @pytest.mark.parametrize(
        ("move", "ends"),
        [
            (Move(Stage.ROLLOUT, "erin", percentage=50), True),
            (Move(Stage.SHADOW, "guard"), True),
            (Move(Stage.OAUTH, "erin"), True),
            (Move(Stage.ROLLOUT, "erin"), False),
        ],
    )
    def test_who_sets_stage_or_percentage_by_hand_takes_over(self, move: Move, ends: bool) -> None:  # noqa: FBT001 - a case
        bridge = Bridge()
        bridge.start()

        bridge.stages.move("acme", move)

        assert (bridge.rollout.ramp is None) is ends
        assert bridge.after(30 * DAY).percentage == {True: bridge.rollout.percentage, False: 25}[ends]

    @pytest.mark.parametrize("everywhere", [True, False])
    def test_a_kill_switch_pauses_it(self, everywhere: bool) -> None:  # noqa: FBT001 - a case
        """Else it would rise while nobody sees what it does."""
        bridge = Bridge()
        bridge.start()
        if everywhere:
            bridge.kills.kill_all(ERIN)
            bridge.after(1)
        else:
            bridge.kills.kill("acme", ERIN)

        assert bridge.ramp.pause
        assert bridge.ramp.pause.reason == "The kill switch is on."
        assert bridge.ramp.pause.actor == ("ramp" if everywhere else "erin")

    @pytest.mark.parametrize("everywhere", [True, False])
    def test_also_when_it_is_switched_back_at_once(self, everywhere: bool) -> None:  # noqa: FBT001 - a case
        """No worker looks at the ramp meanwhile."""
        bridge = Bridge()
        bridge.start()
        if everywhere:
            bridge.kills.kill_all(ERIN)
            bridge.kills.revive_all(ERIN)
        else:
            bridge.kills.kill("acme", ERIN)
            bridge.kills.revive("acme", ERIN)

        assert bridge.after(HOUR).percentage == 5
        assert bridge.ramp.pause
        bridge.ramps.resume("acme", ERIN)
        assert bridge.after(HOUR).percentage == 25
