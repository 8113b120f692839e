"""What is noted, what reaches the store, and what it costs when it does not."""

import pytest
from fakes import FakeClock, FakeMeasures

from bridge.errors import StillOnJwt, StoreError, SubjectNotProvisioned, TenantTimeout
from bridge.guarding import Crowd
from bridge.services import measures as module
from bridge.services import noting
from bridge.services.history import History
from bridge.services.measures import Measures
from bridge.telemetry import Metrics


def tally(measured: FakeMeasures, since: float = 0) -> dict[str, int]:
    return {name: n for name, n in measured.tallies({"acme"}, since).get("acme", {}).items() if "took" not in name}


def lost(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("bridge_measures_lost_total") or 0


def test_an_issue_that_fails_is_noted_by_person(measures: Measures, measured: FakeMeasures) -> None:
    for sub in ("alice", "alice", "bob"):
        with pytest.raises(TenantTimeout), measures.issuing("acme", sub):
            raise TenantTimeout
    with measures.issuing("acme", "carol"):
        pass
    measures.flush()

    assert tally(measured) == {"asked": 3, "not_issued": 2}
    assert sum(measured.counts.values()) == 4


@pytest.mark.parametrize(("error", "counts"), [(SubjectNotProvisioned(), True), (StoreError(), False)])
def test_our_own_database_is_no_fault_of_the_path(
    measures: Measures,
    measured: FakeMeasures,
    error: Exception,
    counts: bool,  # noqa: FBT001 - reads well above
) -> None:
    with pytest.raises(type(error)), measures.issuing("acme", "alice"):
        raise error
    measures.flush()

    assert ("not_issued" in tally(measured)) is counts


def test_nobody_is_named(
    measures: Measures, measured: FakeMeasures, history: History, metrics: Metrics, clock: FakeClock
) -> None:
    measures.note_person("acme", Crowd.ASKED, "alice@example.com")
    measures.note_person("globex", Crowd.ASKED, "alice@example.com")
    measures.flush()
    elsewhere = FakeMeasures()
    other = Measures(elsewhere, clock, metrics, secret=b"another", history=history)
    other.note_person("acme", Crowd.ASKED, "alice@example.com")
    other.flush()

    digests = [key[2] for store in (measured, elsewhere) for key in store.people]
    assert len(set(digests)) == 3
    assert not any("alice" in digest for digest in digests)


def test_two_workers_name_the_same_person_alike(
    measures: Measures, measured: FakeMeasures, history: History, clock: FakeClock
) -> None:
    other = Measures(measured, clock, Metrics(), secret=b"salt", history=history)
    for each in (measures, other):
        each.note_rejection("acme", "alice")
        each.flush()

    assert tally(measured) == {"asked": 1, "rejected": 1}


def test_a_person_who_asks_often_is_written_now_and_then(
    measures: Measures, measured: FakeMeasures, clock: FakeClock
) -> None:
    written = []
    for _ in range(40):
        measures.note_person("acme", Crowd.ASKED, "alice")
        measures.flush()
        written.append(next(iter(measured.people.values())))
        clock.advance(1)

    assert len(set(written)) == 3


def test_who_was_told_is_remembered_of_the_last_alone(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noting, "MOST_NOTED", 2)
    told: list[str] = []
    notebook = noting.Notebook[tuple[str]](
        lambda notes: told.extend(name for (name,) in notes.people), clock, Metrics(), again_after_s=60
    )
    for name in ("alice", "bob", "carol", "carol", "bob", "alice"):
        notebook.person((name,))
        notebook.tell()
    clock.advance(-3600)  # a clock that is set back keeps nobody waiting
    notebook.person(("alice",))
    notebook.tell()

    assert told == ["alice", "bob", "carol", "alice", "alice"]


def test_a_store_that_is_away_costs_counts_alone(measures: Measures, measured: FakeMeasures, metrics: Metrics) -> None:
    measured.broken = True
    measures.note_person("acme", Crowd.ASKED, "alice")
    measures.note_call("acme", True)
    with pytest.raises(StoreError):
        measures.flush()
    measured.broken = False
    measures.note_person("acme", Crowd.ASKED, "alice")
    measures.flush()

    assert lost(metrics) == 3
    assert tally(measured) == {"asked": 1}


def test_memory_is_bounded(
    measures: Measures, measured: FakeMeasures, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noting, "MOST_NOTED", 5)
    for number in range(8):
        measures.note_person("acme", Crowd.ASKED, f"person {number}")
    for _ in range(3):
        measures.note_call("acme", False)
    measures.flush()

    assert tally(measured) == {"asked": 5}
    assert lost(metrics) == 6  # the history had room for its calls


def test_a_call_and_its_429_are_counted(measures: Measures, measured: FakeMeasures) -> None:
    measures.note_call("acme", False)
    measures.note_call("acme", True)
    measures.flush()

    assert tally(measured) == {"calls": 2, "throttled": 1}


def test_old_rows_are_swept_in_passing(measures: Measures, measured: FakeMeasures, clock: FakeClock) -> None:
    measures.note_person("acme", Crowd.ASKED, "alice")
    measures.flush()
    clock.advance(module.KEPT_S + 1)
    measures.flush()

    assert measured.people == {}


def test_renewals_and_comparisons(measures: Measures, measured: FakeMeasures) -> None:
    measures.note_renewal("acme", "alice", failed=False)
    measures.note_renewal("acme", "bob", failed=True)
    measures.note_parity("acme", "alice", mismatch=True)
    measures.note_parity("acme", "bob", mismatch=False)
    measures.flush()

    assert tally(measured) == {"renewed": 2, "not_renewed": 1, "compared": 2, "mismatched": 1}


def test_a_refusal_because_of_the_stage_is_outside(measures: Measures, measured: FakeMeasures) -> None:
    with pytest.raises(StillOnJwt), measures.issuing("acme", "alice"):
        raise StillOnJwt
    measures.flush()

    assert tally(measured) == {"asked": 1}
