"""The kill switch: whom it takes off the OAuth path, and what it leaves as it is."""

from dataclasses import replace
from typing import Any

import pytest
from fakes import START, FakeClock, FakeKeys, FakeTenants, StaleTenants
from samples import state

from bridge.errors import BadRequest, Conflict, StageRefused, StoreError, UnknownTenant
from bridge.model import Path, Stage, TenantState
from bridge.plan import Kill, Order
from bridge.services.kills import Kills
from bridge.services.stages import Move, Stages
from bridge.telemetry import Metrics

ERIN = Order("erin", "Qlik is down", "r-1")
EVE = Order("eve", "me too")


class Desk:
    def __init__(self, *states: TenantState) -> None:
        clock = FakeClock()
        self.tenants = FakeTenants(*states)
        self.stages = Stages(self.tenants, FakeKeys(), clock, Metrics())
        self.kills = Kills(self.tenants, self.stages, clock)

    def stale(self) -> tuple[StaleTenants, Stages]:
        """Return what another worker works with that does not look again from now on."""
        tenants = StaleTenants(self.tenants)
        return tenants, Stages(tenants, FakeKeys(), FakeClock(), Metrics())

    def now(self, slug: str = "acme") -> TenantState:
        return self.tenants.get(slug)


class TestOne:
    @pytest.mark.parametrize(
        ("stage", "path"), [(stage, Path.OAUTH if stage is Stage.RETIRED else Path.JWT) for stage in Stage]
    )
    def test_everybody_is_on_jwt_but_where_that_is_closed(self, stage: Stage, path: Path) -> None:
        desk = Desk(state(stage, percentage=100))

        desk.kills.kill("acme", ERIN)

        assert desk.now().settled_path is path
        assert desk.now().is_killed is (stage is not Stage.RETIRED)

    def test_nothing_else_changes_and_reviving_gives_it_all_back(self) -> None:
        desk = Desk(state(Stage.ROLLOUT, percentage=40, groups=["Pilots"]))
        before = desk.now().rollout

        killed = desk.kills.kill("acme", ERIN).rollout
        assert killed.kill == Kill("erin", "Qlik is down", START)
        revived = desk.kills.revive("acme", EVE).rollout

        assert (revived.percentage, revived.cohorts, revived.stage) == (40, before.cohorts, Stage.ROLLOUT)
        assert revived.kill is None
        assert [(each.actor, each.action, each.reason, each.request_id) for each in desk.tenants.events] == [
            ("erin", "stage.kill", "Qlik is down", "r-1"),
            ("eve", "stage.revive", "me too", ""),
        ]
        assert (desk.tenants.events[0].after or {})["kill"]["reason"] == "Qlik is down"

    def test_who_was_first_is_kept(self) -> None:
        desk = Desk(state())
        desk.kills.kill("acme", ERIN)
        desk.kills.kill("acme", EVE)
        assert desk.now().kill == Kill("erin", "Qlik is down", START)
        desk.kills.revive("acme", ERIN)
        desk.kills.revive("acme", EVE)

        assert len(desk.tenants.events) == 2

    def test_it_is_not_so_already_because_an_old_copy_says_so(self) -> None:
        """Within a quarter of a second another worker switched it: a copy would answer for a switch that is off."""
        desk = Desk(state())
        desk.kills.kill("acme", ERIN)
        late = Kills(*desk.stale(), FakeClock())
        desk.kills.revive("acme", ERIN)

        assert late.kill("acme", EVE).kill == desk.now().kill == Kill("eve", "me too", START)
        late = Kills(*desk.stale(), FakeClock())
        desk.kills.revive("acme", ERIN)
        desk.kills.kill("acme", ERIN)
        late.revive("acme", EVE)
        assert desk.now().kill is None

    def test_an_order_for_another_version_is_refused(self) -> None:
        desk = Desk(state())
        desk.kills.kill("acme", replace(ERIN, seen=0))
        for switch in (desk.kills.kill, desk.kills.revive):
            with pytest.raises(Conflict):
                switch("acme", replace(EVE, seen=0))
        desk.kills.revive("acme", replace(ERIN, seen=1))

        assert desk.now().kill is None

    def test_nothing_moves_forward_meanwhile_and_back_is_possible(self) -> None:
        desk = Desk(state(Stage.OAUTH))
        desk.kills.kill("acme", ERIN)

        with pytest.raises(StageRefused, match="qlik-bridge stage revive acme") as refusal:
            desk.stages.move("acme", Move(Stage.RETIRED, "erin", "hurry", force=True))
        assert [each.condition for each in refusal.value.unmet] == ["kill_switch"]

        desk.stages.move("acme", Move(Stage.SHADOW, "erin"))
        assert desk.now().kill

    def test_a_retired_tenant_follows_once_it_is_moved_back(self) -> None:
        desk = Desk(state(Stage.RETIRED))
        desk.kills.kill("acme", ERIN)

        desk.stages.move("acme", Move(Stage.OAUTH, "erin"))

        assert desk.now().settled_path is Path.JWT

    @pytest.mark.parametrize("reason", ["", " \n"])
    def test_it_needs_a_reason(self, reason: str) -> None:
        desk, mute = Desk(state()), Order("erin", reason)

        for switch in (desk.kills.kill, desk.kills.revive):
            with pytest.raises(BadRequest, match="needs a reason: say why"):
                switch("acme", mute)
        with pytest.raises(BadRequest, match="needs a reason: say why"):
            desk.kills.kill_all(mute)
        with pytest.raises(BadRequest, match="needs a reason: say why"):
            desk.kills.revive_all(mute)
        assert desk.tenants.events == []

    def test_trouble_is_said(self) -> None:
        desk = Desk(state())
        with pytest.raises(UnknownTenant):
            desk.kills.kill("globex", ERIN)
        desk.tenants.broken = True
        with pytest.raises(StoreError):
            desk.kills.kill("acme", ERIN)


