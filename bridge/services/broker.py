"""Give a subject an impersonation token: flag, sync, store, one mint at a time."""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import structlog
from cachetools import TTLCache

from bridge import deadline
from bridge.budgeting import Lane
from bridge.errors import (
    BridgeBusy,
    BudgetSpent,
    NotSignedIn,
    StillOnJwt,
    StoreError,
    SubjectNotProvisioned,
    TenantError,
    TenantRefused,
)
from bridge.model import Identity, IssuedToken, Minted, Path, SubjectRecord, Tenant, TenantState
from bridge.ports import Clock, Qlik, TenantStore, TokenStore
from bridge.services.budget import claiming, is_weaker
from bridge.services.bulkhead import take_place
from bridge.services.flight import SingleFlight
from bridge.services.groups import GroupSync, TurnBack
from bridge.services.leases import LeaseHeld
from bridge.services.measures import Measures
from bridge.services.purse import for_one_person, hand_over
from bridge.services.rollout import Rollouts
from bridge.telemetry import Metrics, Step, StepTaken, note_step

log = structlog.get_logger()

MIN_LIFE_S = 600
"""A stored token with less life than this is renewed before it is handed out."""
LAST_RESORT_LIFE_S = 30
"""While the tenant is away, a stored token is still handed out with this much life."""
REPLACE_EVERY_S = 60
"""A subject whose page calls its token rejected gets a new one at most this often."""
LOOKS = 6
"""How often in a minute we ask whether a token that a page calls rejected still lives."""
ABOUT_THE_SUBJECT = frozenset({400, 401, 403, 404})
"""Which of these means an unknown user is undocumented, so they are treated alike."""
TENANTS = 1000
"""For so many the counter of tokens from the store is found once."""
REFUSES_A_TOKEN = frozenset({401, 403})

Enough = Callable[[IssuedToken], bool]
"""Tells whether a kept token will do, so that none is minted."""


@dataclass(frozen=True, slots=True)
class Revocations:
    """How many tokens were revoked at their tenants, and how many could not be and are tried again next time."""

    revoked: int = 0
    failed: int = 0


