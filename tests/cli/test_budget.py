"""`qlik-bridge budget`: what is left, and a morning worked out."""

import pytest
from clikit import Run


def test_an_unspent_budget_and_a_morning(applied: Run) -> None:
    shown = applied("budget", "acme", "--people", "10000", "--minutes", "0")

    assert shown.code == 0
    assert "400 of 400 calls left in 5 min (Qlik answers 500; 20 % stay for browsers). 0 answers were 429." in shown.out
    assert "page open" in shown.out
    assert "249 min" in shown.out


def test_machines_read_the_same(applied: Run) -> None:
    told = applied("budget", "acme", "--json").json()

    assert (told["left"], told["rush"]) == (400, None)
    assert [each["share"] for each in told["lanes"]] == [400, 360, 300, 200]
    assert len(applied("budget", "acme", "--people", "5", "--json").json()["rush"]) == 8


@pytest.mark.parametrize(
    "words",
    [
        ("budget", "acme", "--people", "5", "--minutes", "nan"),
        ("stage", "plan", "acme", "rollout", "--percent", "nan"),
        ("stage", "move", "acme", "rollout", "--percent", "NaN"),
        ("parity", "acme", "--subjects", "people.csv", "--per-minute", "nan"),
    ],
)
def test_not_a_number_is_no_number(applied: Run, words: tuple[str, ...]) -> None:
    refused = applied(*words)

    assert refused.code == 2
    assert "is not a number" in refused.err


def test_an_unknown_tenant_is_refused(applied: Run) -> None:
    assert applied("budget", "nobody").code == 1
