"""Impersonation tokens: issued from the store or by minting, renewed, replaced, revoked."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fakes import (
    START,
    TOKEN_LIFE_S,
    FakeClock,
    FakeHistory,
    FakeKeys,
    FakeMeasures,
    FakeQlik,
    FakeSubjects,
    FakeTenants,
    FakeTokens,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature import api as openfeature
from samples import CLIENT, identity, state, subject, tenant

from bridge import deadline
from bridge.errors import (
    BridgeError,
    NotSignedIn,
    StillOnJwt,
    StoreError,
    SubjectNotProvisioned,
    SyncRefused,
    TenantError,
    TenantGarbled,
    TenantRefused,
    TenantThrottled,
    TenantTimeout,
    TenantUnavailable,
)
from bridge.model import Identity, IssuedToken, QlikUser, Stage, SubjectRecord, TenantState
from bridge.services.broker import LAST_RESORT_LIFE_S, LOOKS, MIN_LIFE_S, REPLACE_EVERY_S, Broker, Revocations
from bridge.services.groups import GroupSync
from bridge.services.history import History
from bridge.services.measures import Measures
from bridge.services.rollout import Rollouts
from bridge.services.signer import Signer
from bridge.telemetry import Metrics

LONG_S = 5
NOW = state(Stage.OAUTH)
FAILURES = [
    TenantThrottled(retry_after_s=9),
    TenantUnavailable(),
    TenantTimeout(),
    TenantGarbled(),
    TenantRefused(status=400, upstream_code="OAUTH-14"),
]


@pytest.fixture
def tenants() -> FakeTenants:
    return FakeTenants(NOW, state(Stage.OAUTH, slug="globex"))


@pytest.fixture
def held(broker: Broker, qlik: FakeQlik) -> IssuedToken:
    """Alice's token, issued just now."""
    token = broker.issue(NOW, identity())
    qlik.calls.clear()
    return token


def leave(token: IssuedToken, life_s: float, clock: FakeClock) -> None:
    clock.now = token.expires_at - life_s


def issued(metrics: Metrics, origin: str) -> float:
    labels = {"tenant": "acme", "origin": origin}
    return metrics.registry.get_sample_value("bridge_tokens_issued_total", labels) or 0


class TestPath:
    @pytest.mark.parametrize("stage", [Stage.LEGACY, Stage.SHADOW, Stage.ROLLOUT])
    def test_who_is_still_on_jwt_costs_no_call(
        self, broker: Broker, qlik: FakeQlik, subjects: FakeSubjects, stage: Stage
    ) -> None:
        with pytest.raises(StillOnJwt):
            broker.issue(state(stage), identity())

        assert qlik.calls == []
        assert subjects.rows == {}

    @pytest.mark.parametrize("stage", [Stage.OAUTH, Stage.RETIRED])
    def test_everyone_else_gets_a_token(self, broker: Broker, stage: Stage) -> None:
        assert broker.issue(state(stage), identity()).key.sub == "alice"


class TestFirstToken:
    def test_one_login_then_one_mint_for_the_user_it_found(
        self, broker: Broker, qlik: FakeQlik, tokens: FakeTokens, metrics: Metrics
    ) -> None:
        token = broker.issue(NOW, identity("alice", "A"))

        assert qlik.calls == [("log_in", "acme", "alice"), ("mint", "acme", "id-alice")]
        assert token.key == NOW.tenant.token_key("alice")
        assert (token.value, token.scope) == ("fake-token-1", "user_default")
        assert (token.issued_at, token.expires_at) == (START, START + TOKEN_LIFE_S)
        assert tokens.get(token.key) == token
        assert issued(metrics, "mint") == 1

    def test_the_token_id_says_nothing_about_the_token(self, broker: Broker) -> None:
        tokens = [broker.issue(NOW, identity(sub)) for sub in ("alice", "bob")]

        assert all(len(token.token_id) == 24 and token.token_id not in token.value for token in tokens)
        assert tokens[0].token_id != tokens[1].token_id

    def test_a_person_without_an_id_in_the_tenant_cannot_be_impersonated(self, broker: Broker, qlik: FakeQlik) -> None:
        with pytest.raises(SubjectNotProvisioned):
            broker._mint_once(tenant(), SubjectRecord("acme", subject(), START), 0)

        assert qlik.calls == []

    def test_a_refused_sync_ends_it(self, broker: Broker, qlik: FakeQlik) -> None:
        qlik.users["alice"] = QlikUser("id-alice", "alice", frozenset({"Board"}))

        with pytest.raises(SyncRefused):
            broker.issue(NOW, identity())

        assert qlik.names() == ["log_in"]

    def test_two_subjects_that_differ_by_case_have_two_tokens(self, broker: Broker, qlik: FakeQlik) -> None:
        lower, upper = broker.issue(NOW, identity("alice")), broker.issue(NOW, identity("Alice"))

        assert lower.value != upper.value
        assert [qlik.tokens[token.value].subject for token in (lower, upper)] == ["alice", "Alice"]


