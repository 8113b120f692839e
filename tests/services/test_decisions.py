"""What another flag provider decided: noted when it changes, audited when the path does."""

import uuid
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from fakes import FakeAudit, FakeClock, FakeDecisions
from openfeature import api as openfeature
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from samples import state, subject

from bridge.decisions import Decision, NotedDecision
from bridge.errors import StoreError
from bridge.model import AuditEvent, Path, Stage
from bridge.services.decisions import LOOK_AGAIN_S, Decisions
from bridge.services.rollout import Rollouts
from bridge.telemetry import Metrics

IN_MEMORY = "In-Memory Provider"


@dataclass
class Worker:
    """One worker of several that share a store and a flag service."""

    clock: FakeClock
    store: FakeDecisions
    provider: InMemoryProvider
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        openfeature.set_provider_and_wait(self.provider, domain := f"decisions-{uuid.uuid4()}")
        self.decisions = Decisions(self.store, self.clock, self.metrics)
        client = openfeature.get_client(domain)
        self.rollouts = Rollouts(client, self.metrics, may_block=True, decisions=self.decisions)

    def ask(self, sub: str = "alice", stage: Stage = Stage.ROLLOUT) -> Path:
        path = self.rollouts.path(state(stage), subject(sub))
        with suppress(StoreError):
            self.rollouts.flush()  # as the keeper does each second
        return path


class Flag:
    """The SDK's own in-memory provider, with one flag that a test turns."""

    def __init__(self) -> None:
        self.provider = InMemoryProvider({})
        self.turn("off")

    def turn(self, variant: str, reason: Reason = Reason.TARGETING_MATCH) -> None:
        variants = {"off": "jwt", "pilots": "oauth", "everyone": "oauth"}
        answer = FlagResolutionDetails(variants[variant], variant=variant, reason=reason)
        self.provider._flags["embed-path"] = InMemoryFlag(
            variant, variants, context_evaluator=lambda _flag, _context: answer
        )

    def break_down(self) -> None:
        self.provider._flags.clear()


@pytest.fixture
def flag() -> Flag:
    return Flag()


@pytest.fixture
def audit() -> FakeAudit:
    return FakeAudit()


@pytest.fixture
def store(audit: FakeAudit) -> FakeDecisions:
    return FakeDecisions(audit)


@pytest.fixture
def worker(flag: Flag, store: FakeDecisions) -> Worker:
    return Worker(FakeClock(), store, flag.provider)


def changes(audit: FakeAudit) -> list[tuple[str, str]]:
    return [(str(each.before and each.before["path"]), str(each.after and each.after["path"])) for each in audit.events]


def test_the_path_follows_the_provider_and_each_change_is_audited_once(
    worker: Worker, flag: Flag, audit: FakeAudit
) -> None:
    paths = [worker.ask(), worker.ask()]
    flag.turn("pilots")
    paths += [worker.ask(), worker.ask()]
    flag.turn("off")
    paths += [worker.ask(), worker.ask()]

    assert paths == [Path.JWT, Path.JWT, Path.OAUTH, Path.OAUTH, Path.JWT, Path.JWT]
    assert changes(audit) == [("jwt", "oauth"), ("oauth", "jwt")]


def test_the_event_says_who_decided_by_which_rule(worker: Worker, flag: Flag, audit: FakeAudit) -> None:
    flag.turn("pilots")
    worker.ask("bob")

    assert audit.events == [
        AuditEvent(
            at=worker.clock(),
            actor=f"flags:{IN_MEMORY}",
            action="path.change",
            tenant="acme",
            reason="TARGETING_MATCH, variant pilots",
            before={"subject": "bob", "path": "jwt"},
            after={
                "subject": "bob",
                "path": "oauth",
                "reason": "TARGETING_MATCH",
                "variant": "pilots",
                "provider": IN_MEMORY,
            },
        )
    ]


def test_another_rule_with_the_same_path_is_noted_but_no_event(worker: Worker, flag: Flag, audit: FakeAudit) -> None:
    flag.turn("pilots")
    worker.ask()
    flag.turn("everyone")
    worker.ask()

    assert worker.decisions.newest("acme", "alice") == NotedDecision(
        "acme", "alice", Decision(Path.OAUTH, "TARGETING_MATCH", "everyone", IN_MEMORY), worker.clock()
    )
    assert len(audit.events) == 1


def test_an_answer_from_a_cache_is_the_same_decision(worker: Worker, flag: Flag, audit: FakeAudit) -> None:
    flag.turn("pilots")
    worker.ask()
    first = worker.decisions.newest("acme", "alice")
    worker.clock.advance(LOOK_AGAIN_S + 1)
    flag.turn("pilots", Reason.CACHED)
    worker.ask()

    assert worker.decisions.newest("acme", "alice") == first
    assert len(audit.events) == 1


