"""Who may wait for a tenant at the same time, who is sent away, and when to come back."""

import heapq
import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from fakes import TOKEN_LIFE_S, FakeClock, FakeMeasures, FakeQlik, FakeSubjects, FakeTenants, FakeTokens
from samples import identity, state
from storykit import wait_for

from bridge.errors import BridgeBusy, TenantTimeout
from bridge.model import Stage
from bridge.ports import Qlik
from bridge.services.broker import MIN_LIFE_S, Broker, Revocations
from bridge.services.bulkhead import FIRST_GUESS_S, LONGEST_WAIT_S, SLACK, Bulkhead, take_place
from bridge.services.gate import GatedQlik
from bridge.services.measures import Measures
from bridge.telemetry import Metrics

NOW = state(Stage.OAUTH)
THREADS = 16
PLACES, FOR_ONE = 12, 6

ATTEMPTS = 5
"""So often a page asks (`embed.js`)."""

Hold = Callable[..., ExitStack]


@pytest.fixture
def tenants() -> FakeTenants:
    return FakeTenants(NOW)


@pytest.fixture
def upstream(qlik: FakeQlik, clock: FakeClock, metrics: Metrics) -> Qlik:
    return GatedQlik(qlik, clock, metrics)


@pytest.fixture
def bulkhead(metrics: Metrics, clock: FakeClock) -> Bulkhead:
    return Bulkhead(THREADS, metrics, clock=clock)


@pytest.fixture
def hold(bulkhead: Bulkhead) -> Iterator[Hold]:
    """Lets so many requests of a tenant wait; to close what comes back ends them."""

    def begin(many: int, tenant: str = "acme") -> ExitStack:
        waiting = made.enter_context(ExitStack())
        for _ in range(many):
            with ExitStack() as request:
                request.enter_context(bulkhead.seat())
                take_place(tenant)
                waiting.push(request.pop_all())
        return waiting

    with ExitStack() as made:
        yield begin


def ask(bulkhead: Bulkhead, tenant: str = "acme") -> float:
    """Come and go; return how long we are told to wait, 0 when let in."""
    try:
        with bulkhead.seat():
            take_place(tenant)
    except BridgeBusy as refusal:
        return refusal.retry_after_s or 0
    return 0


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"bridge_bulkhead_{name}", labels) or 0


@pytest.mark.parametrize(("threads", "places"), [(1, 1), (2, 1), (4, 3), (16, 12), (64, 48)])
def test_a_quarter_of_the_threads_never_waits(threads: int, places: int, clock: FakeClock) -> None:
    alone = Bulkhead(threads, Metrics(), is_alone=lambda: True, clock=clock)
    with ExitStack() as waiting:
        for _ in range(places):
            waiting.enter_context(alone.seat())
            take_place("acme")
        assert ask(alone)
    assert not ask(alone)


def test_one_tenant_has_half_and_leaves_the_rest_to_others(bulkhead: Bulkhead, hold: Hold) -> None:
    hanging = hold(FOR_ONE)
    assert ask(bulkhead)
    hold(FOR_ONE, "globex")

    assert ask(bulkhead, tenant="globex")
    assert ask(bulkhead, tenant="initech"), "all are taken now"
    hanging.close()
    assert not ask(bulkhead, tenant="initech")


def test_a_request_takes_one_place_and_gives_it_back_however_it_ends(bulkhead: Bulkhead, metrics: Metrics) -> None:
    def fail() -> None:
        with bulkhead.seat():
            for _ in range(3):
                take_place("acme")
            assert sample(metrics, "taken", tenant="acme") == 1
            raise TenantTimeout

    for _ in range(2 * PLACES):
        with pytest.raises(TenantTimeout):
            fail()
    assert sample(metrics, "taken", tenant="acme") == 0


def test_what_runs_in_the_background_needs_no_place(hold: Hold) -> None:
    hold(FOR_ONE).pop_all()
    take_place("acme")


def test_it_is_told_how_many_there_are_and_how_many_were_sent_away(
    bulkhead: Bulkhead, hold: Hold, metrics: Metrics
) -> None:
    hold(FOR_ONE)
    ask(bulkhead)
    ask(bulkhead)

    assert (sample(metrics, "size"), sample(metrics, "taken", tenant="acme")) == (PLACES, FOR_ONE)
    assert sample(metrics, "refusals_total", tenant="acme") == 2


