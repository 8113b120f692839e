"""The taxonomy: stable codes, sentences for callers, details for the log."""

from collections.abc import Iterator

import pytest

from bridge import errors
from bridge.errors import BridgeError, ConfigError, StageRefused, TenantError, TenantRefused, UnmetCondition


def classes(root: type[BridgeError] = BridgeError) -> Iterator[type[BridgeError]]:
    for each in root.__subclasses__():
        yield each
        yield from classes(each)


PLAIN = [each for each in classes() if each.__module__ == errors.__name__ and each not in {ConfigError, StageRefused}]


def test_codes_are_the_class_names_in_snake_case() -> None:
    assert [each.code() for each in (errors.StillOnJwt, errors.BadCsrf, TenantRefused)] == [
        "still_on_jwt",
        "bad_csrf",
        "tenant_refused",
    ]


def test_no_two_errors_share_a_code() -> None:
    codes = [each.code() for each in classes()]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.code())
def test_each_says_what_to_do_and_keeps_its_detail_for_the_log(kind: type[BridgeError]) -> None:
    error = kind(detail="for the log alone")

    assert str(error) == error.message == kind.public
    assert "log alone" not in str(error)
    assert error.detail == "for the log alone"
    assert error.retry_after_s is None


def test_a_sentence_of_its_own_replaces_the_public_one() -> None:
    assert str(errors.BadRequest("The name is too long.")) == "The name is too long."


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (errors.StillOnJwt, 1),
        (errors.SyncRefused, 1),
        (errors.NotSignedIn, 1),
        (errors.ConfigError, 2),
        (errors.StoreError, 3),
        *((each, 3) for each in classes(TenantError)),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)
def test_exit_codes_tell_who_must_act(kind: type[BridgeError], exit_code: int) -> None:
    assert kind.exit_code == exit_code


def test_configuration_mistakes_are_kept_one_by_one() -> None:
    error = ConfigError(["one", "two"])

    assert error.mistakes == ("one", "two")
    assert str(error) == "one\ntwo"


def test_a_refused_stage_names_every_unmet_condition() -> None:
    error = StageRefused([UnmetCondition("a", "First."), UnmetCondition("b", "Second.")])

    assert [each.condition for each in error.unmet] == ["a", "b"]
    assert str(error) == f"{StageRefused.public} First. Second."


def test_a_refusal_keeps_what_the_tenant_said() -> None:
    error = TenantRefused(detail="d", status=401, upstream_code="LOGIN-2", trace_id="t", skew_s=300)

    assert (error.status, error.upstream_code, error.trace_id, error.skew_s) == (401, "LOGIN-2", "t", 300)
    assert isinstance(error, TenantError)
