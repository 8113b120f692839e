"""Read what an app shows to one person: its sheets, the rows of a hypercube, and whom it takes them for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from bridge.errors import BadContent, TenantRefused
from bridge.model import Content, Hypercube, Identity, TenantState
from bridge.ports import Engine
from bridge.services.broker import Broker
from bridge.services.bulkhead import take_place

T = TypeVar("T")

UNAUTHORIZED = 401


class AppContent:
    """Ask the tenant's engine as the subject, with the token that their page would get.

    Its methods raise BadContent, AppRefused, what `Broker.issue` raises, or a TenantError.
    """

    def __init__(self, engine: Engine, broker: Broker) -> None:
        self._engine = engine
        self._broker = broker

    def sheets(self, state: TenantState, identity: Identity) -> Sequence[Mapping[str, Any]]:
        """Return the sheets of the tenant's app that this person may see."""
        app_id = _named(state.tenant.content, "app_id")
        return self._as_person(state, identity, lambda token: self._engine.sheets(state.tenant, token, app_id))

    def hypercube(self, state: TenantState, identity: Identity) -> Hypercube:
        """Return the tenant's measure by its dimension, in the rows that this person may see."""
        names = ("app_id", "hypercube_dimension", "hypercube_measure")
        app_id, dimension, measure = (_named(state.tenant.content, name) for name in names)

        def ask(token: str) -> Hypercube:
            return self._engine.hypercube(state.tenant, token, app_id, dimension=dimension, measure=measure)

        return self._as_person(state, identity, ask)

    def reader(self, state: TenantState, identity: Identity) -> str:
        """Return who this person is to the tenant's app."""
        app_id = _named(state.tenant.content, "app_id")
        return self._as_person(state, identity, lambda token: self._engine.reader(state.tenant, token, app_id))

    def _as_person(self, state: TenantState, identity: Identity, ask: Callable[[str], T]) -> T:
        """Ask, once more where the engine calls the token dead and the tenant agrees: then there is another one."""
        take_place(state.tenant.slug)
        token = self._broker.issue(state, identity)
        try:
            return ask(token.value)
        except TenantRefused as refusal:
            if refusal.status != UNAUTHORIZED:
                raise
            fresh = self._broker.issue(state, identity, rejected=token.token_id)
            if fresh.token_id == token.token_id:
                raise
        return ask(fresh.value)


def _named(content: Content, name: str) -> str:
    """Return what an operator has set for this purpose. Raises BadContent, which says what to set."""
    value: str = getattr(content, name)
    if not value:
        raise BadContent(f"This tenant has no `content.{name}`. An operator must set it (`qlik-bridge tenants apply`).")
    return value