def test_no_place_is_kept_for_who_may_never_come_back(bulkhead: Bulkhead, hold: Hold, clock: FakeClock) -> None:
    """However many were sent away: a crowd in the morning would else stand before empty places."""
    hanging = hold(FOR_ONE)
    told = [ask(bulkhead) for _ in range(1_000)]
    hanging.close()
    for _ in range(100):
        clock.advance(max(told) / 100)
        with hold(FOR_ONE):
            assert ask(bulkhead)


def test_the_wait_grows_with_those_who_wait_and_with_how_long_each_takes(
    bulkhead: Bulkhead, hold: Hold, clock: FakeClock
) -> None:
    hanging = hold(FOR_ONE)
    told = [ask(bulkhead) for _ in range(1_000)]
    assert told == sorted(told)
    assert told[0] == math.ceil(FIRST_GUESS_S * (1 + SLACK / FOR_ONE))
    assert told[4 * FOR_ONE - 1] == math.ceil(FIRST_GUESS_S * (1 + SLACK * 4))
    assert told[-1] == LONGEST_WAIT_S
    clock.advance(600)
    hanging.close()
    hold(FOR_ONE)

    assert ask(bulkhead) == LONGEST_WAIT_S, "these took ten minutes"


def test_the_line_is_shorter_than_it_was_thought_where_places_come_free_sooner(
    bulkhead: Bulkhead, hold: Hold, clock: FakeClock
) -> None:
    waiting = hold(FOR_ONE)
    assert max(ask(bulkhead) for _ in range(200)) == LONGEST_WAIT_S
    waiting.close()
    for _ in range(20):
        with bulkhead.seat():
            take_place("acme")
            clock.advance(0.05)
    clock.advance(1)
    hold(FOR_ONE)

    assert ask(bulkhead) <= 2


def test_a_tenant_that_is_not_alone_any_more_adds_no_places(clock: FakeClock, metrics: Metrics) -> None:
    alone = [True]
    bulkhead = Bulkhead(THREADS, metrics, is_alone=lambda: alone[0], clock=clock)
    for _ in range(PLACES):
        bulkhead.enter("acme")
    alone[0] = False

    assert ask(bulkhead, "globex")


@pytest.mark.parametrize("jitter", [1, 2])
@pytest.mark.parametrize("takes_s", [0.3, 0.7, 1.0])
@pytest.mark.parametrize(("workers", "threads"), [(1, 16), (2, 8)])
def test_ten_times_the_places_at_once_are_served_within_the_tries_of_a_page(
    workers: int, threads: int, takes_s: float, jitter: int
) -> None:
    """With the jitter of our pages, that doubles each time, and with half a second."""
    for seed in range(8):
        chance = random.Random(seed)  # noqa: S311 - the same crowds each time
        assert max(tries_of_a_crowd(60, workers, threads, takes_s, jitter, chance)) <= ATTEMPTS


def tries_of_a_crowd(
    people: int, workers: int, threads: int, takes_s: float, jitter: int, chance: random.Random
) -> list[int]:
    """Let people come within 0.2 s, each time to any worker, and back as told; return how often each asked."""
    clock = FakeClock(0.0)
    bulkheads = [Bulkhead(threads, Metrics(), clock=clock) for _ in range(workers)]
    tries = [0] * people
    coming = [(chance.random() / 5, who) for who in range(people)]
    leaving: list[tuple[float, int, float]] = []  # at which time, from which worker, since when
    heapq.heapify(coming)
    while coming:
        at, who = heapq.heappop(coming)
        while leaving and leaving[0][0] <= at:
            clock.now, worker, since = heapq.heappop(leaving)
            bulkheads[worker].leave("acme", since)
        clock.now, worker = at, chance.randrange(workers)
        tries[who] += 1
        try:
            since = bulkheads[worker].enter("acme")
        except BridgeBusy as refusal:
            jitter_s = chance.random() * 0.5 * jitter ** tries[who]
            heapq.heappush(coming, (at + (refusal.retry_after_s or 0) + jitter_s, who))
        else:
            heapq.heappush(leaving, (at + takes_s, worker, since))
    return tries


def issue(broker: Broker, bulkhead: Bulkhead, sub: str = "alice", rejected: str = "") -> str:
    with bulkhead.seat():
        return broker.issue(NOW, identity(sub), rejected=rejected).value


