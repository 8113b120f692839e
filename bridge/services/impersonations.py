"""The bridge's impersonations beside the tenant's own events of them.

No id is in both: the tenant's answer to a token request names neither the event nor its token (Qlik: POST
/oauth/token), and a token must not be parsed. What both know is the user, the client and the time.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from bridge.model import Tenant
from bridge.ports import Clock, Impersonations, TenantEvents
from bridge.services.event_reading import MAX_PAGES, EventReading
from bridge.services.jwt_sessions import IMPERSONATION
from bridge.trail import Impersonation, ImpersonationPair, ImpersonationReport, Joined, Kind, TenantEvent

TOLERANCE_S = 60.0
"""How far the clocks of bridge and tenant may differ, with the time of the call itself."""

Key = tuple[str, str]


class ImpersonationJoin:
    """Joins what the bridge noted to what the tenant tells."""

    def __init__(self, noted: Impersonations, events: TenantEvents, clock: Clock) -> None:
        self._noted = noted
        self._events = events
        self._clock = clock

    def report(self, tenant: Tenant, *, since: float, until: float | None = None) -> ImpersonationReport:
        """Return the pairs from *since* until before *until* (unix seconds; None: up to now), oldest first.

        Raises StoreError or a TenantError.
        """
        latest = self._clock() + TOLERANCE_S
        end = latest if until is None else min(until, latest)
        if end <= since:
            return ImpersonationReport(tenant.slug, since, end, whole=True, pairs=[])
        reading = EventReading(self._events, tenant, since - TOLERANCE_S, end + TOLERANCE_S)
        told = [event for event in reading.events(Kind.TOKEN_ISSUED, MAX_PAGES) if _is_ours(event, tenant)]
        read_since = max(since, reading.read_since)
        noted = self._noted.since(tenant.slug, read_since - TOLERANCE_S)
        near = [each for each in noted if each.at < end + TOLERANCE_S]
        pairs = sorted((pair for pair in joined(near, told) if read_since <= pair.at < end), key=lambda pair: pair.at)
        return ImpersonationReport(tenant.slug, read_since, end, whole=read_since == since, pairs=pairs)


def joined(noted: Sequence[Impersonation], told: Iterable[TenantEvent]) -> Iterator[ImpersonationPair]:
    """Yield each impersonation with its event, by user, client and time, and what is left of either."""
    ours: defaultdict[Key, list[Impersonation]] = defaultdict(list)
    theirs: defaultdict[Key, list[TenantEvent]] = defaultdict(list)
    for each in noted:
        ours[each.user_id, each.client_id].append(each)
    users = {each.user_id for each in noted}
    for event in told:
        theirs[_user_of(event, users), event.text("issuedToClientId")].append(event)
    for key in {**ours, **theirs}:
        yield from _pairs(ours[key], theirs[key])


def _pairs(ours: Sequence[Impersonation], theirs: Sequence[TenantEvent]) -> Iterator[ImpersonationPair]:
    """Pair one user's impersonations with one client in order of time."""
    left = sorted(theirs, key=lambda event: event.at)
    for each in sorted(ours, key=lambda each: each.at):
        near = [event for event in left if abs(event.at - each.at) <= TOLERANCE_S]
        if not near:
            yield ImpersonationPair(Joined.BRIDGE_ONLY, each)
            continue
        left.remove(near[0])
        alone = len(near) == 1 and sum(abs(other.at - near[0].at) <= TOLERANCE_S for other in ours) == 1
        yield ImpersonationPair(Joined.JOINED if alone else Joined.AMBIGUOUS, each, near[0])
    yield from (ImpersonationPair(Joined.TENANT_ONLY, event=event) for event in left)


def _is_ours(event: TenantEvent, tenant: Tenant) -> bool:
    client = tenant.issuing_client
    is_impersonation = event.text("grantType") == IMPERSONATION
    return is_impersonation and client is not None and event.text("issuedToClientId") == client.id


def _user_of(event: TenantEvent, users: Collection[str]) -> str:
    """Return for whom a token is: Qlik names several ids and does not say which one is the user's."""
    named = [event.text("resourceOwner"), event.user_id, event.text("ownerId")]
    return next((each for each in named if each in users), event.user_id)
