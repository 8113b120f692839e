"""Manners towards a tenant."""

from collections.abc import Callable

import pytest
from fakes import FakeClock, FakeQlik
from samples import tenant

from bridge.errors import (
    BridgeError,
    TenantGarbled,
    TenantRefused,
    TenantThrottled,
    TenantTimeout,
    TenantUnavailable,
)
from bridge.model import QlikUser, Tenant
from bridge.services.gate import FAILURES_BEFORE_PAUSE, PAUSE_S, GatedQlik
from bridge.telemetry import Metrics

ACME, GLOBEX = tenant("acme"), tenant("globex")
CALLS: dict[str, Callable[[GatedQlik, Tenant], object]] = {
    "log_in": lambda gate, to: gate.log_in(to, lambda: "alice"),
    "mint": lambda gate, to: gate.mint(to, "id-alice"),
    "revoke": lambda gate, to: gate.revoke(to, "fake-token-1"),
    "whoami": lambda gate, to: gate.whoami(to, "fake-token-1"),
    "auto_creates_groups": lambda gate, to: gate.auto_creates_groups(to),
}
TIER_2 = ["log_in", "mint", "revoke"]
TIER_1 = ["whoami", "auto_creates_groups"]
REPEATABLE = ["mint", "revoke", "whoami", "auto_creates_groups"]


@pytest.fixture
def gate(qlik: FakeQlik, clock: FakeClock, metrics: Metrics) -> GatedQlik:
    qlik.mint(ACME, "id-alice")
    qlik.calls.clear()
    return GatedQlik(qlik, clock, metrics)


def call(gate: GatedQlik, name: str, to: Tenant = ACME) -> object:
    return CALLS[name](gate, to)


def fail(gate: GatedQlik, qlik: FakeQlik, error: BridgeError, times: int = 1) -> None:
    """Let so many logins fail; a login is never repeated, so each is one failure."""
    qlik.fail["log_in"] += [error] * times
    for _ in range(times):
        with pytest.raises(type(error)):
            call(gate, "log_in")
    qlik.calls.clear()


def pause(gate: GatedQlik, qlik: FakeQlik) -> None:
    fail(gate, qlik, TenantUnavailable(), FAILURES_BEFORE_PAUSE)


def test_answers_pass_through(gate: GatedQlik, qlik: FakeQlik) -> None:
    qlik.auto_creates = False

    assert gate.log_in(ACME, lambda: "alice") == QlikUser("id-alice", "alice", frozenset())
    assert gate.mint(ACME, "id-alice").value == "fake-token-2"
    assert gate.whoami(ACME, "fake-token-2").subject == "alice"
    assert gate.auto_creates_groups(ACME) is False
    gate.revoke(ACME, "fake-token-2")
    assert qlik.revoked == {"fake-token-2"}


class TestRetryAfter:
    @pytest.mark.parametrize("throttled", TIER_2)
    @pytest.mark.parametrize("name", TIER_2)
    def test_one_429_closes_logins_and_tokens_together(
        self, gate: GatedQlik, qlik: FakeQlik, throttled: str, name: str
    ) -> None:
        qlik.fail[throttled] = [TenantThrottled(retry_after_s=42)]
        with pytest.raises(TenantThrottled):
            call(gate, throttled)
        qlik.calls.clear()

        with pytest.raises(TenantThrottled) as refusal:
            call(gate, name)

        assert refusal.value.retry_after_s == 42
        assert qlik.calls == []

    @pytest.mark.parametrize("name", TIER_1)
    def test_reads_have_a_tier_of_their_own(self, gate: GatedQlik, qlik: FakeQlik, name: str) -> None:
        fail(gate, qlik, TenantThrottled(retry_after_s=42))

        call(gate, name)

        assert qlik.names() == [name]

    @pytest.mark.parametrize("throttled", TIER_1)
    def test_a_429_to_a_read_closes_reads_alone(self, gate: GatedQlik, qlik: FakeQlik, throttled: str) -> None:
        qlik.fail[throttled] = [TenantThrottled(retry_after_s=42)]
        with pytest.raises(TenantThrottled):
            call(gate, throttled)

        call(gate, "mint")
        for name in TIER_1:
            with pytest.raises(TenantThrottled):
                call(gate, name)

        assert qlik.names() == [throttled, "mint"]

    def test_another_tenant_stays_open(self, gate: GatedQlik, qlik: FakeQlik) -> None:
        fail(gate, qlik, TenantThrottled(retry_after_s=42))

        call(gate, "log_in", GLOBEX)

        assert qlik.calls == [("log_in", "globex", "alice")]

    def test_the_tier_opens_when_retry_after_has_passed(
        self, gate: GatedQlik, qlik: FakeQlik, clock: FakeClock
    ) -> None:
        fail(gate, qlik, TenantThrottled(retry_after_s=42))
        clock.advance(41.5)
        with pytest.raises(TenantThrottled) as refusal:
            call(gate, "mint")
        assert refusal.value.retry_after_s == pytest.approx(0.5)

        clock.advance(0.5)
        call(gate, "mint")

        assert qlik.names() == ["mint"]

    @pytest.mark.parametrize("retry_after_s", [None, 0])
    def test_a_429_without_a_wait_closes_the_tier_for_a_second(
        self, gate: GatedQlik, qlik: FakeQlik, clock: FakeClock, retry_after_s: float | None
    ) -> None:
        fail(gate, qlik, TenantThrottled(retry_after_s=retry_after_s))
        clock.advance(0.9)
        with pytest.raises(TenantThrottled):
            call(gate, "mint")

        clock.advance(0.1)
        call(gate, "mint")

        assert qlik.names() == ["mint"]

    def test_a_shorter_wait_of_a_call_on_its_way_does_not_shorten_the_longer_one(
        self, gate: GatedQlik, qlik: FakeQlik, clock: FakeClock
    ) -> None:
        def throttle_another_call_first() -> None:
            qlik.before.clear()
            fail(gate, qlik, TenantThrottled(retry_after_s=300))

        qlik.before["mint"] = throttle_another_call_first
        qlik.fail["mint"] = [TenantThrottled(retry_after_s=5)]
        with pytest.raises(TenantThrottled):
            call(gate, "mint")
        clock.advance(6)

        with pytest.raises(TenantThrottled) as refusal:
            call(gate, "mint")

        assert refusal.value.retry_after_s == 294


