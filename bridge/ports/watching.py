"""What services that watch over tenants need from the outside world."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from bridge.guarding import Batch, Tally
from bridge.licences import Licences
from bridge.model import Tenant
from bridge.webhooks import Notice, Webhook


class Directory(Protocol):
    """What a tenant's management client can look up. Every method raises a TenantError; nothing is changed."""

    def user_status(self, tenant: Tenant, sub: str) -> str | None:
        """Return the status of the user with exactly this subject (`active`, ...), or None when there is none."""

    def group_kind(self, tenant: Tenant, name: str) -> str | None:
        """Return where the group of exactly this name comes from (`idp`, `custom`), or None when there is none."""

    def licences(self, tenant: Tenant) -> Licences:
        """Return what the tenant tells about licences; no error when it tells nothing."""


class MeasureStore(Protocol):
    """What every worker measured, added up. Every method may raise StoreError."""

    def add(self, batch: Batch) -> None:
        """Add what one worker measured since it last did."""

    def tallies(self, tenants: Collection[str], since: float) -> Mapping[str, Tally]:
        """Return by tenant how many people and occurrences there were from *since* (unix seconds) on."""

    def remove_older(self, before: float) -> None:
        """Remove what was measured before that moment (unix seconds)."""


class Outbox(Protocol):
    """Notices on their way; `TenantStore.move` puts them there. Every method may raise StoreError."""

    def due(self, now: float, *, limit: int) -> Sequence[Notice]:
        """Return what is to be sent now, oldest first."""

    def claim(self, notice: Notice, *, until: float) -> bool:
        """Count one attempt and hide the notice until then; False when another worker was first."""

    def postpone(self, notice: Notice, *, until: float, problem: str) -> None:
        """Make it due at that moment (unix seconds), and keep why it did not arrive."""

    def remove(self, notice: Notice) -> None:
        """Forget a notice that arrived, or never will."""

    def waiting(self, tenant: str) -> Sequence[Notice]:
        """Return every notice of a tenant that did not arrive yet, oldest first."""


class WebhookSender(Protocol):
    """Posts to an address that an operator named."""

    def post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status of the answer; redirects are not followed. Raises a TenantError when there is none."""