class TestStoredToken:
    def test_is_issued_without_any_call(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, metrics: Metrics
    ) -> None:
        assert [broker.issue(NOW, identity()) for _ in range(3)] == [held] * 3
        assert qlik.calls == []
        assert issued(metrics, "store") == 3

    def test_serves_until_its_life_is_too_short(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, clock: FakeClock
    ) -> None:
        leave(held, MIN_LIFE_S, clock)

        assert broker.issue(state(sync_max_age_s=86_400), identity()) == held
        assert qlik.calls == []

    def test_is_renewed_after_that(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, tokens: FakeTokens, clock: FakeClock
    ) -> None:
        leave(held, MIN_LIFE_S - 1, clock)

        renewed = broker.issue(state(sync_max_age_s=86_400), identity())

        assert renewed != held
        assert tokens.get(held.key) == renewed
        assert qlik.names() == ["mint"]

    def test_is_not_issued_before_changed_groups_are_synced(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken
    ) -> None:
        assert broker.issue(NOW, identity("alice", "New", at=START + 1)) == held
        assert qlik.names() == ["log_in"]

    @pytest.mark.parametrize(
        "later",
        [
            state(Stage.RETIRED),
            state(Stage.OAUTH, percentage=70, subjects=["bob"], groups=["x"]),
            state(issuing_client={**CLIENT, "secret": "rotated"}),
        ],
        ids=["stage", "percentage and cohorts", "rotated secret"],
    )
    def test_survives_steps_of_a_ramp(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, later: TenantState
    ) -> None:
        assert broker.issue(later, identity()) == held
        assert qlik.calls == []

    @pytest.mark.parametrize(
        "later",
        [
            state(host="https://elsewhere.example.com"),
            state(issuing_client={"id": "another", "secret": "hush"}),
            state(scope="user_default identity.name:read"),
        ],
        ids=["host", "client", "scope"],
    )
    def test_does_not_outlive_what_it_was_minted_with(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, later: TenantState
    ) -> None:
        assert broker.issue(later, identity()).value != held.value
        assert qlik.names() == ["mint"]