class TestPause:
    @pytest.mark.parametrize("error", [TenantUnavailable(), TenantTimeout()])
    def test_five_failures_in_a_row_pause_the_tenant(self, gate: GatedQlik, qlik: FakeQlik, error: BridgeError) -> None:
        fail(gate, qlik, error, FAILURES_BEFORE_PAUSE)

        for name in CALLS:
            with pytest.raises(TenantUnavailable) as refusal:
                call(gate, name)
            assert refusal.value.retry_after_s == PAUSE_S

        assert qlik.calls == []

    def test_four_do_not(self, gate: GatedQlik, qlik: FakeQlik) -> None:
        fail(gate, qlik, TenantUnavailable(), FAILURES_BEFORE_PAUSE - 1)

        call(gate, "mint")

        assert qlik.names() == ["mint"]

    def test_another_tenant_goes_on(self, gate: GatedQlik, qlik: FakeQlik) -> None:
        pause(gate, qlik)

        call(gate, "mint", GLOBEX)

        assert qlik.names() == ["mint"]

    @pytest.mark.parametrize("answer", [None, TenantRefused(status=401), TenantGarbled()])
    def test_an_answer_of_any_kind_breaks_the_row(
        self, gate: GatedQlik, qlik: FakeQlik, answer: BridgeError | None
    ) -> None:
        fail(gate, qlik, TenantUnavailable(), FAILURES_BEFORE_PAUSE - 1)
        if answer:
            fail(gate, qlik, answer)
        else:
            call(gate, "log_in")
        fail(gate, qlik, TenantUnavailable(), FAILURES_BEFORE_PAUSE - 1)

        call(gate, "mint")

        assert qlik.names() == ["mint"]

    def test_after_the_pause_one_caller_tries_while_the_others_wait(
        self, gate: GatedQlik, qlik: FakeQlik, clock: FakeClock
    ) -> None:
        pause(gate, qlik)
        clock.advance(PAUSE_S)
        others: list[float | None] = []

        def another_caller() -> None:
            qlik.before.clear()
            with pytest.raises(TenantUnavailable) as refusal:
                call(gate, "whoami")
            others.append(refusal.value.retry_after_s)

        qlik.before["mint"] = another_caller
        call(gate, "mint")

        assert others == [PAUSE_S]
        assert qlik.names() == ["mint"]

    def test_a_late_failure_of_a_call_on_its_way_does_not_lengthen_the_pause(
        self, gate: GatedQlik, qlik: FakeQlik, clock: FakeClock
    ) -> None:
        def pause_meanwhile() -> None:
            qlik.before.clear()
            pause(gate, qlik)
            clock.advance(PAUSE_S - 1)

        qlik.before["mint"] = pause_meanwhile
        qlik.fail["mint"] = [TenantTimeout()]
        with pytest.raises(TenantTimeout):
            call(gate, "mint")
        clock.advance(1)

        call(gate, "whoami")

        assert qlik.names() == ["whoami"]

    def test_a_good_trial_opens_the_tenant_and_forgets_the_row(
        self, gate: GatedQlik, qlik: FakeQlik, clock: FakeClock
    ) -> None:
        pause(gate, qlik)
        clock.advance(PAUSE_S)
        call(gate, "log_in")
        fail(gate, qlik, TenantUnavailable(), FAILURES_BEFORE_PAUSE - 1)

        call(gate, "whoami")

        assert qlik.names() == ["whoami"]

    def test_a_failed_trial_pauses_again_and_is_not_repeated(
        self, gate: GatedQlik, qlik: FakeQlik, clock: FakeClock
    ) -> None:
        pause(gate, qlik)
        clock.advance(PAUSE_S)
        qlik.fail["mint"] = [TenantUnavailable(), TenantUnavailable()]

        with pytest.raises(TenantUnavailable):
            call(gate, "mint")
        clock.advance(PAUSE_S - 1)
        with pytest.raises(TenantUnavailable) as refusal:
            call(gate, "whoami")

        assert refusal.value.retry_after_s == 1
        assert qlik.names() == ["mint"]

    def test_a_closed_tier_does_not_use_up_the_trial(self, gate: GatedQlik, qlik: FakeQlik, clock: FakeClock) -> None:
        fail(gate, qlik, TenantThrottled(retry_after_s=60))
        qlik.fail["whoami"] = [TenantTimeout()] * FAILURES_BEFORE_PAUSE
        for _ in range(FAILURES_BEFORE_PAUSE):
            with pytest.raises(TenantTimeout):
                call(gate, "whoami")
        clock.advance(PAUSE_S)

        with pytest.raises(TenantThrottled):
            call(gate, "mint")
        call(gate, "auto_creates_groups")

        assert qlik.names()[-1] == "auto_creates_groups"


