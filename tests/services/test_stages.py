"""Stage moves: which are safe, what each changes, what each leaves behind."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest
from fakes import START, FakeClock, FakeKeys, FakeTenants, StaleTenants
from samples import state

from bridge.errors import (
    BadRequest,
    Conflict,
    StageRefused,
    StoreError,
    TenantTimeout,
    UnknownTenant,
    UnmetCondition,
)
from bridge.model import AuditEvent, Cohorts, Rollout, Stage, TenantState
from bridge.plan import Kill, Order, Ramp, read_steps
from bridge.services.stages import Condition, Move, Stages, insist
from bridge.telemetry import Metrics

ORDER = [Stage.LEGACY, Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH, Stage.RETIRED]
PILOTS = Cohorts(frozenset({"alice"}), frozenset({"Pilots"}))


class Desk:
    """An operator's desk: one tenant, some of whose keys may be missing."""

    def __init__(self, now: TenantState, *missing_keys: str, conditions: Sequence[Condition] = ()) -> None:
        self.tenants: FakeTenants = FakeTenants(now)
        self.metrics = Metrics()
        keys = FakeKeys(missing=missing_keys)
        self.stages = Stages(self.tenants, keys, FakeClock(), self.metrics, conditions)

    def move(self, to: Stage, **details: object) -> Rollout:
        return self.stages.move("acme", Move(to, actor="erin", **details)).rollout  # type: ignore[arg-type]

    def document(self, *, percent: float, subjects: list[str], groups: list[str]) -> dict[str, object]:
        cohorts = {"subjects": subjects, "groups": groups}
        return {"stage": "rollout", "percent": percent, "cohorts": cohorts, "ramp": None, "kill": None}

    def unmet(self, to: Stage, **details: object) -> list[tuple[str, str]]:
        with pytest.raises(StageRefused) as refusal:
            self.move(to, **details)
        assert self.tenants.events == []
        return [(each.condition, each.message) for each in refusal.value.unmet]


def overtaken(desk: Desk) -> Callable[..., Rollout]:
    """Return a `move` before whose first write a ramp steps to 25 %."""
    move, raced = desk.tenants.move, list[bool]()

    def late(slug: str, *, before: Rollout, after: Rollout, event: AuditEvent) -> Rollout:
        if not raced:
            raced.append(True)
            move(slug, before=before, after=replace(before, percentage=25), event=replace(event, actor="ramp"))
        return move(slug, before=before, after=after, event=event)

    return late


class TestRule:
    @pytest.mark.parametrize("before", ORDER)
    @pytest.mark.parametrize("to", ORDER)
    def test_one_step_forward_any_number_back(self, before: Stage, to: Stage) -> None:
        desk = Desk(state(before))
        steps = ORDER.index(to) - ORDER.index(before)

        if steps <= 1:
            assert desk.move(to).stage is to
            assert desk.tenants.get("acme").rollout.stage is to
        else:
            following = ORDER[ORDER.index(before) + 1].value
            message = f"From {before.value} the next stage is {following}, not {to.value}."
            assert desk.unmet(to) == [("next_stage", message)]

    @pytest.mark.parametrize("before", ORDER)
    @pytest.mark.parametrize("to", ORDER)
    def test_only_a_step_forward_asks_for_a_complete_tenant(self, before: Stage, to: Stage) -> None:
        desk = Desk(state(before, issuing_client=None))

        if ORDER.index(to) > ORDER.index(before):
            assert "tenant_complete" in dict(desk.unmet(to))
        else:
            assert desk.move(to).stage is to


