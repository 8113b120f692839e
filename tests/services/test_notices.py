"""Notices: to whom, signed how, tried again when, and given up when."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from fakes import FakeClock, FakeOutbox, FakeTenants, FakeWebhooks
from pydantic import SecretStr
from samples import state

from bridge.errors import TenantTimeout
from bridge.model import Tenant
from bridge.services import notices as module
from bridge.services.notices import ATTEMPTS, Notices
from bridge.telemetry import Metrics
from bridge.webhooks import Webhook

OURS = Webhook(url="https://ops.example.com/bridge", secret=SecretStr("hush-for-everybody"))
HOOK = {"url": "https://hooks.example.com/acme", "secret": "hush-webhook-secret"}
ACME = state(notify=HOOK)
EVENT = {"event": "stage.step_back"}


@pytest.fixture
def outbox() -> FakeOutbox:
    return FakeOutbox()


@pytest.fixture
def hooks() -> FakeWebhooks:
    return FakeWebhooks()


@pytest.fixture
def tenants() -> FakeTenants:
    return FakeTenants(ACME)


@pytest.fixture
def notices(
    outbox: FakeOutbox, hooks: FakeWebhooks, tenants: FakeTenants, clock: FakeClock, metrics: Metrics
) -> Notices:
    return Notices(
        outbox=outbox,
        sender=hooks,
        tenants=tenants,
        for_all=OURS,
        clock=clock,
        metrics=metrics,
        chance=lambda: 0.5,
    )


def tell(notices: Notices, tenant: Tenant, notice_id: str, event: Mapping[str, str]) -> None:
    """Keep the notices of an event, as the store does with the change itself."""
    notices._outbox.put(*notices.written(tenant, notice_id, event))  # type: ignore[attr-defined]


def outcomes(metrics: Metrics, outcome: str) -> float:
    return metrics.registry.get_sample_value("bridge_notices_total", {"tenant": "acme", "outcome": outcome}) or 0


def test_the_tenants_webhook_and_that_of_all_hear_it_once(notices: Notices, hooks: FakeWebhooks) -> None:
    tell(notices, ACME.tenant, "acme-7", EVENT)
    for _ in range(3):
        notices.deliver()

    assert sorted(webhook.url for webhook, _, _ in hooks.posted) == [HOOK["url"], OURS.url]


def test_who_has_no_webhook_hears_nothing(outbox: FakeOutbox, notices: Notices) -> None:
    notices._for_all = None
    tell(notices, state().tenant, "acme-7", EVENT)

    assert outbox.rows == {}


def test_the_signature_can_be_verified_as_documented(notices: Notices, hooks: FakeWebhooks, clock: FakeClock) -> None:
    notices._for_all = None
    tell(notices, ACME.tenant, "acme-7", EVENT)
    notices.deliver()

    [(_, body, headers)] = hooks.posted
    signed = headers["Bridge-Timestamp"].encode() + b"." + body
    expected = "v1=" + hmac.new(HOOK["secret"].encode(), signed, hashlib.sha256).hexdigest()
    assert headers["Bridge-Signature"] == expected
    assert int(headers["Bridge-Timestamp"]) == int(clock())
    assert json.loads(body) == {"id": "acme-7", "at": clock(), "tenant": "acme", "event": "stage.step_back"}
    assert headers["Bridge-Notice"] == "acme-7"


def test_it_tries_again_later_and_later(
    notices: Notices, hooks: FakeWebhooks, clock: FakeClock, metrics: Metrics
) -> None:
    notices._for_all = None
    hooks.answers = [500, 301, TenantTimeout(), 204]
    tell(notices, ACME.tenant, "acme-7", EVENT)
    tried, problems = [], set()
    for second in range(60):
        before = len(hooks.posted)
        notices.deliver()
        tried += [second] * (len(hooks.posted) - before)
        clock.advance(1)

        problems |= {each.problem for each in notices._outbox.waiting("acme")}

    assert tried == [0, 2, 6, 14]
    assert problems == {"status_500", "status_301", "webhook_timeout"}
    assert [outcomes(metrics, name) for name in ("status_500", "status_301", "webhook_timeout", "ok")] == [1, 1, 1, 1]


def test_each_try_is_signed_anew(notices: Notices, hooks: FakeWebhooks, clock: FakeClock) -> None:
    notices._for_all = None
    hooks.answers = [500]
    tell(notices, ACME.tenant, "acme-7", EVENT)
    notices.deliver()
    clock.advance(2)
    notices.deliver()

    (_, first, one), (_, second, two) = hooks.posted
    assert first == second
    assert one["Bridge-Signature"] != two["Bridge-Signature"]


def test_it_gives_up_in_the_end(
    notices: Notices, hooks: FakeWebhooks, outbox: FakeOutbox, clock: FakeClock, metrics: Metrics
) -> None:
    notices._for_all = None
    hooks.answers = [500] * 100
    tell(notices, ACME.tenant, "acme-7", EVENT)
    start = clock()
    while outbox.rows:
        notices.deliver()
        clock.advance(60)

    assert len(hooks.posted) == ATTEMPTS == outcomes(metrics, "status_500")
    assert 3600 < clock() - start < 3 * 3600


def test_a_restart_in_the_middle_of_a_try_loses_nothing(
    notices: Notices, hooks: FakeWebhooks, outbox: FakeOutbox, clock: FakeClock
) -> None:
    notices._for_all = None
    tell(notices, ACME.tenant, "acme-7", EVENT)
    [notice] = outbox.due(clock(), limit=1)
    outbox.claim(notice, until=clock() + module.CLAIM_S)
    notices.deliver()
    assert hooks.posted == []

    clock.advance(module.CLAIM_S)
    notices.deliver()
    assert len(hooks.posted) == 1


def test_another_worker_sends_nothing_twice(notices: Notices, hooks: FakeWebhooks, outbox: FakeOutbox) -> None:
    notices._for_all = None
    tell(notices, ACME.tenant, "acme-7", EVENT)
    [seen_by_both] = outbox.rows.values()
    notices.deliver()
    outbox.rows[seen_by_both.id, seen_by_both.to] = replace(seen_by_both, attempts=1)

    assert not outbox.claim(seen_by_both, until=0)
    assert len(hooks.posted) == 1


def test_a_webhook_that_is_gone_by_now_is_not_called(
    notices: Notices, hooks: FakeWebhooks, outbox: FakeOutbox, tenants: FakeTenants
) -> None:
    notices._for_all = None
    tell(notices, ACME.tenant, "acme-7", EVENT)
    tenants.states.clear()
    notices.deliver()

    assert (hooks.posted, outbox.rows) == ([], {})


def test_nothing_is_signed_with_a_locked_secret(
    notices: Notices, hooks: FakeWebhooks, tenants: FakeTenants, metrics: Metrics
) -> None:
    tell(notices, ACME.tenant, "acme-7", EVENT)
    locked = Tenant.from_documents(ACME.tenant.public_document(), None)
    tenants.states["acme"] = replace(ACME, tenant=locked)
    notices.deliver()

    assert [webhook.url for webhook, _, _ in hooks.posted] == [OURS.url]
    assert outcomes(metrics, "secret_locked") == 1
