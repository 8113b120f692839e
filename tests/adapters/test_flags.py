"""The flag through OpenFeature's own client, as the product asks it."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace

import flagkit
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus

from bridge.adapters import flags as flags_module
from bridge.adapters.flags import RolloutProvider, foreign_flags
from bridge.errors import ConfigError, StoreError
from bridge.model import Cohorts, Rollout, Stage, Tenant, TenantState
from bridge.plan import Kill

FLAG = "embed-path"
COHORTS = Cohorts(frozenset({"alice"}), frozenset({"Pilots"}))


class Flags:
    """A client whose provider reads `states`."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.states: Mapping[str, TenantState] = {}
        api.set_provider_and_wait(RolloutProvider(lambda: self.states), "test-flags")
        self.client = api.get_client("test-flags")

    def roll(self, stage: Stage, percentage: float = 0) -> None:
        self.states = {self.tenant.slug: TenantState(self.tenant, Rollout(stage, percentage, COHORTS))}


@pytest.fixture
def flags(acme: Tenant) -> Flags:
    return Flags(acme)


def someone(sub: str | None = "zoe", **attributes: object) -> EvaluationContext:
    return EvaluationContext(sub, {"tenant": "acme", "groups": ["Sales"], **attributes})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("stage", "path"),
    [
        (Stage.LEGACY, "jwt"),
        (Stage.SHADOW, "jwt"),
        (Stage.OAUTH, "oauth"),
        (Stage.RETIRED, "oauth"),
    ],
)
def test_most_stages_have_one_answer(flags: Flags, stage: Stage, path: str) -> None:
    flags.roll(stage, 50)
    found = flags.client.get_string_details(FLAG, "", someone("alice"))
    assert (found.value, found.variant, found.reason) == (path, stage.value, Reason.STATIC)


def test_cohorts_move_first(flags: Flags) -> None:
    flags.roll(Stage.ROLLOUT)
    for context in (someone("alice"), someone(groups=["Sales", "Pilots"])):
        found = flags.client.get_string_details(FLAG, "", context)
        assert (found.value, found.variant, found.reason) == ("oauth", "rollout", Reason.TARGETING_MATCH)
    assert flags.client.get_string_details(FLAG, "", someone("Alice")).value == "jwt"


def test_the_rest_is_split_by_percentage(flags: Flags) -> None:
    flags.roll(Stage.ROLLOUT, 100)
    found = flags.client.get_string_details(FLAG, "", someone())
    assert (found.value, found.reason) == ("oauth", Reason.SPLIT)
    flags.roll(Stage.ROLLOUT, 50)
    moved = [flags.client.get_string_value(FLAG, "", someone(f"s{n}")) == "oauth" for n in range(1000)]
    assert 450 < sum(moved) < 550
    flags.roll(Stage.ROLLOUT, 60)
    more = [flags.client.get_string_value(FLAG, "", someone(f"s{n}")) == "oauth" for n in range(1000)]
    assert all(after for before, after in zip(moved, more, strict=True) if before)


@pytest.mark.parametrize(
    ("context", "code"),
    [
        (someone(None), ErrorCode.TARGETING_KEY_MISSING),
        (someone(""), ErrorCode.TARGETING_KEY_MISSING),
        (EvaluationContext("zoe", {}), ErrorCode.INVALID_CONTEXT),
        (someone(tenant=5), ErrorCode.INVALID_CONTEXT),
        (someone(tenant="nobody"), ErrorCode.INVALID_CONTEXT),
        (someone(groups="Pilots"), ErrorCode.INVALID_CONTEXT),
        (None, ErrorCode.TARGETING_KEY_MISSING),
    ],
)
def test_a_context_that_says_too_little(flags: Flags, context: EvaluationContext | None, code: ErrorCode) -> None:
    flags.roll(Stage.ROLLOUT, 100)
    found = flags.client.get_string_details(FLAG, "default", context)
    assert (found.value, found.error_code) == ("default", code)


