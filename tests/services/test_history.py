"""What is noted of a tenant's history, what a look back shows, and how often somebody looks how tenants stand."""

import pytest
from fakes import FakeClock, FakeHistory, FakeJwtUses, FakeParity, FakeTenants
from samples import state

from bridge.errors import StillOnJwt, StoreError, SubjectNotProvisioned, TenantTimeout
from bridge.evidence import ParityResult
from bridge.history import DAY_S, HOUR_S, KEPT_S, PathShare, Series, Span, Trouble
from bridge.model import Path, Stage
from bridge.services.history import History
from bridge.services.measures import Measures
from bridge.services.standings import EVERY_S, Standings
from bridge.telemetry import Metrics
from bridge.trail import JwtUse, Whence


def now_of(history: History, clock: FakeClock, span: Span = Span.DAY) -> dict[Series, int | None]:
    """Return the newest slot of a look back."""
    found = history.look_back("acme", span, clock())
    return {series: values[-1] for series, values in found.values.items()}


def test_an_issue_is_noted_by_its_outcome(measures: Measures, history: History, clock: FakeClock) -> None:
    for sub in ("alice", "alice", "bob"):
        with measures.issuing("acme", sub):
            pass
    for error in (TenantTimeout(), SubjectNotProvisioned(), StoreError(), StillOnJwt()):
        with pytest.raises(type(error)), measures.issuing("acme", "carol"):
            raise error
    measures.note_rejection("acme", "bob")
    history.flush()

    found = now_of(history, clock)
    assert (found[Series.ISSUED], found[Series.NOT_ISSUED], found[Series.REJECTED]) == (3, 2, 1)
    assert (found[Series.OAUTH_PEOPLE], found[Series.JWT_PEOPLE]) == (2, 0)


def test_calls_and_their_429s(measures: Measures, history: History, clock: FakeClock) -> None:
    for throttled in (False, True, False):
        measures.note_call("acme", throttled)
    history.flush()

    assert (now_of(history, clock)[Series.CALLS], now_of(history, clock, Span.MONTH)[Series.THROTTLED]) == (3, 1)


def test_a_look_back_has_a_value_for_every_slot(history: History, clock: FakeClock) -> None:
    """Where nothing is known there is no zero."""
    clock.advance(HOUR_S - clock() % HOUR_S)
    history.note("acme", Series.CALLS)
    history.flush()
    clock.advance(3 * HOUR_S)
    history.note_trouble("acme", "store_error")
    history.flush()

    found = history.look_back("acme", Span.DAY, clock() + 5)
    assert (len(found.starts), found.starts[-1], found.starts[0]) == (24, clock(), clock() - 23 * HOUR_S)
    assert found.values[Series.CALLS] == [*[None] * 20, 1, None, None, 0]
    assert found.values[Series.PROVEN] == [None] * 24
    assert len(history.look_back("acme", Span.MONTH, clock()).starts) == 30


def test_nobody_counts_twice_in_an_hour_or_a_day(
    history: History, kept: FakeHistory, clock: FakeClock, metrics: Metrics
) -> None:
    clock.advance(DAY_S - clock() % DAY_S)
    other = History(kept, clock, metrics, secret=b"salt")
    for _ in range(3):
        for each in (history, other):
            each.note_person("acme", Path.OAUTH, "alice")
            each.flush()
        clock.advance(HOUR_S / 2)

    assert [n for n in history.look_back("acme", Span.DAY, clock()).values[Series.OAUTH_PEOPLE] if n] == [1, 1]
    assert now_of(history, clock, Span.MONTH)[Series.OAUTH_PEOPLE] == 1
    assert not any("alice" in part for row in kept.people for part in map(str, row))


def test_shares_of_today(history: History, clock: FakeClock) -> None:
    clock.advance(DAY_S - clock() % DAY_S)
    for sub in ("alice", "bob", "carol"):
        history.note_person("acme", Path.OAUTH, sub)
    history.note_person("acme", Path.JWT, "dan")
    history.flush()

    assert history.shares(["acme", "globex"]) == {"acme": PathShare(1, 3), "globex": PathShare()}
    assert (PathShare(1, 3).percent, PathShare(1, 3).people, PathShare().percent) == (75, 4, None)
    clock.advance(DAY_S)
    assert history.shares(["acme"]) == {"acme": PathShare()}


