"""`qlik-bridge guardrails`: what is seen now, for people and machines."""

from clikit import Run


def test_a_tenant_without_trouble_reads_as_such(applied: Run) -> None:
    shown = applied("guardrails", "acme")
    told = applied("guardrails", "acme", "--json").json()

    assert shown.code == 0
    assert "issue_errors" in shown.out
    assert "crossed" not in shown.out
    assert told["holding"] is None
    assert {each["guardrail"] for each in told["guardrails"]} >= {"issue_errors", "throttled", "slow_issues"}
    assert {each["standing"] for each in told["guardrails"]} == {"too_few_samples"}
    assert (told["guarded"], told["notices"]) == (
        False,
        {"host": "hooks.acme.example", "for_all": False, "waiting": []},
    )
    assert "is not guarded" in shown.out


def test_an_unknown_tenant_is_refused(applied: Run) -> None:
    assert applied("guardrails", "nobody").code == 1
