"""The OpenFeature provider that answers from each tenant's own stage, percentage and cohorts; and those of others."""

import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, TypeAlias

import structlog
from openfeature import api as openfeature
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import FlagNotFoundError, InvalidContextError, TargetingKeyMissingError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata, ProviderStatus

from bridge.errors import ConfigError
from bridge.model import FLAG, TenantState

log = structlog.get_logger()

STARTING_S = 5.0

Boolean: TypeAlias = bool  # OpenFeature's signatures pass it by position
Structure: TypeAlias = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class RolloutProvider(AbstractProvider):
    """Serves one string flag, `embed-path`, whose value is `jwt` or `oauth`.

    The targeting key is the subject's `sub`; attribute `tenant` is the slug, `groups` a list of names.
    *states* returns the tenants by slug and may raise: OpenFeature turns that into an error of its own.
    """

    def __init__(self, states: Callable[[], Mapping[str, TenantState]]) -> None:
        super().__init__()
        self._states = states

    def get_metadata(self) -> Metadata:
        return Metadata(name="qlik-bridge-rollouts")

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Return the path of one subject, the stage as its variant, and why."""
        del default_value
        _require_known(flag_key)
        context = evaluation_context or EvaluationContext()
        if not context.targeting_key:
            raise TargetingKeyMissingError("the targeting key is the subject's `sub`")
        slug, groups = _tenant(context), _groups(context)
        state = self._states().get(slug)
        if state is None:
            raise InvalidContextError(f"there is no tenant {slug!r}")
        path = state.path_for(context.targeting_key, groups)
        reason = _reason(state, context.targeting_key, groups)
        return FlagResolutionDetails(path.value, variant=state.rollout.stage.value, reason=reason)

    def resolve_boolean_details(
        self, flag_key: str, default_value: Boolean, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Boolean]:
        del default_value, evaluation_context
        _refuse(flag_key)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        del default_value, evaluation_context
        _refuse(flag_key)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        del default_value, evaluation_context
        _refuse(flag_key)

    def resolve_object_details(
        self, flag_key: str, default_value: Structure, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Structure]:
        del default_value, evaluation_context
        _refuse(flag_key)


def builtin_flags(states: Callable[[], Mapping[str, TenantState]]) -> OpenFeatureClient:
    """Return a client of our own provider."""
    client, domain = _client_for(provider := RolloutProvider(states))
    openfeature.set_provider_and_wait(provider, domain)
    return client


def foreign_flags(path: str) -> OpenFeatureClient:
    """Return a client of somebody else's provider, `package.module:factory`. Raises ConfigError.

    A service that is away delays the start by `STARTING_S` at most: until it answers, people get the safe side.
    """
    client, domain = _client_for(provider := _loaded(path))
    openfeature.set_provider(provider, domain)
    started = threading.Event()
    for outcome in (ProviderEvent.PROVIDER_READY, ProviderEvent.PROVIDER_ERROR):
        client.add_handler(outcome, lambda _details: started.set())  # called at once where that was the outcome
    started.wait(STARTING_S)
    if (status := client.get_provider_status()) is not ProviderStatus.READY:
        log.warning("flag_provider_not_ready", flags=path, status=str(status))
    return client


def _client_for(provider: AbstractProvider) -> tuple[OpenFeatureClient, str]:
    """Return a client of its own domain, so that two bridges in one process do not share a provider."""
    domain = f"bridge-{id(provider)}"
    return openfeature.get_client(domain), domain


def _loaded(path: str) -> AbstractProvider:
    module, _, name = path.partition(":")
    try:
        provider = getattr(importlib.import_module(module), name)()
    except Exception as error:  # whatever a factory of somebody else raises
        raise ConfigError([f"BRIDGE_FLAGS={path} cannot be loaded: {type(error).__name__}: {error}"]) from error
    if not isinstance(provider, AbstractProvider):
        raise ConfigError([f"BRIDGE_FLAGS={path} does not return an OpenFeature provider"])
    return provider


def _require_known(flag_key: str) -> None:
    if flag_key != FLAG:
        raise FlagNotFoundError(f"the only flag here is {FLAG}")


def _refuse(flag_key: str) -> NoReturn:
    _require_known(flag_key)
    raise TypeMismatchError(f"{FLAG} is a string flag")


def _tenant(context: EvaluationContext) -> str:
    slug = context.attributes.get("tenant")
    if not isinstance(slug, str) or not slug:
        raise InvalidContextError("attribute `tenant` is the tenant's slug")
    return slug


def _groups(context: EvaluationContext) -> frozenset[str]:
    groups = context.attributes.get("groups", ())
    if isinstance(groups, str) or not isinstance(groups, Sequence):
        raise InvalidContextError("attribute `groups` is a list of names")
    return frozenset(str(group) for group in groups)


def _reason(state: TenantState, sub: str, groups: frozenset[str]) -> Reason:
    if state.is_killed:
        return Reason.DISABLED
    if state.settled_path is not None:
        return Reason.STATIC
    return Reason.TARGETING_MATCH if state.rollout.cohorts.include(sub, groups) else Reason.SPLIT