class TestAtTheSameTime:
    def test_many_first_requests_mint_once(self, broker: Broker, qlik: FakeQlik) -> None:
        ready = threading.Barrier(8)

        def ask() -> IssuedToken:
            ready.wait(LONG_S)
            return broker.issue(NOW, identity())

        with ThreadPoolExecutor(8) as pool:
            tokens = [each.result(LONG_S) for each in [pool.submit(ask) for _ in range(8)]]

        assert len(set(tokens)) == 1
        assert qlik.names() == ["log_in", "mint"]

    def test_a_failed_mint_is_shared(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, tokens: FakeTokens, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One refusal for everyone who waited, not one for each."""
        tokens.drop(held)
        joined = threading.Semaphore(0)
        run = broker._flights.run

        def watched(key: object, work: Callable[[], IssuedToken]) -> IssuedToken:
            joined.release()
            return run(key, work)

        monkeypatch.setattr(broker._flights, "run", watched)

        def wait_for_all() -> None:
            for _ in range(4):
                assert joined.acquire(timeout=LONG_S)

        qlik.before["mint"] = wait_for_all
        qlik.fail["mint"] = [TenantThrottled(retry_after_s=9)]
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(broker.issue, NOW, identity()) for _ in range(4)]
            failures = [type(each.exception(LONG_S)) for each in asked]

        assert failures[0] is TenantThrottled
        assert qlik.names().count("mint") == 1

    def test_who_comes_too_late_for_a_flight_takes_its_token(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken
    ) -> None:
        """Between the first look at the store and the flight, another caller's flight may have landed."""
        record = SubjectRecord("acme", subject(), START, "id-alice")

        assert broker._mint(tenant(), identity(), record, lambda _: True, started=START, revocations=0) == held
        assert qlik.calls == []


class TestRejectedToken:
    def test_a_dead_one_is_dropped_and_minted_anew(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, tokens: FakeTokens
    ) -> None:
        qlik.revoked.add(held.value)

        token = broker.issue(NOW, identity(), rejected=held.token_id)

        assert token.value != held.value
        assert tokens.get(held.key) == token
        assert qlik.names() == ["whoami", "mint"]

    def test_one_that_the_tenant_accepts_is_kept(self, broker: Broker, qlik: FakeQlik, held: IssuedToken) -> None:
        """qlik-embed asks again after any failed exchange, a 429 too."""
        assert broker.issue(NOW, identity(), rejected=held.token_id) == held
        assert qlik.names() == ["whoami"]

    def test_whoever_rejects_without_end_makes_the_tenant_look_once_in_a_while(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, clock: FakeClock
    ) -> None:
        """Else one person could use up what the tenant lets the bridge ask for everybody."""
        for _ in range(50):
            assert broker.issue(NOW, identity(), rejected=held.token_id) == held
        assert qlik.names() == ["whoami"] * LOOKS

        clock.advance(REPLACE_EVERY_S)
        broker.issue(NOW, identity(), rejected=held.token_id)
        assert qlik.names() == ["whoami"] * (LOOKS + 1)

    @pytest.mark.parametrize(
        "answer",
        [
            TenantRefused(status=403),
            TenantRefused(status=404),
            TenantThrottled(retry_after_s=9),
            TenantUnavailable(),
            TenantTimeout(),
            TenantGarbled(),
        ],
        ids=lambda each: f"{each.code()}-{getattr(each, 'status', '')}",
    )
    def test_any_answer_but_401_keeps_it(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, answer: TenantError
    ) -> None:
        qlik.fail["whoami"] = [answer]

        assert broker.issue(NOW, identity(), rejected=held.token_id) == held
        assert qlik.names() == ["whoami"]

    @pytest.mark.parametrize("rejected", ["", "unknown", "fake-token-1"])
    def test_an_unknown_id_asks_nobody(self, broker: Broker, qlik: FakeQlik, held: IssuedToken, rejected: str) -> None:
        assert broker.issue(NOW, identity(), rejected=rejected) == held
        assert qlik.calls == []

    def test_somebody_elses_id_does_not_end_their_token(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken
    ) -> None:
        broker.issue(NOW, identity("bob"))
        qlik.revoked.add(held.value)
        qlik.calls.clear()

        broker.issue(NOW, identity("bob"), rejected=held.token_id)

        assert qlik.calls == []

    def test_a_person_gets_a_replacement_once_a_minute(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, clock: FakeClock
    ) -> None:
        qlik.revoked.add(held.value)
        second = broker.issue(NOW, identity(), rejected=held.token_id)
        qlik.revoked.add(second.value)
        clock.advance(REPLACE_EVERY_S - 1)
        qlik.calls.clear()

        assert broker.issue(NOW, identity(), rejected=second.token_id) == second
        assert qlik.calls == []

        clock.advance(1)
        assert broker.issue(NOW, identity(), rejected=second.token_id) != second
        assert qlik.names() == ["whoami", "mint"]

    def test_another_person_has_a_minute_of_their_own(self, broker: Broker, qlik: FakeQlik, held: IssuedToken) -> None:
        other = broker.issue(NOW, identity("bob"))
        qlik.revoked |= {held.value, other.value}

        assert broker.issue(NOW, identity(), rejected=held.token_id) != held
        assert broker.issue(NOW, identity("bob"), rejected=other.token_id) != other

    def test_a_dead_one_is_never_the_last_resort(self, broker: Broker, qlik: FakeQlik, held: IssuedToken) -> None:
        qlik.revoked.add(held.value)
        qlik.fail["mint"] = [TenantTimeout()]

        with pytest.raises(TenantTimeout):
            broker.issue(NOW, identity(), rejected=held.token_id)

        assert broker.issue(NOW, identity()).value != held.value

    def test_a_dead_one_that_could_not_be_dropped_is_dropped_the_next_time(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, tokens: FakeTokens
    ) -> None:
        """A database that is away for a moment must not hand out a dead token for the whole minute."""
        qlik.revoked.add(held.value)
        qlik.before["whoami"] = lambda: setattr(tokens, "broken", True)
        with pytest.raises(StoreError):
            broker.issue(NOW, identity(), rejected=held.token_id)
        qlik.before.clear()
        tokens.broken = False

        assert broker.issue(NOW, identity(), rejected=held.token_id).value != held.value

    def test_many_rejections_at_once_mint_once(self, broker: Broker, qlik: FakeQlik, held: IssuedToken) -> None:
        qlik.revoked.add(held.value)
        all_looked = threading.Barrier(4)

        def wait_for_all() -> None:
            all_looked.wait(LONG_S)

        qlik.before["whoami"] = wait_for_all

        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(broker.issue, NOW, identity(), rejected=held.token_id) for _ in range(4)]
            tokens = {each.result(LONG_S) for each in asked}

        assert len(tokens) == 1
        assert held not in tokens
        assert qlik.names().count("mint") == 1


