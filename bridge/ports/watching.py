"""What services that watch over tenants need from the outside world."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from bridge.guarding import Batch, Tally
from bridge.history import HistoryNotes, Trouble
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


class HistoryStore(Protocol):
    """What happened at tenants, by slots of an hour and of a day (starts in unix seconds). May raise StoreError."""

    def add(self, notes: HistoryNotes, at: float) -> None:
        """Add what one worker noted until then (unix seconds). A person counts once a slot, whoever saw them."""

    def put(self, at: float, standings: Mapping[tuple[str, str], int]) -> None:
        """Keep how things stand at that moment (unix seconds), by tenant and name, in place of what stood before."""

    def counts(self, tenant: str, slot_s: int, *, since: int) -> Mapping[tuple[str, int], int]:
        """Return what was counted in slots of that length from *since* on, by name and slot."""

    def in_slot(
        self, tenants: Collection[str], names: Collection[str], slot_s: int, slot: int
    ) -> Mapping[tuple[str, str], int]:
        """Return what was counted in one slot, by tenant and name."""

    def troubles(self, tenant: str, slot_s: int, *, since: float, limit: int) -> Sequence[Trouble]:
        """Return the troubles of slots in which they were met since then (unix seconds), the newest first."""

    def claim(self, turn: int) -> bool:
        """Tell whether the caller is the first one to come for this turn, or a later one."""

    def sweep(self, now: float, *, most: int) -> bool:
        """Remove what is no longer kept, at most so many rows of a kind; tell whether there may be more of them."""


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

    def depths(self) -> Mapping[str, int]:
        """Return how many notices wait, by tenant; a tenant of whom none waits is left out."""


class WebhookSender(Protocol):
    """Posts to an address that an operator named."""

    def post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status of the answer; redirects are not followed. Raises a TenantError when there is none."""
