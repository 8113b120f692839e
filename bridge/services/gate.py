"""Manners towards a tenant: obey Retry-After for the whole tier, pause after repeated failures, retry once."""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from bridge.deadline import left_s, within
from bridge.diagnosis import ClientFacts, CspEntry, Greeting, GroupSettings, JwtProvider
from bridge.errors import BridgeError, TenantError, TenantThrottled, TenantTimeout, TenantUnavailable
from bridge.evidence import Credential, Holder, OpenedApp, Wanted
from bridge.licences import Licences
from bridge.model import Hypercube, Minted, QlikUser, Tenant
from bridge.ports import AccessReader, Clock, Engine, Qlik, Sign, TenantEvents, TenantSetUp
from bridge.ports.watching import Directory
from bridge.services.budget import WRITE_TIER, Budget
from bridge.services.bulkhead import take_place
from bridge.services.leases import CALL_S
from bridge.services.purse import for_nobody, not_spent_if_it_fails
from bridge.services.tiers import Tiers
from bridge.telemetry import Metrics
from bridge.trail import EventPage, Kind

T = TypeVar("T")

Heard = Callable[[str, bool], object]
"""Is told the tenant's slug after each call that was made, and whether its answer was a 429."""

READ = (1,)
WRITE = (WRITE_TIER,)
LOGIN = (WRITE_TIER, 1)
"""A login is followed by the question who that was."""
ENGINE = (0,)
"""Not one of Qlik's tiers: the engine counts sessions, not calls."""

AUDITS = (3,)
"""Qlik counts reads of audit events apart, 1,000 a minute."""

A_MINT = 1
FAILURES_BEFORE_PAUSE = 5
PAUSE_S = 10.0
FOR_THE_ENGINE_S = 60.0
"""The engine may have to load an app first, and has limits of its own."""


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    paused_until: float = 0


class _Gate:
    """When to call a tenant, and when not.

    One 429 closes the tier (1: reads, 2: logins and tokens) of that tenant until its Retry-After has
    passed (Qlik: rate limiting). Logins and tokens are paid for from the budget, where there is one. Five failures in
    a row pause the tenant for ten seconds, then one caller tries. Calls that are safe to repeat are repeated once
    after a failed connection or a 5xx. A call ends in time, with all its round trips.
    """

    def __init__(
        self, clock: Clock, metrics: Metrics, heard: Heard, budget: Budget | None = None, *, call_s: float = CALL_S
    ) -> None:
        self._call_s = call_s
        self._clock = clock
        self._metrics = metrics
        self._heard = heard
        self._budget = budget
        self._tiers = budget.tiers if budget else Tiers(clock)
        self._guard = threading.Lock()
        self._circuits: dict[str, _Circuit] = defaultdict(_Circuit)

    def twice(self, call: str, tiers: tuple[int, ...], tenant: Tenant, work: Callable[[], T]) -> T:
        try:
            return self.call(call, tiers, tenant, work)
        except TenantUnavailable as failure:
            if failure.retry_after_s is not None:
                raise
            return self.call(call, tiers, tenant, work)

    def call(
        self,
        call: str,
        tiers: tuple[int, ...],
        tenant: Tenant,
        work: Callable[[], T],
        *,
        then: int = 0,
        ready: Callable[[], object] = int,
    ) -> T:
        """Make a call; *then* is how many more of Tier 2 follow for the same person.

        It is made *ready* when nothing stands in its way any more; where that fails, nothing was called.
        """
        self._enter(tenant, tiers, then)
        with not_spent_if_it_fails():
            ready()
        outcome = "internal_error"
        try:
            with self._metrics.upstream_seconds.labels(tenant.slug, call).time(), within(self._call_s):
                answer = work()
            outcome = "ok"
        except BridgeError as error:
            outcome = error.code()
            self._note_failure(tenant.slug, tiers, error)
            raise
        finally:
            self._metrics.upstream.labels(tenant.slug, call, outcome).inc()
            self._heard(tenant.slug, outcome == TenantThrottled.code())
        self._circuits[tenant.slug].failures = 0
        return answer

    def _enter(self, tenant: Tenant, tiers: tuple[int, ...], then: int) -> None:
        """Pay last, but before the one caller who tries after a pause is chosen: who cannot pay does not try."""
        take_place(tenant.slug)
        if left_s() <= 0:
            raise TenantTimeout(detail="no time left for another call")
        self._tiers.check(tenant.slug, tiers)
        self._check_pause(tenant.slug)
        if self._budget and WRITE_TIER in tiers:
            self._budget.spend(tenant, then=then)
        self._check_pause(tenant.slug, try_it=True)

    def _check_pause(self, slug: str, *, try_it: bool = False) -> None:
        now = self._clock()
        with self._guard:
            circuit = self._circuits[slug]
            if circuit.failures < FAILURES_BEFORE_PAUSE:
                return
            if 0 < circuit.paused_until - now <= PAUSE_S:  # what lies further ahead is of before the clock went back
                raise TenantUnavailable(
                    detail=f"paused after {circuit.failures} failures in a row",
                    retry_after_s=circuit.paused_until - now,
                )
            if try_it:
                circuit.paused_until = now + PAUSE_S  # this caller tries; the others wait for its outcome

    def _note_failure(self, slug: str, tiers: tuple[int, ...], error: BridgeError) -> None:
        now = self._clock()
        if isinstance(error, TenantThrottled):
            self._tiers.close(slug, error.tier or tiers[0], now + (error.retry_after_s or 1))
            return
        with self._guard:
            circuit = self._circuits[slug]
            if isinstance(error, TenantUnavailable | TenantTimeout):
                circuit.failures += 1
                if circuit.failures == FAILURES_BEFORE_PAUSE:
                    circuit.paused_until = now + PAUSE_S
            else:
                circuit.failures = 0


