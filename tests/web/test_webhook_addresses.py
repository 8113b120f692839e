"""Addresses of webhooks may hold secrets: nobody sees more of one than its host."""

from typing import Any

import pytest
from fakes import START
from webkit import DEMO, Web, web

from bridge.model import AuditEvent
from bridge.services.tenant_changes import Author

HUSH = "https://hooks.example.com/services/T0/hush?key=hush"
SHOWN = "https://hooks.example.com/…"
NOTIFY = {"url": HUSH, "secret": "0123456789abcdef"}
AUTHOR = Author("demo:erin", "because")


@pytest.fixture
def hooked(demo: Web) -> Web:
    tenant = demo.tenants.states["acme"].tenant
    put(demo, tenant.shown_document() | {"notify": NOTIFY})
    return demo


def put(demo: Web, fields: dict[str, Any]) -> None:
    seen = demo.tenants.states["acme"].revision
    demo.bridge.tenant_changes.put("acme", fields, seen=seen, author=AUTHOR)


def test_no_page_and_no_answer_shows_more_than_the_host(hooked: Web) -> None:
    visitor, bearer = hooked.visitor(), hooked.operator_token()
    hooked.audit.append(  # as versions before this one kept it
        AuditEvent(START, "cli:old", "tenant.change", "acme", "", {"notify.url": HUSH}, {"notify.url": HUSH + "2"})
    )
    pages = ("/admin/tenants/acme", "/admin/audit", "/admin/audit.csv", "/admin/audit.json", "/admin/settings")
    for path in (*pages, "/api/v1/tenants", "/api/v1/tenants/acme", "/api/v1/audit", "/api/v1/settings"):
        assert "hush" not in visitor.get(path, headers=bearer).text, path
    assert visitor.get("/api/v1/tenants/acme", headers=bearer).get_json()["notify"]["url"] == SHOWN
    assert hooked.tenants.states["acme"].tenant.notify.url == HUSH  # type: ignore[union-attr]


def test_the_shown_address_sent_back_keeps_the_whole_one(hooked: Web) -> None:
    shown = hooked.tenants.states["acme"].tenant.shown_document()
    put(hooked, shown | {"quiet_days": 20})

    tenant = hooked.tenants.states["acme"].tenant
    assert (tenant.quiet_days, tenant.notify.url) == (20, HUSH)  # type: ignore[union-attr]
    assert tenant.secrets()["notify"] == NOTIFY["secret"]
    assert hooked.tenants.events[-1].after == {"quiet_days": 20}


def test_another_path_of_the_same_host_is_a_change_that_the_audit_tells(hooked: Web) -> None:
    shown = hooked.tenants.states["acme"].tenant.shown_document()
    put(hooked, shown | {"notify": NOTIFY | {"url": "https://hooks.example.com/other"}})
    event = hooked.tenants.events[-1]
    told = hooked.visitor().get("/api/v1/audit?tenant=acme", headers=hooked.operator_token()).get_json()["events"][0]

    assert event.before == {"notify.url": SHOWN}
    assert event.after == {"notify.url": f"{SHOWN} (another address)"} == told["after"]


def test_the_webhook_of_all_tenants_is_shortened_too() -> None:
    bridge = web(**DEMO, BRIDGE_NOTIFY_URL=HUSH, BRIDGE_NOTIFY_SECRET="0123456789abcdef")

    headers = bridge.operator_token()

    for path in ("/admin/settings", "/api/v1/settings"):
        page = bridge.visitor().get(path, headers=headers)
        assert page.status_code == 200
        assert "hush" not in page.text
    assert bridge.settings.notify is not None
    assert bridge.settings.notify.url == HUSH