class TestRefusedMint:
    @pytest.fixture
    def remembered(self, held: IssuedToken, tokens: FakeTokens, clock: FakeClock) -> None:
        """A sync that is remembered from an hour ago, and no token."""
        tokens.drop(held)
        clock.advance(3600)

    @pytest.mark.usefixtures("remembered")
    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_on_a_remembered_sync_is_worth_one_fresh_sync(self, broker: Broker, qlik: FakeQlik, status: int) -> None:
        qlik.fail["mint"] = [TenantRefused(status=status)]

        token = broker.issue(NOW, identity())

        assert qlik.names() == ["mint", "log_in", "mint"]
        assert qlik.tokens[token.value].subject == "alice"

    @pytest.mark.usefixtures("remembered")
    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_twice_means_that_the_subject_is_not_provisioned(self, broker: Broker, qlik: FakeQlik, status: int) -> None:
        qlik.fail["mint"] = [
            TenantRefused(status=status, detail="first"),
            TenantRefused(status=status, detail="second"),
        ]

        with pytest.raises(SubjectNotProvisioned) as refusal:
            broker.issue(NOW, identity())

        assert refusal.value.detail == "second"
        assert qlik.names() == ["mint", "log_in", "mint"]

    def test_right_after_a_sync_says_so_at_once(self, broker: Broker, qlik: FakeQlik) -> None:
        qlik.fail["mint"] = [TenantRefused(status=404)]

        with pytest.raises(SubjectNotProvisioned):
            broker.issue(NOW, identity())

        assert qlik.names() == ["log_in", "mint"]

    @pytest.mark.usefixtures("remembered")
    def test_a_user_who_was_deleted_and_made_anew_gets_a_token_of_the_new_one(
        self, broker: Broker, qlik: FakeQlik
    ) -> None:
        qlik.fail["mint"] = [TenantRefused(status=404)]
        qlik.users["alice"] = QlikUser("id-new", "alice", frozenset())

        broker.issue(NOW, identity())

        assert qlik.calls == [("mint", "acme", "id-alice"), ("log_in", "acme", "alice"), ("mint", "acme", "id-new")]

    @pytest.mark.usefixtures("remembered")
    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_a_client_that_may_not_ask_is_named_without_a_sync(
        self, broker: Broker, qlik: FakeQlik, status: int
    ) -> None:
        qlik.fail["mint"] = [TenantRefused(status=status, upstream_code="OAUTH-14")]

        with pytest.raises(TenantRefused):
            broker.issue(NOW, identity())

        assert qlik.names() == ["mint"]

    @pytest.mark.usefixtures("remembered")
    def test_a_client_that_got_another_secret_meanwhile_is_tried_with_that_one(
        self, broker: Broker, qlik: FakeQlik, tenants: FakeTenants
    ) -> None:
        """The old secret was removed while a request that had read it was on its way."""
        tenants.states["acme"] = state(Stage.OAUTH, issuing_client={**CLIENT, "secret": "hush-newer"})
        qlik.fail["mint"] = [TenantRefused(status=401, upstream_code="OAUTH-14")]

        token = broker.issue(NOW, identity())

        assert qlik.names() == ["mint", "mint"]
        assert token.key == NOW.tenant.token_key("alice")

    @pytest.mark.usefixtures("remembered")
    def test_no_token_is_minted_for_another_host_than_was_asked_for(
        self, broker: Broker, qlik: FakeQlik, tenants: FakeTenants
    ) -> None:
        newer = {**CLIENT, "secret": "hush-newer"}
        tenants.states["acme"] = state(Stage.OAUTH, host="https://other.example.com", issuing_client=newer)
        qlik.fail["mint"] = [TenantRefused(status=401, upstream_code="OAUTH-14")]

        with pytest.raises(TenantRefused):
            broker.issue(NOW, identity())

        assert qlik.names() == ["mint"]

    @pytest.mark.usefixtures("remembered")
    @pytest.mark.parametrize("status", [402, 405, 409, 415, 422])
    def test_other_refusals_are_not_about_the_subject(self, broker: Broker, qlik: FakeQlik, status: int) -> None:
        qlik.fail["mint"] = [TenantRefused(status=status)]

        with pytest.raises(TenantRefused):
            broker.issue(NOW, identity())

        assert qlik.names() == ["mint"]

    @pytest.mark.usefixtures("remembered")
    def test_a_fresh_sync_that_fails_gives_no_token(self, broker: Broker, qlik: FakeQlik) -> None:
        """The tenant may have deleted the user: what was good before does not count any more."""
        qlik.fail["mint"] = [TenantRefused(status=404)]
        qlik.fail["log_in"] = [TenantTimeout()]

        with pytest.raises(TenantTimeout):
            broker.issue(NOW, identity())

        assert qlik.names() == ["mint", "log_in"]

    def test_an_old_token_is_no_answer_for_somebody_who_is_refused(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, clock: FakeClock
    ) -> None:
        leave(held, MIN_LIFE_S - 1, clock)
        qlik.fail["mint"] = [TenantRefused(status=403)] * 2

        with pytest.raises(SubjectNotProvisioned):
            broker.issue(NOW, identity())


