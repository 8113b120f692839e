"""The contract of ports.SubjectStore, over every implementation."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from stores import Stores

from bridge.model import Subject, SubjectRecord
from bridge.plan import KnownPeople

ALICE = Subject("alice", "Alice", "alice@example.com", frozenset({"Finance", "EMEA"}))
FEWER = replace(ALICE, groups=frozenset({"EMEA"}))


def synced(record: SubjectRecord, at: float = 50) -> SubjectRecord:
    return replace(
        record,
        user_id="u-1",
        synced_fingerprint=record.subject.fingerprint(),
        synced_groups=record.subject.groups,
        synced_at=at,
    )


def test_nobody_is_known_at_first(stores: Stores) -> None:
    assert stores.subjects.get("acme", "alice") is None
    stores.subjects.forget_sync("acme", "alice")
    stores.subjects.record_sync(synced(SubjectRecord("acme", ALICE, 1)))
    assert stores.subjects.get("acme", "alice") is None


def test_a_note_is_remembered(stores: Stores) -> None:
    noted = stores.subjects.note("acme", ALICE, 10)
    assert noted == SubjectRecord("acme", ALICE, 10)
    assert stores.subjects.get("acme", "alice") == noted
    assert stores.subjects.get("globex", "alice") is None


def test_newer_facts_replace_older_ones(stores: Stores) -> None:
    stores.subjects.note("acme", ALICE, 10)
    assert stores.subjects.note("acme", FEWER, 11) == SubjectRecord("acme", FEWER, 11)
    assert stores.subjects.get("acme", "alice") == SubjectRecord("acme", FEWER, 11)


def test_facts_of_the_same_moment_replace_too(stores: Stores) -> None:
    stores.subjects.note("acme", ALICE, 10)
    assert stores.subjects.note("acme", FEWER, 10).subject == FEWER


def test_older_facts_never_come_back(stores: Stores) -> None:
    stores.subjects.note("acme", FEWER, 11)
    assert stores.subjects.note("acme", ALICE, 10) == SubjectRecord("acme", FEWER, 11)
    assert stores.subjects.note("acme", FEWER, 9).asserted_at == 11


def test_unchanged_facts_only_get_younger(stores: Stores) -> None:
    record = synced(stores.subjects.note("acme", ALICE, 10))
    stores.subjects.record_sync(record)
    assert stores.subjects.note("acme", ALICE, 12) == replace(record, asserted_at=12)
    assert stores.subjects.get("acme", "alice") == replace(record, asserted_at=12)


def test_a_sync_is_remembered(stores: Stores) -> None:
    record = synced(stores.subjects.note("acme", ALICE, 10))
    stores.subjects.record_sync(record)
    found = stores.subjects.get("acme", "alice")
    assert found == record
    assert found.is_synced(now=60, max_age_s=3600)


def test_changed_facts_keep_what_was_synced(stores: Stores) -> None:
    stores.subjects.record_sync(synced(stores.subjects.note("acme", ALICE, 10)))
    noted = stores.subjects.note("acme", FEWER, 20)
    assert (noted.user_id, noted.synced_groups, noted.synced_at) == ("u-1", ALICE.groups, 50)
    assert not noted.is_synced(now=60, max_age_s=3600)


def test_a_sync_of_facts_that_changed_meanwhile_does_not_count(stores: Stores) -> None:
    stores.subjects.record_sync(synced(stores.subjects.note("acme", ALICE, 10)))
    stores.subjects.get("acme", "alice")
    late = synced(stores.subjects.note("acme", FEWER, 20), at=55)
    back = stores.subjects.note("acme", ALICE, 30)
    assert back.is_synced(now=60, max_age_s=3600)
    stores.subjects.record_sync(late)
    found = stores.subjects.get("acme", "alice")
    assert found is not None
    assert found.subject == ALICE
    assert not found.is_synced(now=60, max_age_s=3600), "the tenant may hold the groups of the late login"
    assert found.synced_groups == ALICE.groups


def test_a_forgotten_sync_keeps_user_and_groups(stores: Stores) -> None:
    record = synced(stores.subjects.note("acme", ALICE, 10))
    stores.subjects.record_sync(record)
    stores.subjects.get("acme", "alice")
    stores.subjects.forget_sync("acme", "alice")
    assert stores.subjects.get("acme", "alice") == replace(record, synced_at=None)
    assert stores.subjects.get("acme", "alice", fresh=True) == replace(record, synced_at=None)


def test_a_browser_login_makes_memberships_unknown_and_the_next_sync_provisional(stores: Stores) -> None:
    stores.subjects.note_browser_login("acme", "alice", 200)
    assert stores.subjects.get("acme", "alice") is None
    record = synced(stores.subjects.note("acme", ALICE, 10))
    stores.subjects.record_sync(record)
    stores.subjects.get("acme", "alice")
    stores.subjects.note_browser_login("acme", "alice", 200)
    assert stores.subjects.get("acme", "alice") == replace(record, synced_at=None, browser_login_until=200)
    stores.subjects.record_sync(replace(record, synced_at=150))
    found = stores.subjects.get("acme", "alice")
    assert found is not None
    assert found.browser_login_until == 200
    assert found.is_synced(now=199, max_age_s=3600)
    assert not found.is_synced(now=200, max_age_s=3600)
    assert replace(found, synced_at=201).is_synced(now=300, max_age_s=3600)


def test_an_unclear_sync_may_have_brought_its_groups(stores: Stores) -> None:
    stores.subjects.note_unclear_sync("acme", ALICE)
    assert stores.subjects.get("acme", "alice") is None
    stores.subjects.record_sync(synced(stores.subjects.note("acme", FEWER, 10)))
    stores.subjects.get("acme", "alice")
    stores.subjects.note_unclear_sync("acme", ALICE)
    found = stores.subjects.get("acme", "alice")
    assert found is not None
    assert (found.user_id, found.synced_at, found.subject) == ("u-1", 50, FEWER)
    assert found.synced_groups == ALICE.groups
    assert not found.is_synced(now=60, max_age_s=3600)


ODD = ["Bob", "bob", "o'neil\"\\", "Zoë", "Zoe\u0308", "名前", "a b", "%", "bob ", "x" * 1000]


@pytest.mark.parametrize("sub", ODD)
def test_subjects_are_compared_byte_for_byte(stores: Stores, sub: str) -> None:
    others = ["BOB", "boB", "ZOË", "ZoE", "_"]
    for each in [*others, sub]:
        stores.subjects.note("acme", Subject(each, each, "", frozenset({each})), 10)
    found = stores.subjects.get("acme", sub)
    assert found == SubjectRecord("acme", Subject(sub, sub, "", frozenset({sub})), 10)


def test_three_hundred_groups_with_odd_names(stores: Stores) -> None:
    groups = frozenset(f"Gruppe {number} \"ä'\\ 🦊" for number in range(300))
    record = synced(stores.subjects.note("acme", replace(ALICE, groups=groups), 10))
    stores.subjects.record_sync(record)
    assert stores.subjects.get("acme", "alice", fresh=True) == record


def test_the_newest_of_many_at_once_stands(stores: Stores) -> None:
    def note(moment: int) -> None:
        stores.subjects.note("acme", replace(ALICE, groups=frozenset({f"g{moment}"})), moment)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, [5, 17, 3, 24, 9, 1, 23, 12, 8, 20, 2, 19]))
    found = stores.subjects.get("acme", "alice")
    assert found is not None
    assert (found.asserted_at, found.subject.groups) == (24, frozenset({"g24"}))


def test_everybody_of_a_tenant_is_told_with_their_newest_groups(stores: Stores) -> None:
    assert stores.subjects.known("acme", most=9) == KnownPeople(0, {})
    stores.subjects.note("acme", ALICE, 10)
    stores.subjects.note("acme", FEWER, 20)
    stores.subjects.note("acme", Subject("Zoe", "Zoe", "", frozenset()), 10)
    stores.subjects.note("globex", Subject("bob", "Bob", "", frozenset({"Sales"})), 10)
    everybody = {"alice": FEWER.groups, "Zoe": frozenset()}
    assert stores.subjects.known("acme", most=2) == KnownPeople(2, everybody)
    some = stores.subjects.known("acme", most=1)
    assert some.total == 2
    assert [everybody[sub] == groups for sub, groups in some.groups.items()] == [True]
