"""Go through a tenant's audit events page by page, as far back as we may ask."""

from collections.abc import Iterator

from bridge.model import Tenant
from bridge.ports import TenantEvents
from bridge.trail import Kind, TenantEvent

MAX_PAGES = 200
"""Of 100 events each: a fifth of what Qlik allows in a minute (Qlik: rate limiting, audits)."""


class EventReading:
    """One reading; `read_since` tells how far back it came. Raises a TenantError."""

    def __init__(self, events: TenantEvents, tenant: Tenant, since: float, until: float) -> None:
        self._events = events
        self._tenant = tenant
        self._since = since
        self._until = until
        self.read_since = since

    def events(self, kind: Kind, pages: int) -> Iterator[TenantEvent]:
        cursor = ""
        for _ in range(pages):
            page = self._events.page(self._tenant, kind, since=self._since, until=self._until, cursor=cursor)
            yield from page.events
            if not (cursor := page.following):
                self.read_since = self._since
                return
            self.read_since = min([event.at for event in page.events], default=self.read_since)