class TestConditions:
    def test_every_unmet_one_is_named(self) -> None:
        incomplete = state(Stage.LEGACY, issuing_client=None, web_integration_id=None)

        unmet = Desk(incomplete, "browser.pem").unmet(Stage.OAUTH)

        assert [condition for condition, _ in unmet] == ["next_stage", *["tenant_complete"] * 3]
        assert "issuing client" in unmet[1][1]
        assert "web integration" in unmet[2][1]
        assert "The key browser.pem cannot be used: there is no signing key browser.pem" in unmet[3][1]

    def test_the_refusal_reads_as_one_text(self) -> None:
        with pytest.raises(StageRefused, match=r"^The stage was not moved\. .* next stage is shadow, not oauth\.$"):
            Desk(state(Stage.LEGACY)).move(Stage.OAUTH)

    @pytest.mark.parametrize("missing", ["browser.pem", "sync.pem", "client.pem"])
    def test_each_key_in_use_must_be_usable(self, missing: str) -> None:
        whole = state(
            Stage.LEGACY,
            sync_issuer="issuer-sync",
            sync_key_id="kid-sync",
            sync_key="sync.pem",
            issuing_client={"id": "x", "key": "client.pem", "key_id": "kid-client"},
        )

        assert Desk(whole).move(Stage.SHADOW).stage is Stage.SHADOW
        assert [missing in message for _, message in Desk(whole, missing).unmet(Stage.SHADOW)] == [True]

    def test_a_key_in_use_twice_is_named_once(self) -> None:
        shared = state(Stage.LEGACY, sync_issuer="issuer-sync", sync_key_id="kid-sync", sync_key="browser.pem")

        assert len(Desk(shared, "browser.pem").unmet(Stage.SHADOW)) == 1

    def test_force_skips_none_of_these(self) -> None:
        desk = Desk(state(Stage.LEGACY, web_integration_id=None))

        unmet = desk.unmet(Stage.OAUTH, force=True, reason="the board says so")

        assert [condition for condition, _ in unmet] == ["next_stage", "tenant_complete"]

    @pytest.mark.parametrize("reason", ["", "  ", "\n"])
    def test_force_needs_a_reason(self, reason: str) -> None:
        desk = Desk(state(Stage.LEGACY))

        with pytest.raises(BadRequest, match="reason"):
            desk.move(Stage.SHADOW, force=True, reason=reason)

        assert desk.tenants.events == []

    @pytest.mark.parametrize("percentage", [-0.01, 100.01, 1e9, math.nan, math.inf])
    def test_a_percentage_lies_between_0_and_100(self, percentage: float) -> None:
        desk = Desk(state(Stage.ROLLOUT))

        with pytest.raises(BadRequest, match="between 0 and 100"):
            desk.move(Stage.ROLLOUT, percentage=percentage)

        assert desk.tenants.events == []

    def test_an_unknown_tenant_cannot_move(self) -> None:
        with pytest.raises(UnknownTenant):
            Desk(state()).stages.move("globex", Move(Stage.LEGACY, "erin"))


STALE = UnmetCondition("parity_fresh", "Parity is 9 days old: run it again.")
SPENT = UnmetCondition("budget", "The budget is too small for these people.")


def stale(_now: TenantState, _to: Stage) -> Iterable[UnmetCondition]:
    yield STALE


def spent(_now: TenantState, _to: Stage) -> Iterable[UnmetCondition]:
    return [SPENT]


def unheard(_now: TenantState, _to: Stage) -> Iterable[UnmetCondition]:
    raise TenantTimeout


