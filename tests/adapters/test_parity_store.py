"""The contract of parity's store, over every implementation."""

from dataclasses import replace

import pytest
from stores import Stores

from bridge.evidence import (
    Access,
    Area,
    Baseline,
    Check,
    Holder,
    OpenedApp,
    Outcome,
    ParityCounts,
    ParityResult,
    Rows,
    Verdict,
)

ACCESS = Access(
    Holder("id-1", "alice", {"r1": "Steward"}, {"idp:Finance": "Finance (idp)"}),
    {"s1/consumer": "Finance: consumer"},
    {"a1": "Ledger"},
    {"a1": OpenedApp(reloaded_at="2026-01-01", sheets={"overview": "Overview"}, rows={"sales": Rows(3, "abc")})},
    {Area.APPS: "tenant_unavailable"},
)
SAME = Check(Area.GROUPS, "Finance (idp)", Verdict.SAME, "yes", "yes", "yes")
MISSING = Check(Area.SPACES, "Finance: consumer", Verdict.MISSING, "", "yes", "no", "JWT had it")
UNSEEN = Check(Area.ROWS, "sales", Verdict.NOT_CHECKED, why="the app was reloaded")


def result(sub: str, at: float, *checks: Check) -> ParityResult:
    return ParityResult("acme", sub, 90.0, at, 50.0, "print", checks, "b1")


@pytest.fixture
def baseline() -> Baseline:
    return Baseline("acme", "alice", "print", "salt-1", 50.5, ACCESS)


def test_a_baseline_comes_back_whole_and_a_newer_one_takes_its_place(stores: Stores, baseline: Baseline) -> None:
    assert stores.parity.baseline("acme", "alice") is None
    stores.parity.keep_baseline(baseline)
    assert stores.parity.baseline("acme", "alice") == baseline
    newer = replace(baseline, taken_at=60.0, access=replace(ACCESS, problems={}))
    stores.parity.keep_baseline(newer)
    assert stores.parity.baseline("acme", "alice") == newer


def test_subjects_are_told_apart_byte_for_byte(stores: Stores, baseline: Baseline) -> None:
    stores.parity.keep_baseline(baseline)
    stores.parity.keep_result(result("alice", 100.0, SAME))
    assert stores.parity.baseline("acme", "Alice") is None
    assert stores.parity.baseline("globex", "alice") is None
    assert stores.parity.result("acme", "Alice") is None


def test_the_newest_comparison_of_a_subject_stands(stores: Stores) -> None:
    stores.parity.keep_result(result("alice", 100.0, MISSING))
    stores.parity.keep_result(replace(result("alice", 110.0, SAME), baseline_at=None))
    found = stores.parity.result("acme", "alice")
    assert found is not None
    assert (tuple(found.checks), found.compared_at, found.baseline_at, found.basis) == ((SAME,), 110.0, None, "b1")
    assert found.outcome is Outcome.PROVEN


def test_results_are_listed_newest_first_and_by_outcome(stores: Stores) -> None:
    for sub, at, check in (("a", 1.0, SAME), ("b", 3.0, MISSING), ("c", 2.0, UNSEEN), ("d", 2.0, MISSING)):
        stores.parity.keep_result(result(sub, at, check))
    assert [each.sub for each in stores.parity.results("acme")] == ["b", "c", "d", "a"]
    assert [each.sub for each in stores.parity.results("acme", outcome=Outcome.MISMATCH)] == ["b", "d"]
    assert [each.sub for each in stores.parity.results("acme", limit=1)] == ["b"]
    assert list(stores.parity.results("globex")) == []


def test_counts_know_what_is_fresh(stores: Stores) -> None:
    assert stores.parity.counts("acme", fresh_since=0, basis="b1") == ParityCounts()
    for sub, at, check in (("a", 1.0, SAME), ("b", 9.0, SAME), ("c", 9.0, MISSING), ("d", 9.0, UNSEEN)):
        stores.parity.keep_result(result(sub, at, check))
    counts = stores.parity.counts("acme", fresh_since=9.0, basis="b1")
    assert counts == ParityCounts(proven=2, mismatch=1, unproven=1, fresh=1)
    assert stores.parity.counts("acme", fresh_since=9.0, basis="b2") == replace(counts, fresh=0)


def test_the_latest_run_is_known(stores: Stores) -> None:
    stores.parity.keep_result(replace(result("c", 3.0, SAME), run=0.0))
    assert stores.parity.latest_run("acme") is None
    stores.parity.keep_result(replace(result("a", 1.0, SAME), run=80.0))
    stores.parity.keep_result(result("b", 2.0, SAME))
    assert stores.parity.latest_run("acme") == 90.0