class Broker:
    """Issue impersonation tokens, from the store or by minting; revoke them."""

    def __init__(  # noqa: PLR0913 - what it takes to issue, by name
        self,
        *,
        qlik: Qlik,
        groups: GroupSync,
        rollouts: Rollouts,
        tokens: TokenStore,
        tenants: TenantStore,
        clock: Clock,
        metrics: Metrics,
        measures: Measures,
        turn_back: TurnBack = lambda *_: None,
    ) -> None:
        self._turn_back = turn_back
        self._qlik = qlik
        self._groups = groups
        self._rollouts = rollouts
        self._tokens = tokens
        self._tenants = tenants
        self._clock = clock
        self._metrics = metrics
        self._measures = measures
        self._from_store = lru_cache(TENANTS)(metrics.tokens.labels)
        self._flights = SingleFlight[IssuedToken](again=is_weaker)
        self._guard = threading.Lock()
        self._replaced: TTLCache[str, bool] = TTLCache(20_000, REPLACE_EVERY_S, timer=clock)
        self._looks: TTLCache[str, int] = TTLCache(20_000, REPLACE_EVERY_S, timer=clock)
        self._revocations = 0
        self._revoked: TTLCache[tuple[str | None, str | None], int] = TTLCache(20_000, REPLACE_EVERY_S, timer=clock)

    def issue(self, state: TenantState, identity: Identity, *, rejected: str = "") -> IssuedToken:
        """Return a token of the tenant for this identity; `rejected` is the Token-Id that the tenant refused.

        Raises StillOnJwt, SubjectNotProvisioned, SyncRefused, StoreError or a TenantError.
        """
        if self._rollouts.path(state, identity.subject) is Path.JWT:
            raise StillOnJwt
        with self._measures.issuing(state.tenant.slug, identity.subject.sub):
            return self.obtain(state.tenant, identity, rejected=rejected)

    def kept(self, state: TenantState, identity: Identity) -> IssuedToken | None:
        """Return what `issue` would, without a call, a wait or a trace; None where it may take more. Raises StoreError.

        `note_kept` follows when it is handed out.
        """
        tenant = state.tenant
        record = self._groups.synced(tenant, identity)
        held = self._held(tenant, record) if record else None
        is_theirs = held is not None and self._is_lively(held)
        return held if is_theirs and self._rollouts.is_on_oauth_at_once(state, identity.subject) else None

    def note_kept(self, token: IssuedToken) -> None:
        """Count and measure that a kept token was handed out."""
        with self._measures.issuing(token.key.tenant, token.key.sub):
            self._from_store(token.key.tenant, "store").inc()
            note_step(StepTaken(Step.KEPT))

    def obtain(self, tenant: Tenant, identity: Identity, *, rejected: str = "") -> IssuedToken:
        """Return the token that `issue` would, whatever the flag says: for evidence, never for a page."""
        with for_one_person(tenant.slug, identity.subject.sub):
            return self._obtain(tenant, identity, rejected)

    def _obtain(self, tenant: Tenant, identity: Identity, rejected: str) -> IssuedToken:
        started, revocations = self._clock(), self._revocations
        record = self._groups.ensure(tenant, identity)
        held = self._unless_dead(tenant, self._held(tenant, record), rejected)
        if held and self._is_lively(held):
            self._from_store(tenant.slug, "store").inc()
            return _kept(held)
        key = tenant.token_key(record.subject.sub)
        try:
            with claiming(Lane.RENEWAL if held and self._is_last_resort(held) else Lane.PAGE_OPEN):
                if not self._flights.is_flying(key):
                    self._turn_back(tenant, 1)
                take_place(tenant.slug)
                token = self._flights.run(
                    key,
                    lambda: self._mint(
                        tenant, identity, record, self._is_lively, started=started, revocations=revocations
                    ),
                )
            if held:
                self._measures.note_renewal(tenant.slug, record.subject.sub, failed=False)
            return token  # noqa: TRY300 - the outcome of the renewal is noted on both ways
        except (TenantError, StoreError) as failure:
            if held and not isinstance(failure, BudgetSpent | BridgeBusy):  # a renewal that may wait has not failed
                self._measures.note_renewal(tenant.slug, record.subject.sub, failed=True)
            held = self._held(tenant, record)  # looked up anew: it may have been revoked meanwhile
            if held and self._is_last_resort(held):
                log.warning("renewal_failed_served_old", tenant=tenant.slug, error=failure.code())
                return _kept(held)
            raise

    def warm(self, tenant: Tenant, identity: Identity, is_enough: Enough) -> IssuedToken:
        """Return the kept token if it is enough, else a new one: ahead of need, whatever the flag says.

        The caller holds the person's purse. An older token or sync bridges nothing here: raises as `issue` does, and
        BudgetSpent where that serves on.
        """
        started, revocations = self._clock(), self._revocations
        record = self._groups.ensure(tenant, identity, ahead=True)
        held = self._held(tenant, record)
        if held and is_enough(held):
            return held
        return self._flights.run(
            tenant.token_key(record.subject.sub),
            lambda: self._mint(tenant, identity, record, is_enough, started=started, revocations=revocations),
        )

    def revoke(self, *, tenant: str | None = None, sub: str | None = None) -> Revocations:
        """Take matching tokens out of use here at once, and end them at their tenants."""
        return self.end(self.doom(tenant=tenant, sub=sub))

    def doom(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        """Take matching tokens out of use here at once, and return what is left to end."""
        with self._guard:
            self._revocations += 1
            self._revoked[tenant, sub] = self._revocations
        return self._tokens.doom(tenant=tenant, sub=sub)

    def still_doomed(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        """Return what is out of use here and still to be ended at its tenant."""
        return self._tokens.still_doomed(tenant=tenant, sub=sub)

    def end(self, doomed: Sequence[IssuedToken]) -> Revocations:
        """End a person's tokens at their tenants that are out of use here, as far as one deadline allows."""
        with deadline.within(deadline.PATIENCE_S):
            failed = sum(not self._end(self._tenant_of(token), token) for token in doomed)
        return Revocations(len(doomed) - failed, failed)

    def end_one(self, token: IssuedToken) -> None:
        """End a token at its tenant that is out of use here; only then is it forgotten. Raises TenantError."""
        self._end_at(self._tenant_of(token), token)

    def _tenant_of(self, token: IssuedToken) -> Tenant | None:
        state = self._tenants.all().get(token.key.tenant)
        return state.tenant if state else None

    def _held(self, tenant: Tenant, record: SubjectRecord) -> IssuedToken | None:
        return self._tokens.get(tenant.token_key(record.subject.sub))

    def _life_s(self, token: IssuedToken) -> float:
        return token.expires_at - self._clock()

    def _is_lively(self, token: IssuedToken) -> bool:
        """Tell whether a token is good for handing out; a short-lived one is up to its last quarter."""
        return self._life_s(token) >= min(MIN_LIFE_S, (token.expires_at - token.issued_at) / 4)

    def _is_last_resort(self, token: IssuedToken) -> bool:
        return self._life_s(token) >= LAST_RESORT_LIFE_S

    def _unless_dead(self, tenant: Tenant, held: IssuedToken | None, rejected: str) -> IssuedToken | None:
        """Look at the tenant whether a token that the page calls rejected is dead; a 401 alone says so."""
        if held is None or held.token_id != rejected or self._is_settled(held):
            return held
        take_place(tenant.slug)
        try:
            self._qlik.whoami(tenant, held.value)
        except TenantRefused as refusal:
            if refusal.status in REFUSES_A_TOKEN:
                self._measures.note_rejection(tenant.slug, held.key.sub)
            if refusal.status == 401:  # noqa: PLR2004 - HTTP's own word for it
                self._tokens.drop(held)
                self._note_replaced(held)
                return None
        except TenantError as failure:
            log.info("rejected_token_not_checked", tenant=tenant.slug, error=failure.code())
        with self._guard:
            self._looks[held.token_id] = self._looks.get(held.token_id, 0) + 1
        return held

    def _is_settled(self, token: IssuedToken) -> bool:
        """Tell whether what a page says of a token is no reason to ask now: it was replaced, or looked at enough."""
        with self._guard:
            return self._looks.get(token.token_id, 0) >= LOOKS or token.key.digest() in self._replaced

    def _note_replaced(self, token: IssuedToken) -> None:
        with self._guard:
            self._replaced[token.key.digest()] = True

    def _mint(
        self,
        tenant: Tenant,
        identity: Identity,
        record: SubjectRecord,
        is_enough: Enough,
        *,
        started: float,
        revocations: int,
    ) -> IssuedToken:
        """Mint, unless another caller just did; a refusal on a remembered sync is worth one fresh sync."""
        held = self._held(tenant, record)
        if held and is_enough(held):
            return _kept(held)
        try:
            return self._mint_once(tenant, record, revocations)
        except SubjectNotProvisioned:
            synced_just_now = record.synced_at is not None and record.synced_at >= started
            if synced_just_now:
                raise
        self._groups.forget(tenant, record.subject.sub)
        return self._mint_once(tenant, self._groups.ensure(tenant, identity), revocations)

    def _mint_once(self, tenant: Tenant, record: SubjectRecord, revocations: int) -> IssuedToken:
        if record.user_id is None:
            raise SubjectNotProvisioned(detail="never synced")
        try:
            minted = self._minted(tenant, record.user_id)
        except TenantRefused as refusal:
            if refusal.status not in ABOUT_THE_SUBJECT or refusal.is_of_the_client:
                raise
            raise SubjectNotProvisioned(detail=refusal.detail) from refusal
        token = IssuedToken(
            key=tenant.token_key(record.subject.sub),
            token_id=secrets.token_hex(12),
            value=minted.value,
            scope=minted.scope,
            issued_at=self._clock(),
            expires_at=minted.expires_at,
        )
        if lost := self._handed_over(token):
            self._end(tenant, token)
            raise lost
        self._end_if_revoked(tenant.slug, record.subject.sub, since=revocations)
        self._metrics.tokens.labels(tenant.slug, "mint").inc()
        return token

    def _handed_over(self, token: IssuedToken) -> LeaseHeld | None:
        try:
            return hand_over(partial(self._tokens.put, token))
        except StoreError:
            self._metrics.mints_lost.labels(token.key.tenant).inc()
            raise

    def _minted(self, tenant: Tenant, user_id: str) -> Minted:
        """Mint; a client that is refused may have got another secret meanwhile, so that is tried once."""
        try:
            return self._qlik.mint(tenant, user_id)
        except TenantRefused:
            newest = self._tenants.get(tenant.slug, fresh=True).tenant
            if newest.issuing_client == tenant.issuing_client or newest.token_key("") != tenant.token_key(""):
                raise
        return self._qlik.mint(newest, user_id)

    def _end_if_revoked(self, slug: str, sub: str, *, since: int) -> None:
        """End a token whose person signed out while it was being minted. Raises NotSignedIn."""
        with self._guard:
            latest = max(self._revoked.get(key, 0) for key in ((slug, sub), (slug, None), (None, sub), (None, None)))
        if latest > since:
            self.revoke(tenant=slug, sub=sub)
            raise NotSignedIn("The tokens of this person were revoked meanwhile. Sign in and try again.")

    def _end(self, tenant: Tenant | None, token: IssuedToken) -> bool:
        """Tell whether the token is over at its tenant; only then is it forgotten here."""
        try:
            self._end_at(tenant, token)
        except TenantError as failure:
            log.warning("revocation_failed", tenant=token.key.tenant, error=failure.code(), detail=failure.detail)
            return False
        return True

    def _end_at(self, tenant: Tenant | None, token: IssuedToken) -> None:
        try:
            _check_is_theirs(tenant, token)
            if tenant:
                self._qlik.revoke(tenant, token.value)
        except TenantError as failure:
            self._metrics.revocations.labels(token.key.tenant, failure.code()).inc()
            raise
        self._tokens.drop(token)
        self._metrics.revocations.labels(token.key.tenant, "ok").inc()


def _check_is_theirs(tenant: Tenant | None, token: IssuedToken) -> None:
    """Raise TenantRefused for a token that is sent nowhere."""
    if tenant and tenant.token_key(token.key.sub) != token.key:
        raise TenantRefused(detail="the tenant has another host, client or scope by now; the token is not theirs")
    if not token.value:
        raise TenantRefused(detail=f"token {token.token_id} is locked: none of our encryption keys opens it")


def _kept(token: IssuedToken) -> IssuedToken:
    note_step(StepTaken(Step.KEPT))
    return token