class GatedQlik:
    """A Qlik that knows when not to call."""

    def __init__(
        self,
        qlik: Qlik,
        clock: Clock,
        metrics: Metrics,
        heard: Heard = lambda *_: None,
        budget: Budget | None = None,
    ) -> None:
        self._qlik = qlik
        self._metrics = metrics
        self._gate = _Gate(clock, metrics, heard, budget)

    @property
    def gate(self) -> "_Gate":
        """What is known of the tenant, for others who ask the same thing of it."""
        return self._gate

    def log_in(self, tenant: Tenant, sign: Sign) -> QlikUser:
        """Log in once, as a legacy JWT is single use: a repetition is for the caller. Who is sent away signs none."""
        legacy_jwt = cache(sign)

        def work() -> QlikUser:
            return self._qlik.log_in(tenant, legacy_jwt)

        return self._gate.call("log_in", LOGIN, tenant, work, then=A_MINT, ready=legacy_jwt)

    def mint(self, tenant: Tenant, user_id: str) -> Minted:
        """Mint, once more after an answer that was lost: the token that may exist is counted, and nobody's."""

        def work() -> Minted:
            try:
                return self._qlik.mint(tenant, user_id)
            except TenantError as failure:
                if failure.is_lost:
                    self._metrics.mints_lost.labels(tenant.slug).inc()
                raise

        return self._gate.twice("mint", WRITE, tenant, work)

    def whoami(self, tenant: Tenant, access_token: str) -> QlikUser:
        return self._gate.twice("whoami", READ, tenant, lambda: self._qlik.whoami(tenant, access_token))

    def revoke(self, tenant: Tenant, access_token: str) -> None:
        with for_nobody():
            self._gate.twice("revoke", WRITE, tenant, lambda: self._qlik.revoke(tenant, access_token))

    def auto_creates_groups(self, tenant: Tenant) -> bool:
        return self._gate.twice("group_settings", READ, tenant, lambda: self._qlik.auto_creates_groups(tenant))


class GatedAccess:
    """An AccessReader that knows when not to call: it shares what GatedQlik and GatedEngine know of the tenant."""

    def __init__(self, access: AccessReader, qlik: "GatedQlik", engine: "GatedEngine") -> None:
        self._access = access
        self._qlik = qlik.gate
        self._engine = engine.gate

    def session(self, tenant: Tenant, legacy_jwt: str) -> Credential:
        """Log in once: a legacy JWT is single use."""
        return self._qlik.call("log_in", LOGIN, tenant, lambda: self._access.session(tenant, legacy_jwt))

    def holder(self, tenant: Tenant, credential: Credential) -> Holder:
        return self._qlik.twice("whoami", READ, tenant, lambda: self._access.holder(tenant, credential))

    def spaces(self, tenant: Tenant, credential: Credential) -> Mapping[str, str]:
        return self._qlik.twice("spaces", READ, tenant, lambda: self._access.spaces(tenant, credential))

    def apps(self, tenant: Tenant, credential: Credential) -> Mapping[str, str]:
        return self._qlik.twice("apps", READ, tenant, lambda: self._access.apps(tenant, credential))

    def opened(self, tenant: Tenant, credential: Credential, app_id: str, wanted: Wanted) -> OpenedApp:
        def work() -> OpenedApp:
            return self._access.opened(tenant, credential, app_id, wanted)

        return self._engine.twice("look", ENGINE, tenant, work)