class TestLastResort:
    @pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.code())
    def test_an_old_token_with_life_left_is_better_than_none(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, clock: FakeClock, failure: BridgeError
    ) -> None:
        leave(held, LAST_RESORT_LIFE_S, clock)
        qlik.fail["mint"] = [failure]

        assert broker.issue(NOW, identity()) == held

    def test_with_less_life_the_failure_is_the_answer(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, clock: FakeClock
    ) -> None:
        leave(held, LAST_RESORT_LIFE_S - 1, clock)
        qlik.fail["mint"] = [TenantThrottled(retry_after_s=9)]

        with pytest.raises(TenantThrottled) as refusal:
            broker.issue(NOW, identity())

        assert refusal.value.retry_after_s == 9

    def test_without_a_token_too(self, broker: Broker, qlik: FakeQlik) -> None:
        qlik.fail["mint"] = [TenantThrottled(retry_after_s=9)]

        with pytest.raises(TenantThrottled):
            broker.issue(NOW, identity())

    def test_a_token_that_was_revoked_meanwhile_is_not_served(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, clock: FakeClock
    ) -> None:
        leave(held, MIN_LIFE_S - 1, clock)

        def sign_out() -> None:
            broker.revoke(sub="alice")

        qlik.before["mint"] = sign_out
        qlik.fail["mint"] = [TenantTimeout()]

        with pytest.raises(TenantTimeout):
            broker.issue(NOW, identity())


class TestStore:
    @pytest.mark.usefixtures("held")
    def test_a_store_that_is_away_costs_no_call(self, broker: Broker, qlik: FakeQlik, tokens: FakeTokens) -> None:
        tokens.broken = True

        with pytest.raises(StoreError):
            broker.issue(NOW, identity())

        assert qlik.calls == []

    def test_a_token_that_cannot_be_kept_is_not_handed_out(
        self, broker: Broker, qlik: FakeQlik, tokens: FakeTokens
    ) -> None:
        """It could not be revoked later."""
        qlik.before["mint"] = lambda: setattr(tokens, "broken", True)
        with pytest.raises(StoreError):
            broker.issue(NOW, identity())
        qlik.before.clear()
        tokens.broken = False

        assert broker.issue(NOW, identity()).value == "fake-token-2"