def test_only_one_flag_of_one_type_is_known(flags: Flags) -> None:
    flags.roll(Stage.OAUTH)
    client = flags.client
    assert client.get_string_details("other", "x", someone()).error_code is ErrorCode.FLAG_NOT_FOUND
    assert client.get_boolean_details("other", default_value=True).error_code is ErrorCode.FLAG_NOT_FOUND
    assert client.get_boolean_details(FLAG, default_value=True).error_code is ErrorCode.TYPE_MISMATCH
    assert client.get_integer_details(FLAG, 1).error_code is ErrorCode.TYPE_MISMATCH
    assert client.get_float_details(FLAG, 1.0).error_code is ErrorCode.TYPE_MISMATCH
    assert client.get_object_details(FLAG, {}).error_code is ErrorCode.TYPE_MISMATCH


def test_a_store_that_is_away_is_an_error_of_the_flag() -> None:
    def away() -> Mapping[str, TenantState]:
        raise StoreError

    api.set_provider_and_wait(RolloutProvider(away), "test-away")
    found = api.get_client("test-away").get_string_details(FLAG, "default", someone())
    assert (found.value, found.error_code) == ("default", ErrorCode.GENERAL)


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH])
def test_a_kill_switch_disables_the_flag(flags: Flags, stage: Stage) -> None:
    flags.roll(stage, 100)
    flags.states = {slug: replace(each, kill_all=Kill("erin", "x", 0)) for slug, each in flags.states.items()}
    found = flags.client.get_string_details(FLAG, "", someone("alice"))
    assert (found.value, found.variant, found.reason) == ("jwt", stage.value, Reason.DISABLED)


def test_a_retired_tenant_has_no_path_to_fall_back_on(flags: Flags) -> None:
    flags.roll(Stage.RETIRED)
    flags.states = {slug: replace(each, kill_all=Kill("erin", "x", 0)) for slug, each in flags.states.items()}
    found = flags.client.get_string_details(FLAG, "", someone("alice"))
    assert (found.value, found.reason) == ("oauth", Reason.STATIC)


# --- providers of others ---------------------------------------------------------------------------------


def ask(client: OpenFeatureClient) -> tuple[str, ErrorCode | None]:
    found = client.get_string_details(FLAG, "default", someone())
    return found.value, found.error_code


def test_another_provider_answers() -> None:
    client = foreign_flags("flagkit:pilots")

    assert ask(client) == ("jwt", None)
    assert client.provider.get_metadata().name == "In-Memory Provider"


def test_a_service_that_is_away_does_not_keep_the_bridge_from_starting() -> None:
    started = time.monotonic()

    assert foreign_flags("flagkit:Away").get_provider_status() is ProviderStatus.ERROR
    assert time.monotonic() - started < flags_module.STARTING_S


def test_a_service_that_connects_is_waited_for() -> None:
    assert ask(foreign_flags("flagkit:Connecting")) == ("oauth", None)


def test_a_service_that_is_slow_counts_once_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flags_module, "STARTING_S", 0.01)
    client = foreign_flags("flagkit:Slow")
    assert ask(client) == ("default", ErrorCode.PROVIDER_NOT_READY)
    ready = threading.Event()
    client.add_handler(ProviderEvent.PROVIDER_READY, lambda _details: ready.set())

    flagkit.OVER.set()

    assert ready.wait(10)
    assert ask(client) == ("oauth", None)


@pytest.mark.parametrize(
    ("path", "mistake"),
    [
        ("flagkit:nowhere", "cannot be loaded: AttributeError"),
        ("no_such_module:make", "cannot be loaded: ModuleNotFoundError"),
        ("flagkit:broken", "cannot be loaded: OSError: no such file"),
        ("flagkit:OVER", "cannot be loaded: TypeError"),
        ("flagkit:not_a_provider", "does not return an OpenFeature provider"),
    ],
)
def test_what_is_no_provider_is_said_at_the_start(path: str, mistake: str) -> None:
    with pytest.raises(ConfigError, match=f"BRIDGE_FLAGS={path} {mistake}"):
        foreign_flags(path)