class TestRepetition:
    @pytest.mark.parametrize("name", REPEATABLE)
    def test_safe_calls_are_repeated_once(self, gate: GatedQlik, qlik: FakeQlik, name: str) -> None:
        qlik.fail[name] = [TenantUnavailable()]

        call(gate, name)

        assert qlik.names() == [name, name]

    @pytest.mark.parametrize("name", REPEATABLE)
    def test_and_no_more_than_once(self, gate: GatedQlik, qlik: FakeQlik, name: str) -> None:
        qlik.fail[name] = [TenantUnavailable()] * 3

        with pytest.raises(TenantUnavailable):
            call(gate, name)

        assert qlik.names() == [name, name]

    def test_a_login_never_is_because_its_jwt_is_spent(self, gate: GatedQlik, qlik: FakeQlik) -> None:
        qlik.fail["log_in"] = [TenantUnavailable()]

        with pytest.raises(TenantUnavailable):
            call(gate, "log_in")

        assert qlik.names() == ["log_in"]

    @pytest.mark.parametrize("name", REPEATABLE)
    @pytest.mark.parametrize(
        "error",
        [
            TenantUnavailable(retry_after_s=3),
            TenantUnavailable(retry_after_s=0),
            TenantTimeout(),
            TenantRefused(status=400),
            TenantThrottled(retry_after_s=3),
            TenantGarbled(),
        ],
        ids=lambda error: f"{error.code()}-{error.retry_after_s}",
    )
    def test_what_says_wait_or_no_is_not_repeated(
        self, gate: GatedQlik, qlik: FakeQlik, name: str, error: BridgeError
    ) -> None:
        qlik.fail[name] = [error]

        with pytest.raises(type(error)):
            call(gate, name)

        assert qlik.names() == [name]


class TestMetrics:
    def upstream(self, metrics: Metrics, name: str, outcome: str) -> float | None:
        labels = {"tenant": "acme", "call": name, "outcome": outcome}
        return metrics.registry.get_sample_value("bridge_upstream_calls_total", labels)

    def test_each_attempt_is_counted_by_outcome(self, gate: GatedQlik, qlik: FakeQlik, metrics: Metrics) -> None:
        qlik.fail["mint"] = [TenantUnavailable()]
        call(gate, "mint")
        call(gate, "auto_creates_groups")
        fail(gate, qlik, TenantRefused(status=403))

        assert self.upstream(metrics, "mint", "tenant_unavailable") == 1
        assert self.upstream(metrics, "mint", "ok") == 1
        assert self.upstream(metrics, "group_settings", "ok") == 1
        assert self.upstream(metrics, "log_in", "tenant_refused") == 1
        seconds = {"tenant": "acme", "call": "mint"}
        assert metrics.registry.get_sample_value("bridge_upstream_seconds_count", seconds) == 2

    def test_what_was_never_sent_is_not_counted(self, gate: GatedQlik, qlik: FakeQlik, metrics: Metrics) -> None:
        fail(gate, qlik, TenantThrottled(retry_after_s=42))
        with pytest.raises(TenantThrottled):
            call(gate, "log_in")

        assert self.upstream(metrics, "log_in", "tenant_throttled") == 1

    def test_a_bug_below_is_not_counted_as_success(self, gate: GatedQlik, qlik: FakeQlik, metrics: Metrics) -> None:
        qlik.fail["mint"] = [KeyError("a bug")]
        with pytest.raises(KeyError):
            call(gate, "mint")

        assert self.upstream(metrics, "mint", "ok") is None
        assert self.upstream(metrics, "mint", "internal_error") == 1


def test_a_question_that_was_throttled_during_a_login_closes_its_own_tier(gate: GatedQlik, qlik: FakeQlik) -> None:
    qlik.fail["log_in"] = [TenantThrottled(retry_after_s=42, tier=1)]
    with pytest.raises(TenantThrottled):
        gate.log_in(tenant(), lambda: "jwt")

    assert gate.mint(tenant(), "id-alice").value
    with pytest.raises(TenantThrottled):
        gate.whoami(tenant(), "token")
    with pytest.raises(TenantThrottled):
        gate.log_in(tenant(), lambda: "jwt")
