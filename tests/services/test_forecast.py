"""What a move does to the people that are known."""

from dataclasses import replace

import pytest
from fakes import FakeClock, FakeKeys, FakeTenants
from samples import state, tenant

from bridge.budgeting import Limit
from bridge.errors import StageRefused, StoreError
from bridge.model import Rollout, Stage, TenantState
from bridge.plan import KnownPeople
from bridge.services.forecast import Forecast, forecast, over_budget
from bridge.services.stages import Move, Stages
from bridge.telemetry import Metrics

CROWD = {f"person-{number}": frozenset({"Pilots"} if number < 40 else {"Sales"}) for number in range(4_000)}
DAY_S = 86_400


def people(slug: str) -> KnownPeople:
    return KnownPeople(len(CROWD), CROWD) if slug == "acme" else KnownPeople(0, {})


def after(now: TenantState, stage: Stage, percentage: float = 0) -> TenantState:
    return replace(now, rollout=replace(now.rollout, stage=stage, percentage=percentage))


class TestForecast:
    def test_it_counts_by_the_paths_that_people_get(self) -> None:
        now = state(Stage.ROLLOUT, percentage=10)

        found = forecast(now, after(now, Stage.ROLLOUT, 30), people)

        expected = sum(
            Rollout(Stage.ROLLOUT, 30).path_for("acme", sub, groups) == "oauth" for sub, groups in CROWD.items()
        )
        assert (found.known, found.on_oauth) == (4_000, expected)
        assert 1_100 < found.on_oauth < 1_300
        assert 700 < found.moving < 900

    def test_cohorts_count_by_group(self) -> None:
        now = state(Stage.SHADOW, groups=["Pilots"], subjects=["person-100", "nobody"])

        assert forecast(now, after(now, Stage.ROLLOUT), people) == Forecast(4_000, 41, 41)

    def test_a_way_back_moves_people_too(self) -> None:
        now = state(Stage.OAUTH)

        assert forecast(now, after(now, Stage.SHADOW), people) == Forecast(4_000, 4_000, 0)

    def test_of_very_many_people_it_is_worked_out_from_some(self) -> None:
        now = state(Stage.ROLLOUT, percentage=10)
        some = forecast(now, after(now, Stage.ROLLOUT, 30), people)

        found = forecast(now, after(now, Stage.ROLLOUT, 30), lambda _: KnownPeople(400_000, CROWD))

        assert (found.known, found.on_oauth, found.moving) == (400_000, some.on_oauth * 100, some.moving * 100)
        told = f"Of 400,000 people known here, about {found.moving:,} change their path; about {found.on_oauth:,} are"
        assert found.sentence() == f"{told} on oauth then. Worked out from 10,000 of them, drawn at random."

    def test_it_is_a_sentence_of_the_plan(self) -> None:
        stages = Stages(FakeTenants(state(Stage.ROLLOUT)), FakeKeys(), FakeClock(), Metrics(), people=people)

        effects = stages.plan("acme", Stage.OAUTH).effects

        assert effects[-1] == "Of 4,000 people known here, 4,000 change their path; 4,000 are on oauth then."

    @pytest.mark.parametrize("own_flags", [True, False])
    def test_whom_another_provider_moves_is_its_secret(self, *, own_flags: bool) -> None:
        tenants = FakeTenants(state(Stage.ROLLOUT, own_flags=own_flags))
        stages = Stages(tenants, FakeKeys(), FakeClock(), Metrics(), people=people, ours=False)

        effects = stages.plan("acme", Stage.ROLLOUT, 10).effects

        assert effects[0].startswith("10 % of the people" if own_flags else "The provider that BRIDGE_FLAGS names")
        assert effects[-1].startswith("Of 4,000 people") is own_flags


class TestBudget:
    def test_who_does_not_fit_into_an_hour_is_too_many(self) -> None:
        """80 calls a minute, a login and a mint each: 2,400 people in an hour."""
        (unmet,) = over_budget(4_000, tenant(), Limit())

        assert unmet.condition == "budget"
        assert "4,000 people would be on oauth" in unmet.message
        assert "8,000 calls" in unmet.message
        assert "the budget has 80 a minute: 2,400 people fit" in unmet.message
        assert unmet.forceable
        assert list(over_budget(2_400, tenant(), Limit())) == []

    def test_logins_that_last_over_night_halve_it(self) -> None:
        assert list(over_budget(4_000, tenant(sync_max_age_s=7 * DAY_S), Limit())) == []

    def test_a_plan_reads_the_people_once(self) -> None:
        reads: list[str] = []

        def read(slug: str) -> KnownPeople:
            reads.append(slug)
            return people(slug)

        plan = Stages(FakeTenants(state(Stage.ROLLOUT)), FakeKeys(), FakeClock(), Metrics(), people=read).plan(
            "acme", Stage.OAUTH
        )

        assert [each.condition for each in plan.unmet] == ["budget"]
        assert "4,000 are on oauth then" in plan.effects[-1]
        assert reads == ["acme"]

    def test_a_move_is_refused_and_can_be_forced(self) -> None:
        tenants = FakeTenants(state(Stage.ROLLOUT))
        stages = Stages(tenants, FakeKeys(), FakeClock(), Metrics(), people=people)

        with pytest.raises(StageRefused, match="sync_max_age_s"):
            stages.move("acme", Move(Stage.OAUTH, "erin"))
        stages.move("acme", Move(Stage.OAUTH, "erin", "they come all day long", force=True))

        assert (tenants.events[0].after or {})["overridden"][0]["condition"] == "budget"

    def test_without_the_people_nothing_is_counted(self) -> None:
        """A database that is away leaves the condition unchecked; another flag provider leaves it out."""

        def away(_slug: str) -> KnownPeople:
            raise StoreError

        tenants = FakeTenants(state(Stage.ROLLOUT))
        with pytest.raises(StageRefused, match="could not be checked"):
            Stages(tenants, FakeKeys(), FakeClock(), Metrics(), people=away).move("acme", Move(Stage.OAUTH, "erin"))

        Stages(tenants, FakeKeys(), FakeClock(), Metrics()).move("acme", Move(Stage.OAUTH, "erin"))
