"""Verdicts of parity, one cause at a time."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from bridge.evidence import Access, Area, Check, Holder, Ignore, OpenedApp, ParityPlan, RowProbe, Rows, Verdict
from bridge.model import Subject
from bridge.services.parity_checks import NOT_FOUND, compared, without_token

PROBE = RowProbe(name="sales", app_id="a1", dimension="Region", measure="Sum(Sales)")
PLAN = ParityPlan(probes=(PROBE,))
ALICE = Subject("alice", "Alice", "alice@example.com", frozenset({"Finance"}))
APP = OpenedApp(reloaded_at="monday", sheets={"s": "Overview"}, objects={"o": "bars"}, rows={"sales": Rows(5, "five")})
CLOSED = OpenedApp(refused="closed to this person")
JWT = Access(
    Holder("id-1", "alice", {"r1": "Steward"}, {"idp:Finance": "Finance (idp)", "custom:Pilots": "Pilots (custom)"}),
    {"s1/consumer": "Finance: consumer"},
    {"a1": "Ledger"},
    {"a1": APP},
)


def lines(oauth: Access, jwt: Access | None = JWT, plan: ParityPlan = PLAN) -> list[Check]:
    return [check for check in compared(plan, ALICE, jwt, oauth, "no baseline") if check.verdict is not Verdict.SAME]


def told(oauth: Access, jwt: Access | None = JWT) -> list[tuple[str, str, str]]:
    return [(check.area.value, check.item, check.verdict.value) for check in lines(oauth, jwt)]


def with_app(app: OpenedApp) -> Access:
    return replace(JWT, opened={"a1": app})


def with_groups(groups: Mapping[str, str]) -> Access:
    return replace(JWT, holder=replace(JWT.holder, groups=groups))


def test_equal_access_is_the_same_everywhere() -> None:
    assert lines(JWT) == []
    assert {check.area for check in compared(PLAN, ALICE, JWT, JWT, "")} == set(Area)


@pytest.mark.parametrize(
    ("oauth", "expected"),
    [
        (replace(JWT, holder=replace(JWT.holder, subject="bob")), ("user", "subject", "missing")),
        (replace(JWT, holder=replace(JWT.holder, user_id="id-2")), ("user", "user id", "missing")),
        (replace(JWT, holder=replace(JWT.holder, roles={})), ("roles", "Steward", "missing")),
        (
            replace(JWT, spaces={**JWT.spaces, "s1/producer": "Finance: producer"}),
            ("spaces", "Finance: producer", "extra"),
        ),
        (with_app(replace(APP, sheets={})), ("sheets", "Ledger: Overview", "missing")),
        (with_app(replace(APP, objects={**APP.objects, "p": "pie"})), ("objects", "Ledger: pie", "extra")),
        (with_app(replace(APP, rows={"sales": Rows(9, "nine")})), ("rows", "sales", "extra")),
        (with_app(replace(APP, rows={"sales": Rows(5, "other")})), ("rows", "sales", "missing")),
        (with_app(replace(APP, reloaded_at="tuesday")), ("rows", "sales", "not_checked")),
        (with_app(replace(APP, rows={})), ("rows", "sales", "not_checked")),
    ],
)
def test_one_difference_is_one_line(oauth: Access, expected: tuple[str, str, str]) -> None:
    assert told(oauth) == [expected]


def test_a_lost_app_takes_its_rows_along() -> None:
    assert told(with_app(CLOSED)) == [("apps", "Ledger opens", "missing"), ("rows", "sales", "missing")]
    assert told(JWT, with_app(CLOSED)) == [("apps", "Ledger opens", "extra"), ("rows", "sales", "extra")]


def test_an_app_closed_on_both_paths_is_the_same() -> None:
    assert told(with_app(CLOSED), with_app(CLOSED)) == []


def test_an_app_that_nobody_finds_is_told_and_keeps_nobody_back() -> None:
    gone = with_app(OpenedApp(refused=NOT_FOUND))

    found = lines(gone, gone)

    assert [(check.area, check.verdict) for check in found] == [
        (Area.APPS, Verdict.NOT_CHECKED),
        (Area.ROWS, Verdict.NOT_CHECKED),
    ]
    assert not any(check.is_gap for check in found)


def test_an_app_that_could_not_be_asked_proves_nothing() -> None:
    found = lines(with_app(OpenedApp(problem="tenant_timeout")))

    assert [(check.area, check.is_gap) for check in found] == [(Area.APPS, True), (Area.ROWS, True)]


def test_apps_beyond_the_number_to_open_are_told() -> None:
    more = replace(JWT, apps={**JWT.apps, "a2": "Pipeline"})

    found = lines(more, more)

    assert [(check.item, check.needed) for check in found] == [("opening the others", False)]
    assert "1 apps were not opened" in found[0].why


def test_groups_of_the_portal_are_held_against_the_portal() -> None:
    both = with_groups({**JWT.holder.groups, "idp:Secret": "Secret (idp)"})

    assert told(both, both) == [("groups", "Secret (idp)", "extra")]
    assert lines(both, both)[0].why == "the portal does not say so"


def test_other_groups_are_held_against_the_baseline() -> None:
    less = with_groups({"idp:Finance": "Finance (idp)"})

    assert told(less) == [("groups", "Pilots (custom)", "missing")]
    assert told(JWT, less) == [("groups", "Pilots (custom)", "extra")]


def test_without_a_baseline_the_portals_word_still_counts() -> None:
    areas = ["roles", "groups", "spaces", "apps", "sheets", "objects", "rows"]

    found = lines(with_groups({"custom:Finance": "Finance (custom)"}), None)

    assert [(check.area, check.item) for check in found if check.is_open] == [(Area.GROUPS, "Finance (idp)")]
    assert [check.area.value for check in found if check.is_gap] == areas


@pytest.mark.parametrize(
    ("had", "cells"),
    [
        (None, ("all 1", "1", "", "1")),
        ({"idp:Finance": "Finance (idp)"}, ("all 1", "1", "1", "1")),
        ({"idp:Finance": "Finance (idp)", "idp:Left": "Left (idp)"}, ("all 1", "1", "2", "1")),
        ({}, ("all 1", "1", "0", "1")),
    ],
)
def test_equal_groups_are_counted_as_each_column_has_them(
    had: Mapping[str, str] | None, cells: tuple[str, str, str, str]
) -> None:
    """What the portal took away or gave since the baseline is right, and no group of the JWT session."""
    oauth = with_groups({"idp:Finance": "Finance (idp)"})
    checks = compared(PLAN, ALICE, None if had is None else with_groups(had), oauth, "no baseline")

    (line,) = [check for check in checks if check.area is Area.GROUPS and check.verdict is Verdict.SAME]
    assert (line.item, line.expected, line.baseline, line.oauth) == cells


def test_an_app_of_one_path_alone_is_a_difference_and_no_matter_of_their_number() -> None:
    assert told(replace(JWT, apps={**JWT.apps, "a2": "Pipeline"})) == [("apps", "Pipeline", "extra")]
    assert told(replace(JWT, apps={}, opened={}), JWT)[0] == ("apps", "Ledger", "missing")


def test_without_a_probe_that_is_said() -> None:
    found = lines(JWT, plan=ParityPlan())

    assert [(check.area, check.is_gap) for check in found] == [(Area.ROWS, False)]


def test_without_a_token_nothing_else_is_judged() -> None:
    checks = without_token(Verdict.MISSING, "disabled")

    assert [check.area for check in checks] == list(Area)
    assert [check.is_open for check in checks] == [True] + [False] * (len(Area) - 1)
    assert all(check.is_gap for check in checks[1:])


def test_an_ignored_gap_is_no_gap() -> None:
    ignores = (Ignore(area=Area.ROWS, item="s*", reason="reloaded each night"),)

    (check,) = lines(with_app(replace(APP, reloaded_at="tuesday")), plan=PLAN.model_copy(update={"ignores": ignores}))

    assert (check.verdict, check.ignored, check.is_gap) == (Verdict.NOT_CHECKED, "reloaded each night", False)
