"""Tell webhooks what happened: signed, tried again for about two hours, kept in the store until they heard it."""

import hashlib
import hmac
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from bridge.errors import TenantError
from bridge.model import Tenant
from bridge.ports import Clock, TenantStore
from bridge.ports.watching import Outbox, WebhookSender
from bridge.services.background import Background
from bridge.telemetry import Metrics
from bridge.texts import iso
from bridge.webhooks import Notice, Webhook

log = structlog.get_logger()

AT_ONCE = 20
ATTEMPTS = 14
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 900.0
CLAIM_S = 60.0
"""While one worker sends a notice, the others leave it alone for so long; also when that one dies."""


@dataclass(frozen=True, slots=True)
class NoticeReport:
    """Of the tenant's webhook the host alone, as its address can hold a secret; that for all is known to be set."""

    host: str | None
    for_all: bool
    waiting: Sequence[Notice]

    def document(self) -> dict[str, Any]:
        return {"host": self.host, "for_all": self.for_all, "waiting": [_told(each) for each in self.waiting]}


class Notices:
    """Posts JSON to the tenant's webhook and to the one for all tenants, whichever there are."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        sender: WebhookSender,
        tenants: TenantStore,
        for_all: Webhook | None,
        clock: Clock,
        metrics: Metrics,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._tenants = tenants
        self._for_all = for_all
        self._clock = clock
        self._metrics = metrics
        self._chance = chance
        self._background = Background[Literal["due"]]("notices", lambda _: self.deliver(), room=1)
        self.close = self._background.close
        self.depths = outbox.depths

    def written(self, tenant: Tenant, notice_id: str, event: Mapping[str, Any]) -> Sequence[Notice]:
        """Return what tells of an event, one notice a webhook; whoever makes the change keeps them with it."""
        now = self._clock()
        body = json.dumps({"id": notice_id, "at": round(now, 3), "tenant": tenant.slug, **event}, sort_keys=True)
        targets: dict[Literal["tenant", "all"], Webhook | None] = {"tenant": tenant.notify, "all": self._for_all}
        return [Notice(notice_id, tenant.slug, to, body, now, now) for to, webhook in targets.items() if webhook]

    def report(self, tenant: Tenant) -> "NoticeReport":
        """Return where a tenant's notices go, and which wait. Raises StoreError."""
        host = tenant.notify.host if tenant.notify else None
        return NoticeReport(host, self._for_all is not None, self._outbox.waiting(tenant.slug))

    def deliver_soon(self) -> None:
        """Let the thread for it look at what is due: a webhook that is slow holds up nothing else."""
        self._background.offer("due")

    def deliver(self) -> None:
        """Try every notice that is due once. Raises StoreError."""
        for notice in self._outbox.due(self._clock(), limit=AT_ONCE):
            webhook = self._webhook(notice)
            if webhook is None:
                self._outbox.remove(notice)
            elif self._outbox.claim(notice, until=self._clock() + CLAIM_S):
                self._attempt(notice, webhook)

    def _webhook(self, notice: Notice) -> Webhook | None:
        """Return where a notice goes by now: addresses and secrets may have changed since it was written."""
        if notice.to == "all":
            return self._for_all
        state = self._tenants.all().get(notice.tenant)
        return state.tenant.notify if state else None

    def _attempt(self, notice: Notice, webhook: Webhook) -> None:
        outcome = self._post(notice, webhook)
        self._metrics.notices.labels(notice.tenant, outcome).inc()
        if outcome == "ok":
            self._outbox.remove(notice)
        elif notice.attempts + 1 >= ATTEMPTS:
            self._outbox.remove(notice)
            log.error("notice_given_up", tenant=notice.tenant, notice=notice.id, host=webhook.host, problem=outcome)
        else:
            self._outbox.postpone(notice, until=self._clock() + self._wait_s(notice.attempts), problem=outcome)
            log.warning("notice_not_delivered", tenant=notice.tenant, host=webhook.host, problem=outcome)

    def _post(self, notice: Notice, webhook: Webhook) -> str:
        if not webhook.secret:
            return "secret_locked"
        body, moment = notice.body.encode(), int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "Bridge-Notice": notice.id,
            "Bridge-Timestamp": str(moment),
            "Bridge-Signature": f"v1={signature(webhook.secret.get_secret_value(), moment, body)}",
        }
        try:
            status = self._sender.post(webhook, body, headers)
        except TenantError as failure:
            return failure.code().replace("tenant_", "webhook_")
        return "ok" if status // 100 == 2 else f"status_{status}"  # noqa: PLR2004 - HTTP's class of good answers

    def _wait_s(self, attempts: int) -> float:
        """Return how long to wait: twice as long each time, and a share of it by chance, so that crowds disperse."""
        return float(min(FIRST_WAIT_S * 2**attempts, LONGEST_WAIT_S)) * (0.5 + self._chance())


def _told(notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "to": notice.to,
        "written_at": iso(notice.created_at),
        "attempts": notice.attempts,
        "problem": notice.problem,
        "next_attempt_at": iso(notice.due_at),
    }


def signature(secret: str, moment: int, body: bytes) -> str:
    """Return the HMAC-SHA256 over `<unix seconds>.<body>`, as lower-case hex."""
    return hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
