"""With every place behind the bulkhead taken: who is sent away, with what, and who is served as ever."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from webkit import Visitor, Web, problem

from bridge.errors import BridgeBusy
from bridge.services.bulkhead import take_place

CONTENT = {"app_id": "app-acme", "hypercube_dimension": "Product", "hypercube_measure": "Sum(Sales)"}


@contextmanager
def full(web: Web) -> Iterator[None]:
    """Take all places that one tenant may have."""
    with ExitStack() as waiting:
        while True:
            with ExitStack() as request:
                request.enter_context(web.bridge.bulkhead.seat())
                try:
                    take_place("acme")
                except BridgeBusy:
                    break
                waiting.push(request.pop_all())
        yield


def taken(web: Web) -> float:
    return web.metrics.registry.get_sample_value("bridge_bulkhead_taken", {"tenant": "acme"}) or 0


def test_a_first_token_is_told_when_to_come_back(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    with full(demo):
        answer = alice.access_token()

    assert problem(answer) == (503, "bridge_busy")
    assert int(answer.headers["Retry-After"]) >= 1
    assert demo.qlik.calls == []
    assert alice.access_token().status_code == 200


def test_who_waits_for_nobody_is_served(demo: Web, alice: Visitor, erin: Visitor) -> None:
    demo.at("oauth")
    first = alice.access_token().text
    with full(demo):
        assert alice.access_token().text == first
        assert alice.get("/t/acme/session").status_code == 200
        assert alice.get("/t/acme/token").status_code == 200, "the browser logs in by itself"
        assert erin.get("/admin/").status_code == 200
        assert demo.visitor("bob").get("/t/acme/config").status_code == 200


@pytest.mark.parametrize("path", ["app-sheets", "hypercube", "user-attributes"])
def test_what_asks_the_engine_waits_too(demo: Web, alice: Visitor, path: str) -> None:
    demo.at("oauth")
    demo.change(content=CONTENT)
    alice.access_token()
    with full(demo):
        assert problem(alice.get(f"/t/acme/{path}")) == (503, "bridge_busy")


def test_an_operator_who_examines_the_tenant_is_told_so_too(demo: Web, erin: Visitor) -> None:
    with full(demo):
        assert problem(erin.get("/api/v1/tenants/acme/doctor")) == (503, "bridge_busy")


def test_no_answer_keeps_a_place(demo: Web, alice: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that is a defect after the answer was made."""
    demo.at("oauth")
    seen: list[float] = []

    def fail(*_: object) -> None:
        seen.append(taken(demo))
        raise RuntimeError("a defect")

    proof = alice.csrf()
    monkeypatch.setattr(demo.bridge.renewals, "saw", fail)
    assert problem(alice.post("/t/acme/access-token", headers=proof)) == (500, "internal_error")

    assert seen == [1]
    assert taken(demo) == 0