class TestShortLives:
    def test_a_token_that_lives_briefly_is_reused_up_to_its_last_quarter(
        self, broker: Broker, qlik: FakeQlik, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fakes.TOKEN_LIFE_S", 400)
        for wait_s, mints in ((0, 1), (200, 1), (99, 1), (2, 2)):
            clock.advance(wait_s)
            broker.issue(NOW, identity())

            assert qlik.names().count("mint") == mints


class TestRevoke:
    def revoked(self, metrics: Metrics, outcome: str) -> float:
        labels = {"tenant": "acme", "outcome": outcome}
        return metrics.registry.get_sample_value("bridge_revocations_total", labels) or 0

    def test_ends_the_token_at_the_tenant_and_here(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, tokens: FakeTokens, metrics: Metrics
    ) -> None:
        assert broker.revoke(tenant="acme", sub="alice") == Revocations(revoked=1, failed=0)

        assert qlik.calls == [("revoke", "acme", held.value)]
        assert (tokens.rows, tokens.doomed) == ({}, {})
        assert self.revoked(metrics, "ok") == 1

    def test_leaves_other_people_and_tenants_alone(self, broker: Broker, held: IssuedToken) -> None:
        bob = broker.issue(NOW, identity("bob"))
        elsewhere = broker.issue(state(slug="globex"), identity())

        broker.revoke(tenant="acme", sub="alice")

        assert broker.issue(NOW, identity("bob")) == bob
        assert broker.issue(state(slug="globex"), identity()) == elsewhere
        assert broker.issue(NOW, identity()) != held

    @pytest.mark.parametrize(
        ("chosen", "count"), [({"sub": "alice"}, 2), ({"tenant": "acme"}, 2), ({}, 3), ({"sub": "nobody"}, 0)]
    )
    @pytest.mark.usefixtures("held")
    def test_takes_all_that_match(self, broker: Broker, chosen: dict[str, str], count: int) -> None:
        broker.issue(NOW, identity("bob"))
        broker.issue(state(slug="globex"), identity())

        assert broker.revoke(**chosen) == Revocations(count, 0)

    @pytest.mark.parametrize(
        "chosen", [{"tenant": "acme", "sub": "alice"}, {"tenant": "acme"}, {"sub": "alice"}, {}], ids=str
    )
    def test_reaches_a_token_that_is_being_minted(
        self, broker: Broker, qlik: FakeQlik, tokens: FakeTokens, chosen: dict[str, str]
    ) -> None:
        """Somebody signs out while their token is on its way."""

        def sign_out() -> None:
            broker.revoke(**chosen)

        qlik.before["mint"] = sign_out

        with pytest.raises(NotSignedIn):
            broker.issue(NOW, identity())

        assert qlik.revoked == {"fake-token-1"}
        assert (tokens.rows, tokens.doomed) == ({}, {})

    @pytest.mark.parametrize("moment", ["log_in", "mint"])
    def test_reaches_the_whole_way_to_a_token(self, broker: Broker, qlik: FakeQlik, moment: str) -> None:
        def sign_out() -> None:
            broker.revoke(tenant="acme", sub="alice")

        qlik.before[moment] = sign_out

        with pytest.raises(NotSignedIn):
            broker.issue(NOW, identity())

        assert qlik.revoked == {"fake-token-1"}

    def test_of_somebody_else_does_not(self, broker: Broker, qlik: FakeQlik) -> None:
        def sign_out() -> None:
            broker.revoke(sub="bob")

        qlik.before["mint"] = sign_out

        assert broker.issue(NOW, identity()).value == "fake-token-1"

    def test_sends_no_token_to_a_host_that_did_not_mint_it(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, tenants: FakeTenants
    ) -> None:
        tenants.states["acme"] = state(Stage.OAUTH, host="https://other.example.com")

        assert broker.revoke(sub="alice") == Revocations(revoked=0, failed=1)
        assert ("revoke", "acme", held.value) not in qlik.calls

    def test_is_in_force_before_the_tenant_is_asked(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, tokens: FakeTokens
    ) -> None:
        seen: list[IssuedToken | None] = []
        qlik.before["revoke"] = lambda: seen.append(tokens.get(held.key))

        broker.revoke(sub="alice")

        assert seen == [None]

    @pytest.mark.parametrize("failure", [TenantThrottled(), TenantTimeout(), TenantRefused(status=401)], ids=repr)
    def test_a_failure_is_kept_for_the_next_try_and_the_token_never_issued_again(
        self, broker: Broker, qlik: FakeQlik, held: IssuedToken, metrics: Metrics, failure: BridgeError
    ) -> None:
        qlik.fail["revoke"] = [failure]
        assert broker.revoke(sub="alice") == Revocations(revoked=0, failed=1)
        assert self.revoked(metrics, failure.code()) == 1

        successor = broker.issue(NOW, identity())
        assert successor.value != held.value

        assert broker.revoke(sub="alice") == Revocations(revoked=2, failed=0)
        assert qlik.revoked == {held.value, successor.value}

    def test_ends_in_time(self, broker: Broker, qlik: FakeQlik, held: IssuedToken) -> None:
        left: list[float] = []
        qlik.before["revoke"] = lambda: left.append(deadline.left_s())

        broker.revoke(sub=held.key.sub)

        assert [each <= deadline.PATIENCE_S for each in left] == [True]

    def test_one_failure_does_not_stop_the_others(self, broker: Broker, qlik: FakeQlik, held: IssuedToken) -> None:
        other = broker.issue(NOW, identity("bob"))
        qlik.fail["revoke"] = [TenantTimeout()]

        assert broker.revoke(tenant="acme") == Revocations(revoked=1, failed=1)
        assert len(qlik.revoked & {held.value, other.value}) == 1

    @pytest.mark.usefixtures("held")
    def test_tokens_of_a_tenant_that_is_gone_are_forgotten(
        self, broker: Broker, qlik: FakeQlik, tenants: FakeTenants, tokens: FakeTokens
    ) -> None:
        del tenants.states["acme"]

        assert broker.revoke(sub="alice") == Revocations(revoked=1, failed=0)
        assert qlik.calls == []
        assert (tokens.rows, tokens.doomed) == ({}, {})

    def test_a_store_that_goes_away_in_between_keeps_the_token_doomed(
        self, broker: Broker, qlik: FakeQlik, tokens: FakeTokens, held: IssuedToken
    ) -> None:
        qlik.before["revoke"] = lambda: setattr(tokens, "broken", True)
        with pytest.raises(StoreError):
            broker.revoke(sub="alice")
        qlik.before.clear()
        tokens.broken = False

        assert tokens.get(held.key) is None
        assert broker.revoke(sub="alice") == Revocations(revoked=1, failed=0)


PEOPLE = ("alice", "Alice", "o'neil\"\\")
STEPS = st.one_of(
    st.tuples(st.just("issue"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("regroup"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("reject"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("kill"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("revoke"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("wait"), st.sampled_from(["30", "61", "21500", "30000"])),
    st.tuples(st.just("throttle"), st.sampled_from(["log_in", "mint", "revoke", "whoami"])),
)


class Day:
    """A random day of one worker; after each token, checks whose it is."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.qlik = FakeQlik(self.clock)
        metrics, subjects = Metrics(), FakeSubjects()
        history = History(FakeHistory(), self.clock, metrics, secret=b"salt")
        self.broker = Broker(
            qlik=self.qlik,
            groups=GroupSync(self.qlik, Signer(FakeKeys(), self.clock), subjects, self.clock, metrics),
            rollouts=Rollouts(openfeature.get_client("nobody-answers"), metrics, may_block=False),
            tokens=FakeTokens(self.clock),
            tenants=FakeTenants(NOW),
            clock=self.clock,
            metrics=metrics,
            measures=Measures(FakeMeasures(), self.clock, metrics, secret=b"salt", history=history),
        )
        self.people: dict[str, Identity] = {sub: identity(sub, f"group of {sub}") for sub in PEOPLE}
        self.last: dict[str, IssuedToken] = {}
        self.ended: set[str] = set()

    def issue(self, sub: str, rejected: str = "") -> None:
        try:
            token = self.broker.issue(NOW, self.people[sub], rejected=rejected)
        except TenantThrottled:
            return
        assert token.key.sub == sub
        assert self.qlik.tokens[token.value].subject == sub
        assert token.value not in self.ended
        assert token.expires_at > self.clock()
        self.last[sub] = token

    def regroup(self, sub: str) -> None:
        self.people[sub] = identity(sub, f"group at {self.clock()}", at=self.clock())

    def reject(self, sub: str) -> None:
        self.issue(sub, self.last[sub].token_id if sub in self.last else "unknown")

    def kill(self, sub: str) -> None:
        if sub in self.last:
            self.qlik.revoked.add(self.last[sub].value)

    def revoke(self, sub: str) -> None:
        if sub in self.last:
            self.ended.add(self.last[sub].value)
        self.broker.revoke(sub=sub)

    def wait(self, seconds: str) -> None:
        self.clock.advance(float(seconds))

    def throttle(self, call: str) -> None:
        self.qlik.fail[call] = [TenantThrottled(retry_after_s=1)]


@given(st.lists(STEPS, min_size=5, max_size=25))
@settings(max_examples=60, deadline=None)
def test_people_on_one_worker_never_get_each_others_tokens(steps: list[tuple[str, str]]) -> None:
    day = Day()
    for step, what in steps:
        getattr(day, step)(what)


class TestMeasures:
    """What guardrails learn from issuing."""

    @pytest.fixture
    def tally(self, measures: Measures, measured: FakeMeasures) -> Callable[[], dict[str, int]]:
        def told() -> dict[str, int]:
            measures.flush()
            found = measured.tallies({"acme"}, 0).get("acme", {})
            return {name: count for name, count in found.items() if not name.startswith("took")}

        return told

    def test_an_issue_and_its_failure(
        self, broker: Broker, qlik: FakeQlik, tally: Callable[[], dict[str, int]]
    ) -> None:
        broker.issue(NOW, identity())
        qlik.fail["log_in"] = [TenantTimeout()]
        with pytest.raises(TenantTimeout):
            broker.issue(NOW, identity("bob"))

        assert tally() == {"asked": 2, "not_issued": 1}

    def test_who_is_still_on_jwt_asked_for_nothing(self, broker: Broker, tally: Callable[[], dict[str, int]]) -> None:
        with pytest.raises(StillOnJwt):
            broker.issue(state(Stage.LEGACY), identity())

        assert tally() == {}

    def test_a_renewal_that_fails_is_noted_though_the_old_token_serves(
        self,
        broker: Broker,
        qlik: FakeQlik,
        held: IssuedToken,
        clock: FakeClock,
        tally: Callable[[], dict[str, int]],
    ) -> None:
        leave(held, 500, clock)
        qlik.fail["mint"] = [TenantTimeout()]
        assert broker.issue(NOW, identity()).token_id == held.token_id

        assert tally() == {"asked": 1, "renewed": 1, "not_renewed": 1}

    def test_a_renewal_that_works(
        self, broker: Broker, held: IssuedToken, clock: FakeClock, tally: Callable[[], dict[str, int]]
    ) -> None:
        leave(held, 500, clock)
        assert broker.issue(NOW, identity()).token_id != held.token_id

        assert tally() == {"asked": 1, "renewed": 1}

    def test_a_token_that_the_tenant_refuses(
        self,
        broker: Broker,
        qlik: FakeQlik,
        held: IssuedToken,
        tally: Callable[[], dict[str, int]],
    ) -> None:
        broker.issue(NOW, identity(), rejected=held.token_id)
        assert tally() == {"asked": 1}

        qlik.revoked.add(held.value)
        broker.issue(NOW, identity(), rejected=held.token_id)
        assert tally() == {"asked": 1, "rejected": 1}


def test_a_token_that_no_key_opens_cannot_be_ended_at_the_tenant_and_is_counted(
    broker: Broker, qlik: FakeQlik, tokens: FakeTokens, held: IssuedToken
) -> None:
    tokens.put(replace(held, value=""))

    assert broker.revoke(tenant="acme") == Revocations(revoked=0, failed=1)
    assert qlik.calls == []
    assert tokens.get(held.key) is None
