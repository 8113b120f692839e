"""The legacy path: JWTs for pages that log in by themselves."""

from contextlib import AbstractContextManager, nullcontext

import pytest
from fakes import START, FakeClock, FakeKeys, FakeQlik, FakeSubjects, claims_of
from samples import identity, state

from bridge.errors import JwtRetired, StoreError, TenantTimeout
from bridge.model import Stage
from bridge.services.groups import GroupSync
from bridge.services.legacy import LegacyJwts
from bridge.services.signer import BACKDATE_S, LIFETIME_S, Signer
from bridge.telemetry import Metrics


@pytest.fixture
def legacy(groups: GroupSync, clock: FakeClock, metrics: Metrics) -> LegacyJwts:
    return LegacyJwts(Signer(FakeKeys(), clock), groups, metrics)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.RETIRED])
def test_every_stage_but_retired_serves_and_counts(
    legacy: LegacyJwts, qlik: FakeQlik, metrics: Metrics, stage: Stage
) -> None:
    signed = legacy.issue(state(stage), identity("alice", "A"))

    labels = {"tenant": "acme", "stage": stage.value}
    assert claims_of(signed)["sub"] == "alice"
    assert metrics.registry.get_sample_value("bridge_legacy_tokens_issued_total", labels) == 1
    assert qlik.calls == []


def test_retired_is_closed(legacy: LegacyJwts, subjects: FakeSubjects) -> None:
    with pytest.raises(JwtRetired):
        legacy.issue(state(Stage.RETIRED), identity())

    assert subjects.rows == {}


def test_each_jwt_is_a_fresh_one(legacy: LegacyJwts) -> None:
    one, other = (claims_of(legacy.issue(state(Stage.LEGACY), identity())) for _ in range(2))

    assert one["jti"] != other["jti"]


def test_the_browsers_identity_provider_signs(legacy: LegacyJwts) -> None:
    now = state(Stage.LEGACY, sync_issuer="issuer-sync", sync_key_id="kid-sync", sync_key="sync.pem")

    assert claims_of(legacy.issue(now, identity()))["iss"] == "issuer-acme"


def test_an_old_session_gets_the_newest_groups(legacy: LegacyJwts) -> None:
    legacy.issue(state(Stage.LEGACY), identity("alice", "A", at=START + 10))

    signed = legacy.issue(state(Stage.LEGACY), identity("alice", "A", "Secret", at=START))

    assert claims_of(signed)["groups"] == ["A"]


def test_a_login_that_the_bridge_does_not_see_makes_its_own_sync_unknown(
    legacy: LegacyJwts, groups: GroupSync, qlik: FakeQlik, subjects: FakeSubjects
) -> None:
    now = state(Stage.ROLLOUT)
    groups.ensure(now.tenant, identity())

    legacy.issue(now, identity())

    assert subjects.rows["acme", "alice"].synced_at is None
    groups.ensure(now.tenant, identity())
    assert qlik.names() == ["log_in", "log_in"]


def test_a_sync_while_a_browser_may_still_log_in_is_repeated_once_after_that(
    legacy: LegacyJwts, groups: GroupSync, qlik: FakeQlik, clock: FakeClock
) -> None:
    """The browser may bring back the groups that its JWT was signed with, after our sync took them away."""
    now = state(Stage.OAUTH)
    legacy.issue(now, identity("alice", "A", "Secret"))
    for wait_s, logins in ((1, 1), (30, 1), (LIFETIME_S + BACKDATE_S, 2), (60, 2)):
        clock.advance(wait_s)
        groups.ensure(now.tenant, identity("alice", "A", at=START + 1))

        assert len(qlik.calls) == logins


def test_after_that_a_failed_sync_is_not_bridged_by_one_from_before(
    legacy: LegacyJwts, groups: GroupSync, qlik: FakeQlik, clock: FakeClock
) -> None:
    now = state(Stage.OAUTH)
    legacy.issue(now, identity("alice", "A", "Secret"))
    groups.ensure(now.tenant, identity("alice", "A", at=START + 1))
    clock.advance(LIFETIME_S + BACKDATE_S)
    qlik.fail["log_in"] = [TenantTimeout()]

    with pytest.raises(TenantTimeout):
        groups.ensure(now.tenant, identity("alice", "A", at=START + 1))


@pytest.mark.parametrize(
    ("stage", "outcome"), [("legacy", "served"), ("shadow", "served"), ("rollout", "refused"), ("oauth", "refused")]
)
def test_while_nothing_can_be_written_the_old_path_goes_on_until_a_sync_could_depend_on_it(
    legacy: LegacyJwts, subjects: FakeSubjects, monkeypatch: pytest.MonkeyPatch, stage: str, outcome: str
) -> None:
    def locked(*_: object) -> None:
        raise StoreError

    monkeypatch.setattr(subjects, "note_browser_login", locked)
    expected: AbstractContextManager[object] = nullcontext() if outcome == "served" else pytest.raises(StoreError)
    with expected:
        assert legacy.issue(state(Stage(stage)), identity())


def test_the_old_path_knows_no_limit_of_ours(legacy: LegacyJwts) -> None:
    signed = legacy.issue(state(Stage.LEGACY), identity("alice", *[f"{'x' * 40}{number}" for number in range(300)]))

    assert len(claims_of(signed)["groups"]) == 300


def test_a_store_that_is_away_gives_no_jwt(legacy: LegacyJwts, subjects: FakeSubjects) -> None:
    """Older groups than the newest known ones must not be signed."""
    subjects.broken = True

    with pytest.raises(StoreError):
        legacy.issue(state(Stage.LEGACY), identity())