class GatedDirectory:
    """A Directory that knows when not to call: it shares what GatedQlik knows of the tenant."""

    def __init__(self, directory: Directory, qlik: GatedQlik) -> None:
        self._directory = directory
        self._gate = qlik.gate

    def user_status(self, tenant: Tenant, sub: str) -> str | None:
        return self._gate.twice("users", READ, tenant, lambda: self._directory.user_status(tenant, sub))

    def group_kind(self, tenant: Tenant, name: str) -> str | None:
        return self._gate.twice("groups", READ, tenant, lambda: self._directory.group_kind(tenant, name))

    def licences(self, tenant: Tenant) -> Licences:
        return self._gate.twice("licences", READ, tenant, lambda: self._directory.licences(tenant))


class GatedEngine:
    """An Engine that knows when not to call.

    Its circuit is its own: an engine without room must not stop logins and tokens, which pages need for more
    than this, and a login that works says nothing about the engine.
    """

    def __init__(self, engine: Engine, clock: Clock, metrics: Metrics, heard: Heard = lambda *_: None) -> None:
        self._engine = engine
        self._gate = _Gate(clock, metrics, heard, call_s=FOR_THE_ENGINE_S)

    @property
    def gate(self) -> "_Gate":
        """What is known of the engine, for others who ask the same thing of it."""
        return self._gate

    def sheets(self, tenant: Tenant, access_token: str, app_id: str) -> Sequence[Mapping[str, Any]]:
        return self._gate.twice("sheets", ENGINE, tenant, lambda: self._engine.sheets(tenant, access_token, app_id))

    def hypercube(self, tenant: Tenant, access_token: str, app_id: str, *, dimension: str, measure: str) -> Hypercube:
        def work() -> Hypercube:
            return self._engine.hypercube(tenant, access_token, app_id, dimension=dimension, measure=measure)

        return self._gate.twice("hypercube", ENGINE, tenant, work)

    def reader(self, tenant: Tenant, access_token: str, app_id: str) -> str:
        return self._gate.twice("reader", ENGINE, tenant, lambda: self._engine.reader(tenant, access_token, app_id))


class GatedEvents:
    """TenantEvents that know when not to call. Their circuit is their own: no page waits for what they say."""

    def __init__(self, events: TenantEvents, clock: Clock, metrics: Metrics) -> None:
        self._events = events
        self._gate = _Gate(clock, metrics, lambda *_: None)

    def provider_ids(self, tenant: Tenant) -> Mapping[tuple[str, str], str]:
        return self._gate.twice("identity_providers", READ, tenant, lambda: self._events.provider_ids(tenant))

    def page(self, tenant: Tenant, kind: Kind, *, since: float, until: float, cursor: str = "") -> EventPage:
        def work() -> EventPage:
            return self._events.page(tenant, kind, since=since, until=until, cursor=cursor)

        return self._gate.twice("audits", AUDITS, tenant, work)


class GatedSetUp:
    """A TenantSetUp that knows when not to call. To Qlik the management client is a user apart, so its gate is too."""

    def __init__(self, set_up: TenantSetUp, clock: Clock, metrics: Metrics) -> None:
        self._set_up = set_up
        self._gate = _Gate(clock, metrics, lambda *_: None)

    def greet(self, tenant: Tenant) -> Greeting:
        return self._gate.twice("greeting", READ, tenant, lambda: self._set_up.greet(tenant))

    def sign_in(self, tenant: Tenant) -> None:
        self._gate.twice("management", WRITE, tenant, lambda: self._set_up.sign_in(tenant))

    def providers(self, tenant: Tenant) -> Sequence[JwtProvider]:
        return self._gate.twice("set_up", READ, tenant, lambda: self._set_up.providers(tenant))

    def client(self, tenant: Tenant, client_id: str) -> ClientFacts | None:
        return self._gate.twice("set_up", READ, tenant, lambda: self._set_up.client(tenant, client_id))

    def groups(self, tenant: Tenant) -> GroupSettings:
        return self._gate.twice("set_up", READ, tenant, lambda: self._set_up.groups(tenant))

    def web_integration(self, tenant: Tenant, integration_id: str) -> frozenset[str] | None:
        return self._gate.twice("set_up", READ, tenant, lambda: self._set_up.web_integration(tenant, integration_id))

    def csp(self, tenant: Tenant) -> Sequence[CspEntry]:
        return self._gate.twice("set_up", READ, tenant, lambda: self._set_up.csp(tenant))
