"""A tenant in trouble is stepped back by itself, whichever worker saw it, and the audit tells the story."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from storykit import Person, World, change_tenant

from bridge.bootstrap import Bridge
from bridge.guarding import Guardrails
from bridge.model import AuditEvent, Cohorts, Stage, TenantState
from bridge.plan import Ramp, read_steps
from bridge.services.stages import Move

LIMIT_S = 10
SECRET = "story-webhook-secret"
PEOPLE = ["alice", "bob", "carol", "erin"]


@dataclass
class Receiver:
    url: str = ""
    heard: list[dict[str, object]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def guarded(
    make_product: Callable[..., Bridge], serve: Callable[[Bridge], World], receiver: Receiver
) -> tuple[Bridge, World, list[Person]]:
    """Both tenants in `rollout`, everybody on the new path; globex minds four people, and none more than once."""
    bridge = make_product(BRIDGE_NOTIFY_URL=receiver.url, BRIDGE_NOTIFY_SECRET=SECRET)
    few = {name: {"minimum": 3} for name in ("issue_errors", "rejected_tokens")}
    change_tenant(bridge, guardrails=Guardrails.model_validate(few))
    for slug in ("acme", "globex"):
        for stage in (Stage.SHADOW, Stage.ROLLOUT):
            bridge.stages.move(slug, Move(stage, "test", percentage=100))
    world = serve(bridge)
    people = [world.person(name) for name in PEOPLE]
    return bridge, world, people


def within(limit_s: float, condition: Callable[[], bool]) -> float:
    """Return after how many seconds the condition held."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < limit_s, f"not within {limit_s} s"
        time.sleep(0.05)
    return time.monotonic() - started


def test_a_fault_at_one_tenant_steps_that_one_back(
    guarded: tuple[Bridge, World, list[Person]], receiver: Receiver
) -> None:
    bridge, world, people = guarded
    world.globex.control("POST", "faults", {"endpoint": "/oauth/token", "status": 500, "times": None})

    assert {each.access_token("globex").status_code for each in people} == {503}
    within(LIMIT_S, lambda: people[0].session("globex")["stage"] == "shadow")

    assert people[0].session("globex")["path"] == "jwt"
    assert all(each.get("/t/globex/token").ok for each in people)
    assert people[0].session("acme")["path"] == "oauth"
    [event] = [each for each in bridge.audit.latest(tenant="globex") if each.actor == "guardrail"]
    assert event.action == "stage.step_back"
    assert (event.after or {})["evidence"][0]["guardrail"] == "issue_errors"
    within(LIMIT_S, lambda: bool(receiver.heard))
    assert [each["event"] for each in receiver.heard] == ["stage.step_back"]
    assert not any(name in json.dumps(receiver.heard) for name in PEOPLE)


def test_a_ramp_whose_conditions_hang_keeps_no_guardrail_waiting(
    guarded: tuple[Bridge, World, list[Person]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its next step a ramp examines the tenant, and that may take as long as the tenant likes."""
    bridge, _, people = guarded
    asked, may_answer = threading.Event(), threading.Event()

    def hang(_state: TenantState, _to: Stage) -> tuple[()]:
        asked.set()
        may_answer.wait(10 * LIMIT_S)
        return ()

    monkeypatch.setattr(bridge.stages, "_conditions", (hang,))
    now = bridge.tenants.get("globex").rollout
    rising = Ramp(read_steps("50 % for 1 s, 100 %"), 1, bridge.clock() - 60)
    event = AuditEvent(bridge.clock() - 60, "test", "ramp.start", "globex", "story", None, None)
    after = replace(now, percentage=50, cohorts=Cohorts(frozenset(PEOPLE)), ramp=rising)
    bridge.tenants.move("globex", before=now, after=after, event=event)
    try:
        assert asked.wait(LIMIT_S)
        for name in PEOPLE:
            bridge.measures.note_rejection("globex", name)
        within(LIMIT_S, lambda: people[0].session("globex")["stage"] == "shadow")
    finally:
        may_answer.set()


def test_tokens_that_the_tenant_refuses_step_it_back(guarded: tuple[Bridge, World, list[Person]]) -> None:
    bridge, world, people = guarded
    given = [each.access_token("globex").headers["Token-Id"] for each in people]
    world.globex.control("POST", "tokens/expire")

    for person, token_id in zip(people, given, strict=True):
        person.access_token("globex", **{"X-Rejected-Token": token_id})
    within(LIMIT_S, lambda: people[0].session("globex")["stage"] == "shadow")

    [event] = [each for each in bridge.audit.latest(tenant="globex") if each.actor == "guardrail"]
    assert "rejected_tokens" in event.reason


def test_it_holds_until_a_person_moves_on(guarded: tuple[Bridge, World, list[Person]]) -> None:
    bridge, world, people = guarded
    world.globex.control("POST", "faults", {"endpoint": "/oauth/token", "status": 403, "times": None})
    for each in people:
        each.access_token("globex")
    within(LIMIT_S, lambda: bridge.tenants.get("globex").rollout.stage is Stage.SHADOW)
    world.globex.control("DELETE", "faults")

    erin = people[PEOPLE.index("erin")]
    refused = erin.move("globex", "rollout", percent=100)
    assert [each["condition"] for each in refused.json()["unmet"]] == ["guardrails"]
    assert erin.move("globex", "rollout", percent=100, force=True, reason="the client is trusted again").ok
    assert all(each.access_token("globex").ok for each in people)
    bridge.measures.flush()
    bridge.guardrails.watch()

    assert bridge.tenants.get("globex").rollout.stage is Stage.ROLLOUT
    actions = [each.action for each in bridge.audit.latest(tenant="globex") if each.actor == "guardrail"]
    assert actions == ["stage.step_back"]
