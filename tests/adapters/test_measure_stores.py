"""The contract of ports.watching.MeasureStore and ports.watching.Outbox, over every implementation."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import pytest
from fakes import FakeClock
from stores import Stores, sql_stores

from bridge.adapters.sql import Database, SqlMeasures
from bridge.adapters.vault import Vault
from bridge.errors import Conflict, StoreError
from bridge.guarding import Batch
from bridge.model import AuditEvent, Rollout, Tenant
from bridge.webhooks import Notice

NOTICE = Notice("acme-7", "acme", "tenant", '{"id": "acme-7"}', 100.5, 100.5)
Keep = Callable[..., None]


@pytest.fixture
def keep(stores: Stores, acme: Tenant, event: AuditEvent) -> Keep:
    """Keep notices with a move, as the product does."""
    stores.tenants.save(acme, starting_at=Rollout(), event=event)

    def move(*notices: Notice) -> None:
        now = stores.tenants.get("acme").rollout
        stores.tenants.move("acme", before=now, after=now, event=event, notices=notices)

    return move


def people(*digests: str, at: float = 100.5, tenant: str = "acme", crowd: str = "asked") -> Batch:
    return Batch(people={(tenant, crowd, digest): at for digest in digests})


class TestMeasures:
    def test_people_are_counted_once_however_often_they_come(self, stores: Stores) -> None:
        stores.measures.add(people("a", "b"))
        stores.measures.add(people("b", "c", at=101.5))
        stores.measures.add(people("a", crowd="rejected"))

        assert stores.measures.tallies({"acme"}, 0)["acme"] == {"asked": 3, "rejected": 1}

    def test_people_count_from_when_they_came_last(self, stores: Stores) -> None:
        stores.measures.add(people("a", "b"))
        stores.measures.add(people("b", at=200))

        assert stores.measures.tallies({"acme"}, 150)["acme"] == {"asked": 1}
        assert stores.measures.tallies({"acme"}, 200)["acme"] == {"asked": 1}
        assert stores.measures.tallies({"acme"}, 200.5).get("acme", {}) == {}

    def test_occurrences_add_up_from_a_slot_on(self, stores: Stores) -> None:
        stores.measures.add(Batch(counts={("acme", "calls", 100): 2, ("acme", "calls", 105): 3}))
        stores.measures.add(Batch(counts={("acme", "calls", 105): 4, ("acme", "throttled", 105): 1}))

        assert stores.measures.tallies({"acme"}, 100)["acme"] == {"calls": 9, "throttled": 1}
        assert stores.measures.tallies({"acme"}, 101)["acme"] == {"calls": 7, "throttled": 1}

    def test_tenants_are_kept_apart(self, stores: Stores) -> None:
        stores.measures.add(people("a"))
        stores.measures.add(people("a", "b", tenant="globex"))

        both = stores.measures.tallies({"acme", "globex", "nobody"}, 0)
        assert (both["acme"], both["globex"], both.get("nobody", {})) == ({"asked": 1}, {"asked": 2}, {})
        assert "globex" not in stores.measures.tallies({"acme"}, 0)

    def test_what_is_old_is_removed(self, stores: Stores) -> None:
        stores.measures.add(people("a"))
        stores.measures.add(people("b", at=200))
        stores.measures.add(Batch(counts={("acme", "calls", 100): 2, ("acme", "calls", 200): 3}))

        stores.measures.remove_older(150)

        assert stores.measures.tallies({"acme"}, 0)["acme"] == {"asked": 1, "calls": 3}

    def test_workers_that_write_at_once_lose_nothing(self, database: Database) -> None:
        """In whatever order each noted things."""
        store = SqlMeasures(database)
        names = [f"name-{number}" for number in range(20)]

        def worker(number: int) -> None:
            mine = names if number % 2 else names[::-1]
            store.add(Batch(counts={("acme", name, 100): 1 for name in mine}))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(worker, range(24)))

        assert set(store.tallies({"acme"}, 0)["acme"].values()) == {24}


class TestOutbox:
    def test_a_notice_waits_until_it_is_due(self, stores: Stores, keep: Keep) -> None:
        keep(NOTICE)

        assert stores.outbox.due(100, limit=5) == []
        assert stores.outbox.due(100.5, limit=5) == [NOTICE]

    def test_the_same_notice_is_kept_once_a_webhook(self, stores: Stores, keep: Keep) -> None:
        keep(NOTICE)
        keep(replace(NOTICE, body="{}"), replace(NOTICE, to="all"))

        assert {(each.to, each.body) for each in stores.outbox.due(200, limit=5)} == {
            ("tenant", NOTICE.body),
            ("all", NOTICE.body),
        }

    def test_one_worker_claims_a_notice(self, stores: Stores, keep: Keep) -> None:
        keep(NOTICE)

        assert stores.outbox.claim(NOTICE, until=160)
        assert not stores.outbox.claim(NOTICE, until=170)
        assert stores.outbox.due(159, limit=5) == []
        assert stores.outbox.due(160, limit=5) == [replace(NOTICE, attempts=1, due_at=160)]

    def test_a_notice_is_postponed_with_its_problem_or_removed(self, stores: Stores, keep: Keep) -> None:
        keep(NOTICE)
        stores.outbox.postpone(NOTICE, until=300, problem="status_500")
        assert stores.outbox.due(299, limit=5) == []
        assert stores.outbox.waiting("acme") == [replace(NOTICE, due_at=300, problem="status_500")]

        stores.outbox.remove(NOTICE)
        assert stores.outbox.due(1000, limit=5) == []

    def test_oldest_first_and_not_too_many(self, stores: Stores, keep: Keep) -> None:
        keep(*(replace(NOTICE, id=str(number), due_at=number, created_at=number) for number in (3, 1, 2)))

        assert [each.id for each in stores.outbox.due(200, limit=2)] == ["1", "2"]
        assert [each.id for each in stores.outbox.waiting("acme")] == ["1", "2", "3"]
        assert stores.outbox.waiting("globex") == []
        assert stores.outbox.depths() == {"acme": 3}

    def test_notices_are_kept_with_the_move_or_not_at_all(self, stores: Stores, keep: Keep, event: AuditEvent) -> None:
        keep()
        stale = replace(stores.tenants.get("acme").rollout, revision=99)
        with pytest.raises(Conflict):
            stores.tenants.move("acme", before=stale, after=stale, event=event, notices=[NOTICE])

        assert stores.outbox.waiting("acme") == []

    def test_a_fault_in_the_middle_leaves_neither_move_nor_event_nor_notice(
        self, database: Database, vault: Vault, clock: FakeClock, acme: Tenant, event: AuditEvent
    ) -> None:
        stores = sql_stores(database, vault, clock)
        stores.tenants.save(acme, starting_at=Rollout(), event=event)
        before = stores.tenants.get("acme").rollout
        broken = replace(NOTICE, to="all", created_at=cast("float", None))
        with pytest.raises(StoreError):
            stores.tenants.move("acme", before=before, after=before, event=event, notices=[NOTICE, broken])

        assert stores.tenants.get("acme").rollout == before
        assert (len(stores.audit.latest()), stores.outbox.waiting("acme")) == (1, [])
