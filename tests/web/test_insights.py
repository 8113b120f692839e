"""What charts say in a sentence."""

import pytest
from samples import look_back

from bridge.history import Series, Span
from bridge.web import insights
from bridge.web.figures import figures, spark, times

NOON = 1_794_571_200.0 + 20 * 60
"""13 November 2026, 12:20 UTC: a Friday."""


def said(sentence: str | None) -> str:
    assert sentence is not None
    return sentence.replace(insights.NO_BREAK, " ")


# --- paths -----------------------------------------------------------------------------------------------


def test_share_is_that_of_the_last_full_hour_beside_the_first_known_one() -> None:
    look = look_back(NOON, oauth_people={0: 5, 22: 62, 23: 1}, jwt_people={0: 15, 22: 38, 23: 0})

    assert said(insights.share(look)) == (
        "In the last full hour 62 % of 100 people were on `oauth`; 22 hours before, 25 %."
    )


@pytest.mark.parametrize(
    ("slots", "told"),
    [
        ({23: 1}, "So far in this hour 100 % of 1 person were on `oauth`."),
        ({20: 4}, "In the hour from 09:00 UTC, 100 % of 4 people were on `oauth`."),
        ({22: 0, 23: 7}, "In the last full hour nobody came."),
    ],
)
def test_share_says_of_which_hour_it_is(slots: dict[int, int], told: str) -> None:
    assert said(insights.share(look_back(NOON, oauth_people=slots))) == told


def test_days_have_names_too() -> None:
    yesterday = look_back(NOON, Span.MONTH, oauth_people={27: 1, 28: 1}, jwt_people={27: 1, 28: 999})
    long_ago = look_back(NOON, Span.MONTH, oauth_people={3: 2})

    assert said(insights.share(yesterday)) == (
        "Yesterday less than 1 % of 1,000 people were on `oauth`; 1 day before, 50 %."
    )
    assert said(insights.share(long_ago)).startswith("On 18 Oct, 100 % of 2 people")


# --- tokens, calls ---------------------------------------------------------------------------------------


def test_tokens_say_how_many_got_none_and_when_that_was_worst() -> None:
    look = look_back(NOON, issued={20: 10, 22: 97}, not_issued={20: 44, 22: 3}, rejected={20: 1, 22: 1})

    assert said(insights.tokens(look)) == (
        "In the last full hour 100 requests for a token: 3 % got none."
        " Most failed in the hour from 09:00 UTC: 44. The tenant refused 2 tokens in 24 hours."
    )


def test_tokens_say_when_nothing_failed() -> None:
    look = look_back(NOON, issued={22: 12}, not_issued={22: 0}, rejected={22: 0})

    assert said(insights.tokens(look)) == (
        "In the last full hour 12 requests for a token, and none failed. Nobody was left without one in 24 hours."
        " The tenant refused no token in 24 hours."
    )


def test_calls_are_held_against_the_limit_of_a_slot() -> None:
    hours = look_back(NOON, calls={5: 4200, 22: 240}, throttled={5: 1, 22: 0})
    days = look_back(NOON, Span.MONTH, calls={28: 1440}, throttled={28: 0})

    assert said(insights.calls(hours, 6000)) == (
        "In the last full hour 240 calls: 4 % of the 6,000 that Qlik allows."
        " The busiest hour, from 18:00 UTC, took 70 %. Qlik asked us to slow down 1 time in 24 hours."
    )
    assert said(insights.calls(days, 144_000)) == (
        "Yesterday 1,440 calls: 1 % of the 144,000 that Qlik allows. Qlik never asked us to slow down in 30 days."
    )


# --- standings -------------------------------------------------------------------------------------------


def test_standings_are_the_newest_known() -> None:
    look = look_back(
        NOON,
        proven={1: 90, 23: 118},
        mismatched={1: 0, 23: 2},
        unproven={1: 0, 23: 0},
        stragglers={22: 14, 23: 0},
    )

    assert said(insights.parity(look)) == (
        "118 of 120 people compared are proven, 2 with a mismatch, 0 not proven yet. 22 hours before, 90 were."
    )
    assert said(insights.stragglers(look)) == "Nobody used the JWT path lately. 1 hour before, 14 did."


def test_without_a_comparison_that_is_said() -> None:
    assert insights.parity(look_back(NOON, proven={23: 0}, mismatched={23: 0}, unproven={23: 0})) == (
        "Nobody was compared yet."
    )


# --- figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("span", Span)
def test_nothing_known_is_no_drawing_and_says_what_will_be_there(span: Span) -> None:
    look = look_back(NOON, span)

    assert {figure.drawing for figure in figures(look, 100)} == {None}
    assert all("will show here" in figure.insight for figure in figures(look, 100))
    assert spark(look) is None


@pytest.mark.parametrize("span", Span)
@pytest.mark.parametrize("value", [0, 1, 10**15])
def test_every_series_is_drawn_and_told(span: Span, value: int) -> None:
    look = look_back(NOON, span, **{series.value: dict.fromkeys(range(span.slots), value) for series in Series})
    found = figures(look, 100)

    assert {trace.values[0] for figure in found for trace in figure.traces} == {value}
    assert sum(len(figure.traces) for figure in found) == len(Series)
    assert all(figure.drawing for figure in found)
    assert not any("will show here" in figure.insight for figure in found)


def test_times_stand_below_every_sixth_hour_and_every_monday() -> None:
    hours, days = times(look_back(NOON)), times(look_back(NOON, Span.MONTH))

    assert [each for each in hours if each] == ["18:00", "13 Nov", "06:00", "12:00"]
    assert [each for each in days if each] == ["19 Oct", "26 Oct", "2 Nov", "9 Nov"]
