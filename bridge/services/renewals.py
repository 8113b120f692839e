"""Renew tokens ahead of their end, for people seen lately, in quiet minutes: before a page has to ask and wait."""

import zlib
from dataclasses import replace

import structlog

from bridge.budgeting import BudgetState, Lane
from bridge.errors import BridgeError, BudgetSpent, SubjectNotProvisioned, SyncRefused, TenantError
from bridge.model import Expiring, Identity, Path, TenantState
from bridge.ports import Clock, SubjectStore, TenantStore
from bridge.ports.renewals import RenewalStore
from bridge.services.broker import Broker
from bridge.services.budget import Budget, claiming
from bridge.services.measures import Measures
from bridge.services.noting import Notebook
from bridge.services.purse import for_one_person
from bridge.services.rollout import Rollouts
from bridge.telemetry import Metrics

log = structlog.get_logger()

EVERY_S = 5.0
"""How often each worker looks."""
A_RUN = 10
"""So many tokens of a tenant a worker renews at most each time it looks."""
LOOKED_AT = 200
"""So many of those that end next are looked at; whose turn it is not yet is left."""
CLAIM_S = 180.0
"""What a worker took on and did not finish, another one tries after this time."""
SEEN_AGAIN_S = 600.0
"""Somebody who is seen all the time costs a write this often."""
WAYS_TO_FAIL = (TenantError, SubjectNotProvisioned, SyncRefused)


class Renewals:
    """Knows who was seen lately, in memory until the keeper writes it down, and renews their tokens.

    Every worker looks; whoever claims a token first renews it. *ahead_s* before its end at most, half of that at
    least: each token has its own moment between the two, so that what was minted in one rush is not renewed in one.
    """

    def __init__(  # noqa: PLR0913 - what it takes to renew, by name
        self,
        *,
        store: RenewalStore,
        tenants: TenantStore,
        subjects: SubjectStore,
        broker: Broker,
        rollouts: Rollouts,
        budget: Budget,
        measures: Measures,
        clock: Clock,
        metrics: Metrics,
        ahead_s: float,
        seen_s: float,
    ) -> None:
        self._store = store
        self._tenants = tenants
        self._subjects = subjects
        self._broker = broker
        self._rollouts = rollouts
        self._budget = budget
        self._measures = measures
        self._clock = clock
        self._metrics = metrics
        self._ahead_s = ahead_s
        self._seen_s = seen_s
        self._notebook = Notebook[tuple[str, str]](store.add, clock, metrics, again_after_s=min(SEEN_AGAIN_S, seen_s))

    def saw(self, tenant: str, sub: str) -> None:
        """Note that somebody uses the path `oauth` now; costs memory, and no write that a request waits for."""
        if self._ahead_s:
            self._notebook.person((tenant, sub))

    def flush(self) -> None:
        """Write down who was seen. Raises StoreError: then that much is lost, and counted."""
        self._notebook.tell()

    def close(self) -> None:
        self._notebook.close()

    def run(self) -> None:
        """Renew what is due at every tenant that is quiet. Raises StoreError."""
        for state in self._tenants.all().values() if self._ahead_s else ():
            due = self._due(state.tenant.slug)
            if due and _is_quiet(self._budget.state(state.tenant)):
                self._renew_all(state, due)

    def _due(self, slug: str) -> list[Expiring]:
        now = self._clock()
        near = self._store.due(
            slug, now=now, before=now + self._ahead_s, seen_since=now - self._seen_s, limit=LOOKED_AT
        )
        return [each for each in near if each.expires_at - now <= self._ahead_of(each)][:A_RUN]

    def _ahead_of(self, expiring: Expiring) -> float:
        """Return how long before its end a token is renewed: the same in every worker."""
        ahead_s = min(self._ahead_s, (expiring.expires_at - expiring.issued_at) / 4)
        return ahead_s * (1 + zlib.crc32(expiring.token_id.encode()) / 2**32) / 2

    def _renew_all(self, state: TenantState, due: list[Expiring]) -> None:
        """Renew one after the other, until the tenant or its budget says no."""
        for each in due:
            claim = replace(each, claimed_until=self._clock() + CLAIM_S)
            if not self._store.claim(each, until=claim.claimed_until):
                continue
            failure = self._renew(state, each)
            if isinstance(failure, TenantError):
                return
            if failure is not None:  # about this person, whom asking again would not help
                self._store.claim(claim, until=each.expires_at)

    def _renew(self, state: TenantState, old: Expiring) -> BridgeError | None:
        """Renew one token; return what went wrong."""
        slug, failure, outcome = state.tenant.slug, None, "ok"
        try:
            if not self._renewed(state, old):
                outcome = "not_needed"
        except WAYS_TO_FAIL as error:
            failure, outcome = error, error.code()
            log.info("not_renewed_ahead", tenant=slug, error=outcome, detail=error.detail)
        self._metrics.renewals.labels(slug, outcome).inc()
        if outcome == "ok" or (isinstance(failure, TenantError) and not isinstance(failure, BudgetSpent)):
            self._measures.note_renewal(slug, old.key.sub, failed=failure is not None)
        return failure

    def _renewed(self, state: TenantState, old: Expiring) -> bool:
        """Renew as the person's page would, unless that would not get this token any more."""
        record = self._subjects.get(state.tenant.slug, old.key.sub, fresh=True)
        if record is None or not state.tenant.has_member(record.subject):
            return False
        is_theirs = state.tenant.token_key(old.key.sub) == old.key
        if not is_theirs or self._rollouts.decide(state, record.subject).path is Path.JWT:
            return False
        identity = Identity(record.subject, "renewal", "", record.asserted_at)
        with claiming(Lane.RENEWAL), for_one_person(state.tenant.slug, record.subject.sub):
            self._broker.warm(state.tenant, identity, lambda held: held.expires_at > old.expires_at)
        return True


def _is_quiet(state: BudgetState) -> bool:
    """Tell whether half of the budget is left: what pages spend now, they may need again in the next minutes."""
    return not state.frozen_s and 2 * state.left >= state.book.limit.budget