class TestEvidence:
    def test_a_move_forward_is_refused_with_all_that_is_unmet(self) -> None:
        desk = Desk(state(Stage.SHADOW, web_integration_id=None), conditions=[stale, spent])

        assert [name for name, _ in desk.unmet(Stage.ROLLOUT)] == ["tenant_complete", "parity_fresh", "budget"]

    def test_force_passes_by_and_the_audit_says_what(self) -> None:
        desk = Desk(state(Stage.SHADOW), conditions=[stale, spent])

        desk.move(Stage.ROLLOUT, force=True, reason="the board says so")

        (event,) = desk.tenants.events
        assert event.after
        assert (event.action, event.after["stage"]) == ("stage.force", "rollout")
        assert event.after["overridden"] == [STALE.document(), SPENT.document()]

    def test_force_says_only_what_it_cannot_pass_by(self) -> None:
        desk = Desk(state(Stage.SHADOW), conditions=[stale])

        assert [name for name, _ in desk.unmet(Stage.RETIRED, force=True, reason="hurry")] == ["next_stage"]

    def test_one_that_cannot_be_checked_is_not_met(self) -> None:
        desk = Desk(state(Stage.SHADOW), conditions=[unheard, stale])

        unmet = desk.unmet(Stage.ROLLOUT)

        assert [name for name, _ in unmet] == ["not_checked", "parity_fresh"]
        assert "did not answer in time" in unmet[0][1]

    @pytest.mark.parametrize("before", ORDER)
    def test_a_way_back_asks_for_nothing(self, before: Stage) -> None:
        desk = Desk(state(before, percentage=50, issuing_client=None), conditions=[stale])

        for to in ORDER[: ORDER.index(before) + 1]:
            desk.tenants.states["acme"] = state(before, percentage=50)
            assert desk.move(to).stage is to

    @pytest.mark.parametrize(
        ("change", "is_forward"),
        [
            ({"percentage": 51}, True),
            ({"percentage": 49}, False),
            ({"percentage": 50}, False),
            ({"cohorts": Cohorts(frozenset({"alice", "bob"}))}, True),
            ({"cohorts": Cohorts(frozenset({"alice"}), frozenset({"Pilots"}))}, True),
            ({"cohorts": Cohorts()}, False),
        ],
    )
    def test_within_the_rollout_more_people_are_a_step_forward(
        self,
        change: dict[str, object],
        is_forward: bool,  # noqa: FBT001 - a case
    ) -> None:
        desk = Desk(state(Stage.ROLLOUT, percentage=50, subjects=["alice"]), conditions=[stale])

        if is_forward:
            assert desk.unmet(Stage.ROLLOUT, **change) == [("parity_fresh", STALE.message)]
        else:
            desk.move(Stage.ROLLOUT, **change)

    def test_a_way_back_does_not_lose_a_race(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A ramp steps between our reading and our writing; the tenant goes back all the same."""
        desk = Desk(state(Stage.ROLLOUT, percentage=5))
        monkeypatch.setattr(desk.tenants, "move", overtaken(desk))

        assert desk.move(Stage.SHADOW) == Rollout(Stage.SHADOW, 0, revision=2)
        assert [event.actor for event in desk.tenants.events] == ["ramp", "erin"]


class TestVersions:
    """A change says which version of the rollout it was made for, and is refused for any other."""

    CHANGES: ClassVar[dict[str, Callable[[Desk, Order], object]]] = {
        "move": lambda desk, order: desk.move(Stage.OAUTH, seen=order.seen),
        "back": lambda desk, order: desk.move(Stage.SHADOW, seen=order.seen),
        "recast": lambda desk, order: desk.stages.recast("acme", order, add=PILOTS),
    }

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    @pytest.mark.parametrize("seen", [0, 2])
    def test_another_one_is_refused(self, change: Callable[[Desk, Order], object], seen: int) -> None:
        desk = Desk(state(Stage.ROLLOUT))
        desk.move(Stage.ROLLOUT, percentage=5)

        with pytest.raises(Conflict):
            change(desk, Order("erin", "late", seen=seen))
        assert len(desk.tenants.events) == 1
        change(desk, Order("erin", "in time", seen=1))
        assert desk.tenants.get("acme").rollout.revision == 2

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_who_comes_in_between_is_not_overwritten(
        self, change: Callable[[Desk, Order], object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The version was right when it was read; the store itself finds it old when it is written."""
        desk = Desk(state(Stage.ROLLOUT, percentage=5))
        monkeypatch.setattr(desk.tenants, "move", overtaken(desk))

        with pytest.raises(Conflict):
            change(desk, Order("erin", "late", seen=0))

        assert [event.actor for event in desk.tenants.events] == ["ramp"]
        assert desk.tenants.get("acme").rollout.percentage == 25

    def test_an_old_copy_does_not_hold_up_the_way_back(self) -> None:
        """Another worker moved on within the quarter second in which this one has not looked."""
        desk = Desk(state(Stage.SHADOW))
        desk.tenants = StaleTenants(desk.tenants)
        desk.stages = Stages(desk.tenants, FakeKeys(), FakeClock(), desk.metrics)
        desk.tenants.behind.states["acme"] = state(Stage.OAUTH)

        assert desk.move(Stage.SHADOW).stage is Stage.SHADOW


class TestPlan:
    def test_it_shows_the_next_stage_and_changes_nothing(self) -> None:
        desk = Desk(state(Stage.SHADOW, groups=["Pilots"]), conditions=[stale])

        plan = desk.stages.plan("acme")

        assert (plan.before.stage, plan.after.stage) == (Stage.SHADOW, Stage.ROLLOUT)
        assert plan.unmet == (STALE,)
        assert plan.effects[0].startswith("0 % of the people, and 0 subjects and 1 groups named first, get the path")
        assert desk.tenants.events == []
        assert plan.document()["unmet"] == [{"condition": "parity_fresh", "message": STALE.message, "forceable": True}]

    @pytest.mark.parametrize(
        ("before", "to", "effect"),
        [
            (Stage.ROLLOUT, Stage.OAUTH, "Everybody gets the path oauth in stage oauth."),
            (Stage.ROLLOUT, Stage.OAUTH, "served on, and counted as stragglers"),
            (Stage.OAUTH, Stage.RETIRED, "410 jwt_retired"),
            (Stage.ROLLOUT, Stage.SHADOW, "Everybody gets the path jwt in stage shadow."),
            (Stage.RETIRED, None, "Nothing changes."),
            (Stage.ROLLOUT, Stage.SHADOW, "The ramp `5 % for 1 h, 100 %` ends."),
            (Stage.OAUTH, Stage.SHADOW, "every worker knows within 2 s"),
            (Stage.SHADOW, None, "Nobody can examine how the tenant is set up first"),
        ],
    )
    def test_it_says_what_people_will_see(self, before: Stage, to: Stage | None, effect: str) -> None:
        now = state(before)
        ramp = Ramp(read_steps("5 % for 1 h, 100 %"), 1) if before is Stage.ROLLOUT else None

        plan = Desk(replace(now, rollout=replace(now.rollout, ramp=ramp))).stages.plan("acme", to)

        assert effect in " ".join(plan.effects)

    def test_it_counts_the_kill_switch_in(self) -> None:
        now = state(Stage.OAUTH)
        desk = Desk(replace(now, rollout=replace(now.rollout, kill=Kill("erin", "x", START))))

        assert desk.stages.plan("acme", Stage.ROLLOUT).effects[0].endswith("the path jwt while the kill switch is on.")
        assert [each.condition for each in desk.stages.plan("acme").unmet] == ["kill_switch"]

    def test_it_takes_a_percentage(self) -> None:
        desk = Desk(state(Stage.ROLLOUT))

        assert desk.stages.plan("acme", Stage.ROLLOUT, 30).after.percentage == 30
        with pytest.raises(BadRequest):
            desk.stages.plan("acme", Stage.ROLLOUT, 101)


class TestCohorts:
    def test_names_are_added_and_removed_one_by_one(self) -> None:
        desk = Desk(state(Stage.ROLLOUT, subjects=["alice"], groups=["Pilots"]))
        order = Order("erin", "the next ones")

        desk.stages.recast("acme", order, add=Cohorts(frozenset({"bob"})), remove=Cohorts(groups=frozenset({"Pilots"})))

        assert desk.tenants.get("acme").rollout.cohorts == Cohorts(frozenset({"alice", "bob"}))
        assert [(each.action, each.reason) for each in desk.tenants.events] == [("stage.move", "the next ones")]

    def test_more_people_need_evidence_and_fewer_none(self) -> None:
        desk = Desk(state(Stage.ROLLOUT, subjects=["alice"]), conditions=[stale])
        alice, bob = Cohorts(frozenset({"alice"})), Cohorts(frozenset({"bob"}))

        with pytest.raises(StageRefused):
            desk.stages.recast("acme", Order("erin"), add=bob)
        with pytest.raises(BadRequest, match="needs a reason: say why"):
            desk.stages.recast("acme", Order("erin", force=True), add=bob)
        with pytest.raises(BadRequest, match="Name a subject"):
            desk.stages.recast("acme", Order("erin"))
        desk.stages.recast("acme", Order("erin"), remove=alice)

        assert desk.tenants.get("acme").rollout.cohorts == Cohorts()

    @pytest.mark.parametrize("change", [{"add": PILOTS}, {"remove": Cohorts(frozenset({"nobody"}))}])
    def test_what_is_so_already_is_not_written(self, change: dict[str, Cohorts]) -> None:
        """A write says that a person moved on: it ends a guardrail's hold and begins its window anew."""
        desk = Desk(state(Stage.ROLLOUT, subjects=["alice"], groups=["Pilots"]))

        assert desk.stages.recast("acme", Order("erin", "again"), **change).rollout.revision == 0
        assert desk.tenants.events == []

    def test_it_does_not_lose_a_race_it_is_not_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A ramp steps between our reading and our writing: the name joins what stands then."""
        desk = Desk(state(Stage.ROLLOUT, percentage=5))
        monkeypatch.setattr(desk.tenants, "move", overtaken(desk))

        assert desk.stages.recast("acme", Order("erin"), add=PILOTS).rollout == Rollout(
            Stage.ROLLOUT, 25, PILOTS, revision=2
        )


class TestChange:
    def test_percentage_and_cohorts_change_within_a_stage(self) -> None:
        desk = Desk(state(Stage.ROLLOUT, percentage=10))

        after = desk.move(Stage.ROLLOUT, percentage=25.5, cohorts=PILOTS)

        assert after == Rollout(Stage.ROLLOUT, 25.5, PILOTS, revision=1)

    def test_what_is_not_named_is_kept(self) -> None:
        desk = Desk(state(Stage.ROLLOUT, percentage=10, subjects=["alice"], groups=["Pilots"]))

        assert desk.move(Stage.ROLLOUT) == Rollout(Stage.ROLLOUT, 10, PILOTS, revision=1)
        assert desk.move(Stage.ROLLOUT, percentage=0) == Rollout(Stage.ROLLOUT, 0, PILOTS, revision=2)
        assert desk.move(Stage.ROLLOUT, cohorts=Cohorts()) == Rollout(Stage.ROLLOUT, 0, Cohorts(), revision=3)

    def test_forward_and_back_to_rollout_keeps_the_percentage(self) -> None:
        desk = Desk(state(Stage.ROLLOUT, percentage=80))

        desk.move(Stage.OAUTH)

        assert desk.move(Stage.ROLLOUT).percentage == 80

    @pytest.mark.parametrize("to", [Stage.SHADOW, Stage.LEGACY])
    @pytest.mark.parametrize("before", [Stage.ROLLOUT, Stage.OAUTH, Stage.RETIRED])
    def test_behind_rollout_the_next_one_starts_at_0_with_the_same_cohorts(self, before: Stage, to: Stage) -> None:
        desk = Desk(state(before, percentage=80, subjects=["alice"], groups=["Pilots"]))

        assert desk.move(to) == Rollout(to, 0, PILOTS, revision=1)

    def test_a_percentage_can_be_set_ahead_of_the_rollout(self) -> None:
        desk = Desk(state(Stage.LEGACY))

        desk.move(Stage.SHADOW, percentage=5)

        assert desk.move(Stage.ROLLOUT).percentage == 5

    def test_the_answer_is_the_tenant_as_it_stands(self) -> None:
        desk = Desk(state(Stage.LEGACY))

        assert desk.stages.move("acme", Move(Stage.SHADOW, "erin")) == desk.tenants.get("acme")


class TestTrace:
    def test_a_move_leaves_an_audit_event(self) -> None:
        desk = Desk(state(Stage.ROLLOUT, percentage=10))

        desk.move(Stage.ROLLOUT, percentage=20, cohorts=PILOTS, reason="all is well", request_id="r-1")

        assert desk.tenants.events == [
            AuditEvent(
                at=START,
                actor="erin",
                action="stage.move",
                tenant="acme",
                reason="all is well",
                before=desk.document(percent=10, subjects=[], groups=[]),
                after=desk.document(percent=20, subjects=["alice"], groups=["Pilots"]),
                request_id="r-1",
            )
        ]

    def test_a_forced_one_says_so(self) -> None:
        desk = Desk(state(Stage.LEGACY))

        desk.move(Stage.SHADOW, force=True, reason="the board says so")

        assert [(event.action, event.reason) for event in desk.tenants.events] == [("stage.force", "the board says so")]

    def test_moves_are_counted_by_stage(self) -> None:
        desk = Desk(state(Stage.LEGACY))
        desk.move(Stage.SHADOW)
        desk.tenants.events.clear()
        desk.unmet(Stage.RETIRED)

        value = desk.metrics.registry.get_sample_value
        assert value("bridge_stage_moves_total", {"tenant": "acme", "to": "shadow"}) == 1
        assert value("bridge_stage_moves_total", {"tenant": "acme", "to": "retired"}) is None

    def test_who_comes_second_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Between our reading and our writing, another operator moved the tenant."""
        desk = Desk(state(Stage.LEGACY))
        move = desk.tenants.move

        def overtaken(slug: str, *, before: Rollout, after: Rollout, event: AuditEvent) -> Rollout:
            move(slug, before=before, after=replace(before, stage=Stage.SHADOW), event=replace(event, actor="eve"))
            return move(slug, before=before, after=after, event=event)

        monkeypatch.setattr(desk.tenants, "move", overtaken)
        with pytest.raises(Conflict):
            desk.move(Stage.LEGACY, percentage=5)

        assert [event.actor for event in desk.tenants.events] == ["eve"]
        assert desk.tenants.get("acme").rollout == Rollout(Stage.SHADOW, revision=1)
        assert (
            desk.metrics.registry.get_sample_value("bridge_stage_moves_total", {"tenant": "acme", "to": "legacy"})
            is None
        )

    def test_a_store_that_is_away_moves_nothing(self) -> None:
        desk = Desk(state(Stage.LEGACY))
        desk.tenants.broken = True

        with pytest.raises(StoreError):
            desk.move(Stage.SHADOW)

        assert desk.tenants.states["acme"].rollout.stage is Stage.LEGACY


def test_what_must_not_lose_a_race_outlasts_twenty_who_are_faster() -> None:
    faster = iter(range(20))

    def change() -> str:
        if next(faster, None) is not None:
            raise Conflict
        return "done"

    assert insist(change) == "done"
