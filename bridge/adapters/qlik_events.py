"""The tenant's own audit events over HTTP (Qlik: GET /api/v1/audits), read by its management client."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from bridge.adapters.qlik_answers import document
from bridge.adapters.qlik_management import ManagementClient
from bridge.adapters.reach import ANYWHERE, Reach
from bridge.adapters.wire import Patience
from bridge.errors import TenantGarbled
from bridge.model import Tenant
from bridge.ports import Clock, SigningKeys
from bridge.trail import EventPage, Kind, TenantEvent

AUDITS = "/api/v1/audits"
PROVIDERS = "/api/v1/identity-providers"
PAGE = 100
MAX_PAGES = 20


class HttpTenantEvents:
    """Implements ports.TenantEvents."""

    def __init__(
        self, keys: SigningKeys, clock: Clock, *, patience: Patience | None = None, reach: Reach = ANYWHERE
    ) -> None:
        self._management = ManagementClient(keys, clock, patience or Patience(), reach)

    def provider_ids(self, tenant: Tenant) -> Mapping[tuple[str, str], str]:
        """Read the JWT identity providers (Qlik: GET /api/v1/identity-providers)."""
        found: dict[tuple[str, str], str] = {}
        cursor = ""
        for _ in range(MAX_PAGES):
            entries, cursor = self._list(tenant, PROVIDERS, {"limit": str(PAGE)}, cursor)
            for entry in entries:
                found |= dict(_named(entry))
            if not cursor:
                return found
        raise TenantGarbled(detail=f"{PROVIDERS}: more than {MAX_PAGES} pages")

    def page(self, tenant: Tenant, kind: Kind, *, since: float, until: float, cursor: str = "") -> EventPage:
        """Read one page of events (Qlik: GET /api/v1/audits by eventType and eventTime)."""
        asked = {"eventType": kind.value, "eventTime": f"{_iso(since)}/{_iso(until)}", "limit": str(PAGE)}
        entries, following = self._list(tenant, AUDITS, asked, cursor)
        return EventPage([_event(entry) for entry in entries], following)

    def _list(
        self, tenant: Tenant, path: str, asked: Mapping[str, str], cursor: str
    ) -> tuple[Sequence[dict[str, Any]], str]:
        """Return the entries of a page and the cursor of the following one."""
        query = urlencode({**asked, **({"next": cursor} if cursor else {})})
        found = document(path, self._management.get(tenant, f"{path}?{query}"))
        entries = found.get("data")
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            raise TenantGarbled(detail=f"{path}: no list of entries")
        return entries, _following(found.get("links"))


def _following(links: object) -> str:
    """Return the cursor in the link to the next page, and nothing else of it: where to ask is ours to know."""
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    return parse_qs(urlsplit(href).query).get("next", [""])[0] if isinstance(href, str) else ""


def _named(entry: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield issuer and key id of a JWT identity provider, with its id."""
    options, provider_id = entry.get("options"), entry.get("id")
    if not isinstance(options, dict) or not isinstance(provider_id, str):
        return
    keys = options.get("staticKeys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict):
            yield (str(options.get("issuer")), str(key.get("kid"))), provider_id


def _event(entry: Mapping[str, Any]) -> TenantEvent:
    """Return what matters of an entry. Raises TenantGarbled for one without id or time."""
    event_id, at, data = entry.get("id"), _unix(entry.get("eventTime")), entry.get("data")
    if not isinstance(event_id, str) or at is None:
        raise TenantGarbled(detail=f"{AUDITS}: an event without id or time")
    extensions = entry.get("extensions")
    address = extensions.get("originip") if isinstance(extensions, dict) else entry.get("originip")
    return TenantEvent(
        id=event_id,
        kind=str(entry.get("eventType", "")),
        at=at,
        user_id=str(entry.get("userId") or ""),
        address=address if isinstance(address, str) else "",
        data=data if isinstance(data, dict) else {},
    )


def _iso(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unix(text: object) -> float | None:
    try:
        moment = datetime.fromisoformat(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
