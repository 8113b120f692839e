"""Stage moves: which are safe, what each changes, what each leaves behind."""

import math
from dataclasses import replace

import pytest
from fakes import START, FakeClock, FakeKeys, FakeTenants
from samples import state

from bridge.errors import BadRequest, Conflict, StageRefused, StoreError, UnknownTenant
from bridge.model import AuditEvent, Cohorts, Rollout, Stage, TenantState
from bridge.services.stages import Move, Stages
from bridge.telemetry import Metrics

ORDER = [Stage.LEGACY, Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH, Stage.RETIRED]
PILOTS = Cohorts(frozenset({"alice"}), frozenset({"Pilots"}))


class Desk:
    """An operator's desk: one tenant, some of whose keys may be missing."""

    def __init__(self, now: TenantState, *missing_keys: str) -> None:
        self.tenants = FakeTenants(now)
        self.metrics = Metrics()
        self.stages = Stages(self.tenants, FakeKeys(missing=missing_keys), FakeClock(), self.metrics)

    def move(self, to: Stage, **details: object) -> Rollout:
        return self.stages.move("acme", Move(to, actor="erin", **details)).rollout  # type: ignore[arg-type]

    def unmet(self, to: Stage, **details: object) -> list[tuple[str, str]]:
        with pytest.raises(StageRefused) as refusal:
            self.move(to, **details)
        assert self.tenants.events == []
        return [(each.condition, each.message) for each in refusal.value.unmet]


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
                before={"stage": "rollout", "percent": 10, "cohorts": {"subjects": [], "groups": []}},
                after={"stage": "rollout", "percent": 20, "cohorts": {"subjects": ["alice"], "groups": ["Pilots"]}},
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
