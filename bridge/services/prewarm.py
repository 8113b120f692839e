"""Do for many people ahead of time what their first page would wait for: the group sync, and the token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.budgeting import DEAREST, Lane, Limit
from bridge.model import Identity, IssuedToken, Path, Subject, TenantState
from bridge.ports import Clock, TenantStore
from bridge.services.broker import Broker
from bridge.services.budget import claiming
from bridge.services.groups import GroupSync
from bridge.services.purse import for_one_person
from bridge.services.rollout import Rollouts

MINUTE_S = 60


class Tokens(StrEnum):
    """Who gets a token on top of the sync."""

    NOBODY = "nobody"
    MOVED = "moved"
    """Those whom the flag puts on the path `oauth` now."""
    EVERYBODY = "everybody"


class Got(StrEnum):
    """What became of one person's token."""

    MINTED = "minted"
    KEPT = "kept"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Prepared:
    """One person who was done; `synced` is False where the last sync still counts."""

    sub: str
    synced: bool
    token: Got

    @property
    def is_free(self) -> bool:
        """Tell whether all was there already, so that it took no call."""
        return not self.synced and self.token is not Got.MINTED


class Prewarm:
    """Prepares one person after the other, in the lane of that name.

    What was done before counts while half of its time is left: of a sync, and of a token's life. So a run that was
    interrupted goes on where it was, and a second run in the same night costs next to nothing.
    """

    def __init__(
        self, *, tenants: TenantStore, groups: GroupSync, broker: Broker, rollouts: Rollouts, clock: Clock
    ) -> None:
        self._tenants = tenants
        self._groups = groups
        self._broker = broker
        self._rollouts = rollouts
        self._clock = clock

    def prepare(self, slug: str, identity: Identity, tokens: Tokens) -> Prepared:
        """Sync one person, and get them a token where *tokens* says so; the newest facts count, never older ones.

        Raises UnknownTenant, NotAllowed, SyncRefused, SubjectNotProvisioned, StoreError, and a TenantError; BudgetSpent
        says when to come back.
        """
        state, started = self._tenants.get(slug), self._clock()
        subject = self._groups.admitted(state.tenant, identity).subject
        gets_token = self._gets_token(state, subject, tokens)
        with claiming(Lane.PRE_WARM), for_one_person(slug, subject.sub):
            record = self._groups.ensure(state.tenant, identity, ahead=True, early=True)
            token = self._broker.warm(state.tenant, identity, self._is_enough) if gets_token else None
        synced = record.synced_at is not None and record.synced_at >= started
        return Prepared(subject.sub, synced, _got(token, started))

    def _gets_token(self, state: TenantState, subject: Subject, tokens: Tokens) -> bool:
        if tokens is Tokens.MOVED:
            return self._rollouts.decide(state, subject).path is Path.OAUTH
        return tokens is Tokens.EVERYBODY

    def _is_enough(self, token: IssuedToken) -> bool:
        return token.expires_at - self._clock() >= (token.expires_at - token.issued_at) / 2


def minutes_at_most(people: int, tokens: Tokens, limit: Limit) -> float:
    """Return how long so many people take, where each needs everything and pages need nothing."""
    calls = people * (1 if tokens is Tokens.NOBODY else DEAREST)
    return max(0, calls - limit.share_of(Lane.PRE_WARM)) / per_minute(limit)


def per_minute(limit: Limit) -> float:
    """Return the calls a minute that the lane gets in the long run."""
    return limit.share_of(Lane.PRE_WARM) * MINUTE_S / limit.held_s


def summary(done: Sequence[Prepared], left_out: int) -> Mapping[str, int]:
    """Return how many people were synced, and how many got what, with those left out."""
    return {
        "synced": sum(each.synced for each in done),
        "still_synced": sum(not each.synced for each in done),
        "minted": sum(each.token is Got.MINTED for each in done),
        "kept": sum(each.token is Got.KEPT for each in done),
        "without_token": sum(each.token is Got.NONE for each in done),
        "left_out": left_out,
    }


def _got(token: IssuedToken | None, started: float) -> Got:
    if token is None:
        return Got.NONE
    return Got.MINTED if token.issued_at >= started else Got.KEPT
