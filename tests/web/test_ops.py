"""Alive, ready, counted."""

from dataclasses import dataclass

import pytest
from webkit import DEMO, Visitor, Web, problem, web

from bridge.errors import BridgeError, StoreError
from bridge.model import Unreadable


@dataclass
class FakeProbe:
    name: str = "database"
    problem: BridgeError | None = None

    def check(self) -> None:
        if self.problem:
            raise self.problem


@pytest.fixture
def operations(demo: Web) -> Visitor:
    return demo.visitor(peer="127.0.0.1")


def test_healthz_touches_nothing(demo: Web) -> None:
    for store in (demo.tenants, demo.sessions, demo.tokens):
        store.broken = True
    demo.probes.append(FakeProbe(problem=StoreError()))

    answer = demo.visitor().get("/healthz")

    assert (answer.status_code, answer.text) == (200, "ok")


def test_readyz_tells_strangers_whether_and_operations_what(demo: Web, operations: Visitor) -> None:
    probe = FakeProbe()
    demo.probes.append(probe)
    assert demo.visitor().get("/readyz").get_json() == {"ready": True}
    assert operations.get("/readyz").get_json() == {
        "ready": True,
        "probes": {"database": "ok"},
        "state_age_s": 0.2,
    }

    probe.problem = StoreError(detail="disk full")
    strangers, ours = demo.visitor().get("/readyz"), operations.get("/readyz")

    assert (strangers.status_code, ours.status_code) == (503, 503)
    assert strangers.headers["Retry-After"] == "1"
    assert strangers.get_json() == {"ready": False}
    assert ours.get_json() == {
        "ready": False,
        "probes": {"database": "store_error"},
        "state_age_s": 0.2,
    }


def test_readyz_names_a_tenant_that_cannot_be_read_and_serves_the_others(demo: Web, operations: Visitor) -> None:
    demo.tenants.bad["initech"] = Unreadable("host: must be https")

    strangers, ours = demo.visitor().get("/readyz"), operations.get("/readyz")

    assert (strangers.status_code, strangers.get_json()) == (200, {"ready": True})
    assert ours.get_json() == {
        "ready": True,
        "probes": {},
        "state_age_s": 0.2,
        "unreadable_tenants": {"initech": "host: must be https"},
    }


def test_metrics_are_for_operations(demo: Web, operations: Visitor, alice: Visitor) -> None:
    alice.get("/t/acme/config")

    answer = operations.get("/metrics")

    assert answer.content_type.startswith("text/plain")
    assert 'bridge_http_requests_total{route="/t/<tenant>/config",status="200"} 1.0' in answer.text
    stranger = demo.visitor().get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    assert stranger.status_code == 403
    assert "not_allowed" in stranger.text
    assert "bridge_http" not in stranger.text


def test_the_networks_can_be_others() -> None:
    application = web(**DEMO, BRIDGE_OPS_NETWORKS="10.0.0.0/8")

    assert application.visitor(peer="10.9.9.9").get("/metrics").status_code == 200
    assert application.visitor(peer="127.0.0.1").get("/metrics").status_code == 403


def test_problems_of_operation_are_pages_or_json(demo: Web) -> None:
    assert demo.visitor().get("/metrics").status_code == 403
    assert problem(demo.visitor().get("/api/v1/tenants"))[0] == 401