def test_troubles_of_hours_and_of_days(history: History, clock: FakeClock) -> None:
    clock.advance(DAY_S - clock() % DAY_S)
    history.note_trouble("acme", "sync_refused")
    history.flush()
    met_at = clock()
    clock.advance(KEPT_S[HOUR_S])
    history.note_trouble("acme", "sync_refused")
    history.note_trouble("acme", "store_error")
    history.flush()

    assert history.troubles("acme", clock() - HOUR_S, 1) == [Trouble("store_error", 1, clock())]
    newest, other = history.troubles("acme", met_at - 1, 9)
    assert (newest.code, other) == ("store_error", Trouble("sync_refused", 2, clock()))


def test_a_store_that_is_away_costs_notes_alone(
    history: History, kept: FakeHistory, metrics: Metrics, clock: FakeClock
) -> None:
    kept.broken = True
    history.note_person("acme", Path.JWT, "alice")
    history.note("acme", Series.CALLS)
    with pytest.raises(StoreError):
        history.flush()
    kept.broken = False
    history.note_person("acme", Path.JWT, "alice")
    history.close()

    assert metrics.registry.get_sample_value("bridge_measures_lost_total") == 2
    assert (now_of(history, clock)[Series.JWT_PEOPLE], now_of(history, clock)[Series.CALLS]) == (1, 0)


def proof(sub: str) -> ParityResult:
    return ParityResult("acme", sub, 0, 1, None, "", ())


class TestStandings:
    @pytest.fixture
    def tenants(self) -> FakeTenants:
        return FakeTenants(state(Stage.ROLLOUT), state(Stage.OAUTH, slug="globex"))

    def look(self, tenants: FakeTenants, kept: FakeHistory, clock: FakeClock) -> Standings:
        parity, uses = FakeParity(), FakeJwtUses()
        parity.keep_result(proof("alice"))
        for slug in ("acme", "globex"):
            uses.note(JwtUse(slug, "bob", Whence("", ""), clock(), clock()))
        return Standings(tenants=tenants, parity=parity, uses=uses, history=kept, clock=clock)

    def test_every_tenant_is_looked_at(
        self, tenants: FakeTenants, history: History, kept: FakeHistory, clock: FakeClock
    ) -> None:
        self.look(tenants, kept, clock).look()

        found = now_of(history, clock)
        assert (found[Series.PROVEN], found[Series.MISMATCHED], found[Series.UNPROVEN]) == (1, 0, 0)
        assert (found[Series.STRAGGLERS], found[Series.ISSUED]) == (None, 0)
        assert history.look_back("globex", Span.MONTH, clock()).values[Series.STRAGGLERS][-1] == 1

    def test_one_worker_looks_once_in_five_minutes(
        self, tenants: FakeTenants, kept: FakeHistory, clock: FakeClock
    ) -> None:
        workers = [self.look(tenants, kept, clock) for _ in range(3)]
        looked = []
        for _ in range(12):
            for each in workers:
                before = dict(kept.last_at)
                each.look()
                looked.append(kept.last_at != before)
            clock.advance(EVERY_S / 4)

        assert sum(looked) in {3, 4}

    def test_with_the_store_away_it_is_tried_again(
        self, tenants: FakeTenants, kept: FakeHistory, clock: FakeClock
    ) -> None:
        standings = self.look(tenants, kept, clock)
        kept.broken = True
        with pytest.raises(StoreError):
            standings.look()
        kept.broken = False
        standings.look()

        assert kept.cells

    def test_what_is_old_goes(
        self, tenants: FakeTenants, history: History, kept: FakeHistory, clock: FakeClock
    ) -> None:
        history.note_person("acme", Path.JWT, "alice")
        history.flush()
        clock.advance(KEPT_S[DAY_S] + 2 * DAY_S)
        standings = self.look(tenants, kept, clock)
        standings.look()
        assert kept.people  # sweeping waits for the next time
        standings.look()

        assert not kept.people
        assert {cell[3] for cell in kept.cells} == {clock() // HOUR_S * HOUR_S, clock() // DAY_S * DAY_S}