def test_a_service_that_is_away_changed_nobodys_mind(worker: Worker, flag: Flag, audit: FakeAudit) -> None:
    flag.turn("pilots")
    worker.ask()
    flag.break_down()

    assert worker.ask() is Path.JWT
    assert worker.rollouts.decide(state(Stage.ROLLOUT), subject()) == Decision(Path.JWT, "ERROR", None, IN_MEMORY)
    flag.turn("pilots")
    assert worker.ask() is Path.OAUTH
    assert len(audit.events) == 1


def test_what_a_stage_changes_is_known_but_has_events_of_its_own(worker: Worker, flag: Flag, audit: FakeAudit) -> None:
    flag.turn("pilots")
    worker.ask()
    worker.ask(stage=Stage.LEGACY)
    noted = worker.decisions.newest("acme", "alice")
    assert noted is not None
    assert noted.decision == Decision(Path.JWT, "STATIC", "legacy")
    worker.ask()

    assert changes(audit) == [("jwt", "oauth"), ("jwt", "oauth")]


def test_looking_leaves_no_trace(worker: Worker, flag: Flag, store: FakeDecisions) -> None:
    flag.turn("pilots")

    assert worker.rollouts.decide(state(Stage.ROLLOUT), subject()).path is Path.OAUTH
    assert store.rows == {}


def test_two_workers_tell_of_a_change_once(flag: Flag, store: FakeDecisions, audit: FakeAudit) -> None:
    clock = FakeClock()
    workers = [Worker(clock, store, flag.provider) for _ in range(2)]
    for variant in ("pilots", "off", "everyone"):
        flag.turn(variant)
        for worker in workers * 2:
            worker.ask()
        clock.advance(1)

    assert changes(audit) == [("jwt", "oauth"), ("oauth", "jwt"), ("jwt", "oauth")]


def test_what_another_worker_noted_is_seen_within_a_minute(flag: Flag, store: FakeDecisions, audit: FakeAudit) -> None:
    clock = FakeClock()
    one, other = (Worker(clock, store, flag.provider) for _ in range(2))
    flag.turn("pilots")
    one.ask()
    flag.turn("off")
    other.ask()
    flag.turn("pilots")
    one.ask()
    clock.advance(LOOK_AGAIN_S + 1)
    one.ask()

    assert changes(audit) == [("jwt", "oauth"), ("oauth", "jwt"), ("jwt", "oauth")]


def test_a_store_that_is_away_costs_neither_the_answer_nor_the_note(
    worker: Worker, flag: Flag, store: FakeDecisions, audit: FakeAudit
) -> None:
    """Nor does any request wait for it; what was noted is written when the store is back, and nothing is left out."""
    store.broken = True
    for variant in ("pilots", "off", "pilots"):
        flag.turn(variant)
        worker.ask()
    store.broken = False
    worker.rollouts.close()

    assert changes(audit) == [("jwt", "oauth"), ("oauth", "jwt"), ("jwt", "oauth")]


def test_a_request_asks_the_store_nothing(worker: Worker, flag: Flag, store: FakeDecisions) -> None:
    asked: list[str] = []
    store.get = lambda *_: asked.append("get")  # type: ignore[method-assign]
    flag.turn("pilots")
    worker.rollouts.path(state(Stage.ROLLOUT), subject())

    assert asked == []


def test_a_note_that_comes_late_does_not_undo_a_newer_one(flag: Flag, store: FakeDecisions) -> None:
    """One worker could not write for a while; another one wrote what the flag says now."""
    clock = FakeClock()
    slow, fast = (Worker(clock, store, flag.provider) for _ in range(2))
    flag.turn("pilots")
    slow.rollouts.path(state(Stage.ROLLOUT), subject())
    clock.advance(1)
    flag.turn("everyone")
    fast.ask()
    slow.rollouts.flush()

    noted = fast.decisions.newest("acme", "alice")
    assert noted
    assert noted.decision.variant == "everyone"


def test_our_own_provider_leaves_the_audit_to_the_moves(flag: Flag, worker: Worker, store: FakeDecisions) -> None:
    openfeature.set_provider_and_wait(flag.provider, domain := f"own-{uuid.uuid4()}")
    rollouts = Rollouts(openfeature.get_client(domain), worker.metrics, may_block=False)
    flag.turn("pilots")

    assert rollouts.path(state(Stage.ROLLOUT), subject()) is Path.OAUTH
    assert store.rows == {}