class TestAll:
    def test_every_tenant_is_off_and_on_again(self) -> None:
        desk = Desk(state(Stage.OAUTH), state(Stage.ROLLOUT, slug="globex", percentage=50))

        desk.kills.kill_all(ERIN)
        assert {slug: each.settled_path for slug, each in desk.tenants.all().items()} == {
            "acme": Path.JWT,
            "globex": Path.JWT,
        }
        desk.kills.revive_all(ERIN)

        assert [desk.now().settled_path, desk.now("globex").settled_path] == [Path.OAUTH, None]
        assert [(each.action, each.tenant) for each in desk.tenants.events] == [
            ("stage.kill", None),
            ("stage.revive", None),
        ]

    def test_a_tenants_own_switch_is_another(self) -> None:
        desk = Desk(state(Stage.OAUTH), state(Stage.OAUTH, slug="globex"))
        desk.kills.kill("acme", ERIN)
        desk.kills.kill_all(EVE)
        desk.kills.revive_all(EVE)
        assert [desk.now().is_killed, desk.now("globex").is_killed] == [True, False]
        desk.kills.kill_all(EVE)
        desk.kills.revive("acme", ERIN)

        assert desk.now().rollout_document()["kill"]["everywhere"] is True
        with pytest.raises(StageRefused, match="stage revive --all"):
            desk.stages.move("acme", Move(Stage.RETIRED, "erin"))

    @pytest.mark.parametrize("on", [True, False])
    def test_of_two_at_once_the_first_is_kept(self, monkeypatch: pytest.MonkeyPatch, on: bool) -> None:  # noqa: FBT001 - a case
        desk, raced = Desk(state()), list[bool]()
        if not on:
            desk.kills.kill_all(ERIN)
        late, write = (desk.kills.kill_all, desk.kills.revive_all)[not on], desk.tenants.set_kill_all

        def overtaken(kill: Kill | None, **details: Any) -> None:  # noqa: ANN401 - passed on
            if not raced:
                raced.append(True)
                write(replace(kill, actor="erin") if kill else None, **details)
            write(kill, **details)

        monkeypatch.setattr(desk.tenants, "set_kill_all", overtaken)
        late(EVE)

        assert (desk.tenants.killed is not None) is on
        assert desk.tenants.killed is None or desk.tenants.killed.actor == "erin"
        assert len(desk.tenants.events) == (1 if on else 2)

    def test_who_was_first_is_kept(self) -> None:
        desk = Desk(state())
        assert desk.kills.kill_all(ERIN) == desk.kills.kill_all(EVE)
        desk.kills.revive_all(ERIN)
        desk.kills.revive_all(EVE)

        assert len(desk.tenants.events) == 2
