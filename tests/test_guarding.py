"""Rules as people write them, and when one is crossed."""

import random

import pytest
from pydantic import SecretStr, ValidationError

from bridge.guarding import Guardrails, Reading, Rule, Standing, duration_class, percentile_95, reading
from bridge.webhooks import Webhook

SHARE = Rule(threshold=20, minimum=10)


def crossed(name: str, rule: Rule, **tally: int) -> Reading | None:
    """Return what is seen when the rule is crossed."""
    seen = reading(name, rule, tally, 0)
    return seen if seen.is_crossed else None


class TestRules:
    def test_a_file_may_name_one_number(self) -> None:
        rails = Guardrails.model_validate({"slow_issues": {"threshold": 2.5}})

        assert rails.slow_issues == Rule(threshold=2.5, minimum=20, action="pause")
        assert rails.issue_errors == Guardrails().issue_errors

    def test_what_differs_is_kept_and_read_back_whole(self) -> None:
        rails = Guardrails.model_validate({"parity_mismatches": {"window_s": 600, "action": "step_back"}})

        assert set(rails.differing()) == {"parity_mismatches"}
        assert Guardrails.model_validate(rails.differing()) == rails
        assert Guardrails().differing() == {}

    def test_a_rule_can_be_off(self) -> None:
        rails = Guardrails.model_validate({"throttled": {"action": "off"}})

        assert reading("throttled", rails.throttled, {"calls": 100, "throttled": 100}, 0).standing is Standing.OFF
        assert len(rails.rules()) == 6

    @pytest.mark.parametrize(
        "given",
        [
            {"issue_error": {"threshold": 1}},
            {"issue_errors": {"threshold": -1}},
            {"issue_errors": {"window_s": 10}},
            {"issue_errors": {"minimum": 0}},
            {"issue_errors": {"action": "explode"}},
            {"issue_errors": 20},
            {"stages": ["legacy"]},
        ],
    )
    def test_mistakes_are_refused(self, given: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            Guardrails.model_validate(given)


class TestShares:
    def test_more_than_the_threshold_crosses(self) -> None:
        assert crossed("issue_errors", SHARE, asked=10, not_issued=2) is None
        found = crossed("issue_errors", SHARE, asked=10, not_issued=3)

        assert found is not None
        assert (found.value, found.samples) == (30, 10)
        assert found.sentence() == "guardrail issue_errors: 30 % of people is more than 20 (10 people in 600 s)"

    def test_too_few_people_say_nothing(self) -> None:
        assert crossed("issue_errors", SHARE, asked=9, not_issued=9) is None
        assert crossed("issue_errors", SHARE) is None

    def test_one_person_in_trouble_never_steps_a_tenant_back(self) -> None:
        low = Rule(threshold=1, minimum=10)

        assert crossed("rejected_tokens", low, asked=10, rejected=2) is None
        assert crossed("rejected_tokens", low, asked=10, rejected=3) is not None

    def test_unless_the_rule_asks_for_one_alone(self) -> None:
        assert crossed("rejected_tokens", Rule(threshold=0, minimum=1), asked=1, rejected=1) is not None


class TestOthers:
    def test_answers_429_count_by_number(self) -> None:
        rule = Rule(threshold=3, minimum=5)

        assert crossed("throttled", rule, calls=100, throttled=3) is None
        assert crossed("throttled", rule, calls=4, throttled=4) is None
        assert crossed("throttled", rule, calls=5, throttled=4) is not None

    def test_slow_issues(self) -> None:
        rule = Rule(threshold=2, minimum=20)
        slow = {duration_class(3.0): 2}

        assert crossed("slow_issues", rule, **{duration_class(0.1): 98}, **slow) is None
        assert crossed("slow_issues", rule, **{duration_class(0.1): 17}, **slow) is None
        found = crossed("slow_issues", rule, **{duration_class(0.1): 18}, **slow)
        assert found is not None
        assert 2 < found.value <= 3.9

    def test_what_hangs_longest_is_counted_too(self) -> None:
        assert crossed("slow_issues", Rule(threshold=5, minimum=1), **{duration_class(1000): 1}) is not None

    def test_the_percentile_is_near_the_true_one(self) -> None:
        chance = random.Random(7)  # noqa: S311 - no secret
        durations = [chance.lognormvariate(-1, 1) for _ in range(5000)]
        counts = [0] * 23
        for each in durations:
            counts[int(duration_class(each).removeprefix("took_"))] += 1

        true = sorted(durations)[4750]
        assert percentile_95(counts) == pytest.approx(true, rel=0.1)
        assert percentile_95([0] * 23) == 0


class TestWebhooks:
    @pytest.mark.parametrize("url", ["https://hooks.example.com/a?b=c", "http://127.0.0.1:9/x", "http://localhost/"])
    def test_good_addresses(self, url: str) -> None:
        assert Webhook(url=url, secret=SecretStr("s" * 16)).url == url

    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example.com/",
            "ftp://hooks.example.com/",
            "https://user:password@hooks.example.com/",
            "https://hooks.example.com/#part",
            "https://hooks.example.com/a b",
            "https://",
            "hooks.example.com",
            "file:///etc/passwd",
        ],
    )
    def test_bad_addresses(self, url: str) -> None:
        with pytest.raises(ValidationError):
            Webhook(url=url, secret=SecretStr("s" * 16))

    def test_the_secret_is_long_and_does_not_show(self) -> None:
        with pytest.raises(ValidationError):
            Webhook(url="https://hooks.example.com", secret=SecretStr("short"))
        assert "hush" not in repr(Webhook(url="https://hooks.example.com", secret=SecretStr("hush" * 5)))
