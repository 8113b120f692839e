"""Sessions by JWT, as the tenant's own audit events tell of them; the bridge's own logins set apart."""

from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address

from bridge.model import Tenant
from bridge.ports import Clock, TenantEvents
from bridge.services.event_reading import MAX_PAGES, EventReading
from bridge.trail import Apart, Kind, SessionReport, TenantEvent

IMPERSONATION = "urn:qlik:oauth:user-impersonation"


@dataclass(frozen=True, slots=True)
class _Known:
    """What tells whose a session was: ids of the bridge's providers, and its addresses where those are of no help."""

    browser: str
    sync: str
    addresses: frozenset[str]

    @property
    def apart(self) -> Apart:
        if self.sync not in {"", self.browser}:
            return Apart.PROVIDER
        return Apart.ADDRESS if self.addresses else Apart.NOTHING


class JwtSessions:
    """Reads who began a session by JWT. Raises a TenantError."""

    def __init__(self, events: TenantEvents, clock: Clock) -> None:
        self._events = events
        self._clock = clock

    def read(self, tenant: Tenant, *, since: float) -> SessionReport:
        """Count the sessions since then (unix seconds), newest first, as far back as we may ask."""
        known, providers = self._known(tenant, since)
        counts: Counter[str] = Counter()
        browsers: Counter[str] = Counter()
        last: float | None = None
        reading = EventReading(self._events, tenant, since, self._clock())
        for event in reading.events(Kind.SESSION_BEGIN, MAX_PAGES):
            whose = _whose(event, known, providers)
            counts[whose] += 1
            if whose == "browser":
                browsers[event.text("subject") or event.user_id] += 1
                last = max(last or 0, event.at)
        return SessionReport(
            apart=known.apart,
            read_since=reading.read_since,
            browsers=browsers,
            last_browser=last,
            bridge=counts["bridge"],
            unclear=counts["unclear"],
            others=counts["others"],
            addresses=known.addresses,
            knows_provider=known.browser != "",
        )

    def _known(self, tenant: Tenant, since: float) -> tuple[_Known, frozenset[str]]:
        ids = self._events.provider_ids(tenant)
        browser = ids.get((tenant.issuer, tenant.key_id), "")
        sync = ids.get((tenant.sync_issuer or "", tenant.sync_key_id or ""), "")
        is_apart = sync not in {"", browser}
        addresses = frozenset() if is_apart else self._own_addresses(tenant, since)
        return _Known(browser, sync, addresses), frozenset(ids.values())

    def _own_addresses(self, tenant: Tenant, since: float) -> frozenset[str]:
        """Return where the bridge's own calls come from: nobody else has the secret of the issuing client.

        An address of a private network is no proof: whoever stands behind the same gateway has it too.
        """
        if tenant.issuing_client is None:
            return frozenset()
        reading = EventReading(self._events, tenant, since, self._clock())
        ours = (
            event.address
            for event in reading.events(Kind.TOKEN_ISSUED, 1)
            if event.text("issuedToClientId") == tenant.issuing_client.id and event.text("grantType") == IMPERSONATION
        )
        return frozenset(address for address in ours if _is_public(address))


def _whose(event: TenantEvent, known: _Known, providers: frozenset[str]) -> str:
    """Say whose session it was; one by no JWT identity provider is nobody's here."""
    provider = event.text("idpId")
    if provider not in providers:
        return "elsewhere"
    if provider not in {known.browser, known.sync}:
        return "others"
    if known.apart is Apart.PROVIDER:
        return "browser" if provider == known.browser else "bridge"
    if known.apart is Apart.NOTHING or not event.address:
        return "unclear"
    return "bridge" if event.address in known.addresses else "browser"


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False