def test_who_has_a_token_is_served_while_others_wait(broker: Broker, bulkhead: Bulkhead, hold: Hold) -> None:
    first = issue(broker, bulkhead)
    hold(FOR_ONE)

    assert issue(broker, bulkhead) == first


def test_who_has_none_is_sent_away_before_anything_is_asked_or_counted(
    broker: Broker, bulkhead: Bulkhead, hold: Hold, qlik: FakeQlik, measures: Measures, measured: FakeMeasures
) -> None:
    hold(FOR_ONE)
    with pytest.raises(BridgeBusy):
        issue(broker, bulkhead)
    measures.flush()

    assert qlik.calls == []
    assert measured.tallies({"acme"}, 0) == {"acme": {"asked": 1}}, "neither a failure nor a quick answer"


def test_a_stranger_who_is_sent_away_writes_nothing(
    broker: Broker, bulkhead: Bulkhead, hold: Hold, subjects: FakeSubjects
) -> None:
    hold(FOR_ONE)
    with pytest.raises(BridgeBusy):
        issue(broker, bulkhead)

    assert subjects.rows == {}


def test_whoever_shares_anothers_attempt_takes_a_place_too(
    broker: Broker, bulkhead: Bulkhead, metrics: Metrics, qlik: FakeQlik
) -> None:
    qlik.before["mint"] = lambda: wait_for(lambda: sample(metrics, "taken", tenant="acme") == FOR_ONE)
    with ThreadPoolExecutor(FOR_ONE) as pool:
        values = list(pool.map(lambda _: issue(broker, bulkhead), range(FOR_ONE)))

    assert len(set(values)) == 1
    assert qlik.names() == ["log_in", "mint"]
    assert sample(metrics, "taken", tenant="acme") == 0


def test_an_old_token_that_lives_is_served_to_who_finds_no_place_and_that_is_no_failure(
    broker: Broker,
    bulkhead: Bulkhead,
    hold: Hold,
    clock: FakeClock,
    measures: Measures,
    measured: FakeMeasures,
) -> None:
    first = issue(broker, bulkhead)
    clock.advance(TOKEN_LIFE_S - MIN_LIFE_S / 2)
    hold(FOR_ONE)

    assert issue(broker, bulkhead) == first
    measures.flush()
    assert "not_renewed" not in measured.tallies({"acme"}, 0)["acme"]


def test_a_login_that_is_due_is_bridged_by_the_last_good_one(
    broker: Broker, bulkhead: Bulkhead, hold: Hold, clock: FakeClock, qlik: FakeQlik
) -> None:
    first = issue(broker, bulkhead)
    hold(FOR_ONE)
    with bulkhead.seat():
        again = broker.issue(state(Stage.OAUTH, sync_max_age_s=3_600), identity())
    assert again.value == first
    clock.advance(3_601)
    with bulkhead.seat():
        assert broker.issue(state(Stage.OAUTH, sync_max_age_s=3_600), identity()).value == first

    assert qlik.names() == ["log_in", "mint"]


def test_a_token_that_a_page_calls_rejected_is_not_handed_out_unseen(
    broker: Broker, bulkhead: Bulkhead, hold: Hold, qlik: FakeQlik, tokens: FakeTokens
) -> None:
    first = issue(broker, bulkhead)
    qlik.revoked.add(first)
    (kept,) = tokens.rows.values()
    waiting = hold(FOR_ONE)
    with pytest.raises(BridgeBusy):
        issue(broker, bulkhead, rejected=kept.token_id)
    waiting.close()

    assert issue(broker, bulkhead, rejected=kept.token_id) != first


def test_a_sign_out_ends_the_token_here_though_the_tenant_cannot_be_told(
    broker: Broker, bulkhead: Bulkhead, hold: Hold, tokens: FakeTokens, qlik: FakeQlik
) -> None:
    value = issue(broker, bulkhead)
    waiting = hold(FOR_ONE)
    with bulkhead.seat():
        assert broker.revoke(tenant="acme", sub="alice") == Revocations(0, 1)
    assert (tokens.rows, len(tokens.doomed), qlik.revoked) == ({}, 1, set())
    waiting.close()

    with bulkhead.seat():
        assert broker.revoke(tenant="acme", sub="alice") == Revocations(1, 0)
    assert qlik.revoked == {value}
