"""The contract of ports.DecisionStore, over every implementation."""

from dataclasses import replace

from stores import Stores

from bridge.decisions import Decision, NotedDecision
from bridge.model import AuditEvent, Path

ALICE = NotedDecision("acme", "alice", Decision(Path.OAUTH, "TARGETING_MATCH", "pilots", "flagd"), 10.5)
BACK = replace(ALICE, decision=Decision(Path.JWT, "DEFAULT", None, "flagd"), since=20)


def test_nothing_is_known_at_first(stores: Stores) -> None:
    assert stores.decisions.get("acme", "alice") is None


def test_what_was_noted_is_known_byte_for_byte(stores: Stores, event: AuditEvent) -> None:
    assert stores.decisions.note(ALICE, instead_of=None, event=event)

    assert stores.decisions.get("acme", "alice") == ALICE
    assert stores.decisions.get("acme", "Alice") is None
    assert stores.decisions.get("globex", "alice") is None


def test_a_change_replaces_it_with_its_event(stores: Stores, event: AuditEvent) -> None:
    stores.decisions.note(ALICE, instead_of=None, event=None)

    assert stores.decisions.note(BACK, instead_of=ALICE, event=event)

    assert stores.decisions.get("acme", "alice") == BACK
    assert list(stores.audit.latest()) == [event]


def test_whoever_comes_late_changes_nothing(stores: Stores, event: AuditEvent) -> None:
    assert stores.decisions.note(ALICE, instead_of=None, event=event)
    assert not stores.decisions.note(BACK, instead_of=None, event=event)
    assert stores.decisions.note(BACK, instead_of=ALICE, event=event)
    assert not stores.decisions.note(ALICE, instead_of=ALICE, event=event)
    assert stores.decisions.note(ALICE, instead_of=BACK, event=None)

    assert stores.decisions.get("acme", "alice") == ALICE
    assert len(stores.audit.latest()) == 2
