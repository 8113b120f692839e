"""Leases: the contract of what ports.budget.BudgetStore and ports.TokenStore say of them, over every implementation."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fakes import FakeClock
from stores import Stores

from bridge.adapters.sql import Database, SqlBudget
from bridge.budgeting import Account, Lane, Lease, Spent
from bridge.model import IssuedToken, TokenKey

ACME = Account("acme", "client")
KEY = TokenKey("acme", "client", "alice", "user_default", "r1")
LEASE_S = 15


@pytest.fixture
def mine(clock: FakeClock) -> Lease:
    return Lease("acme", "alice", "worker-1", clock(), clock() + LEASE_S)


@pytest.fixture
def theirs(mine: Lease) -> Lease:
    return replace(mine, holder="worker-2")


@pytest.fixture
def token(clock: FakeClock) -> IssuedToken:
    return IssuedToken(KEY, "id-1", "secret-value-1", "user_default", clock(), clock() + 21_600)


def take(stores: Stores, lease: Lease, calls: int = 2) -> bool:
    account = Account(lease.tenant, "client")
    return stores.budget.claim(account, lambda *_: Spent(Lane.PAGE_OPEN, 100.0, calls), since=0, lease=lease)


def spent(stores: Stores) -> int:
    return sum(row.calls for row in stores.budget.spent(0).get(ACME, ()))


def test_one_worker_gets_it_and_the_other_spends_nothing(stores: Stores, mine: Lease, theirs: Lease) -> None:
    assert stores.budget.lease("acme", "alice") is None
    assert take(stores, mine)
    assert not take(stores, theirs)

    assert stores.budget.lease("acme", "alice") == mine
    assert spent(stores) == 2


def test_it_is_of_one_person_byte_for_byte(stores: Stores, mine: Lease, theirs: Lease) -> None:
    assert take(stores, mine)
    for other in (replace(theirs, sub="Alice"), replace(theirs, sub="o'neil\"\\"), replace(theirs, tenant="globex")):
        assert take(stores, other)


def test_its_holder_gets_more_time_with_each_claim(stores: Stores, mine: Lease) -> None:
    later = replace(mine, begun=mine.begun + 5, until=mine.until + 5)
    take(stores, mine)
    assert take(stores, later)

    assert stores.budget.lease("acme", "alice") == later


def test_who_is_sent_away_gets_none(stores: Stores, mine: Lease) -> None:
    assert take(stores, mine, calls=0)
    assert stores.budget.lease("acme", "alice") is None


def test_one_that_ended_is_taken_over(stores: Stores, mine: Lease, theirs: Lease) -> None:
    take(stores, mine)
    assert not take(stores, replace(theirs, begun=mine.until - 0.01))
    successor = replace(theirs, begun=mine.until, until=mine.until + LEASE_S)
    assert take(stores, successor)

    stores.budget.end_lease(mine)
    assert stores.budget.lease("acme", "alice") == successor, "it was not the late one's to end"


def test_a_clock_that_went_back_keeps_nobody_waiting(stores: Stores, mine: Lease, theirs: Lease) -> None:
    take(stores, mine)
    back = replace(theirs, begun=mine.begun - 3600, until=mine.until - 3600)

    assert take(stores, back)
    assert stores.budget.lease("acme", "alice") == back


def test_it_goes_with_the_token_that_came_of_it(stores: Stores, mine: Lease, token: IssuedToken) -> None:
    take(stores, mine)
    assert stores.tokens.put(token, mine)

    assert stores.tokens.get(KEY) == token
    assert stores.budget.lease("acme", "alice") is None


def test_a_late_token_is_kept_while_nobody_took_over(stores: Stores, mine: Lease, token: IssuedToken) -> None:
    late = replace(mine, until=mine.begun)
    take(stores, late)
    assert stores.tokens.put(token, late)


def test_a_late_token_does_not_replace_that_of_who_took_over(
    stores: Stores, mine: Lease, theirs: Lease, token: IssuedToken
) -> None:
    newer = replace(token, token_id="id-2", value="secret-value-2")
    take(stores, mine)
    take(stores, replace(theirs, begun=mine.until))
    assert not stores.tokens.put(token, mine)
    assert stores.tokens.get(KEY) is None
    assert stores.tokens.put(newer, theirs)
    assert stores.tokens.get(KEY) == newer

    assert {each.token_id for each in stores.tokens.doom()} == {"id-1", "id-2"}, "the late one is still to be ended"


@pytest.mark.parametrize(
    ("chosen", "life_s"),
    [({"tenant": "acme", "sub": "alice"}, LEASE_S), ({"tenant": "acme"}, 0), ({"sub": "alice"}, LEASE_S), ({}, 0)],
    ids=str,
)
def test_a_revocation_reaches_a_token_that_is_on_its_way(
    stores: Stores, mine: Lease, theirs: Lease, token: IssuedToken, chosen: dict[str, str], life_s: float
) -> None:
    held = replace(mine, until=mine.begun + life_s)
    take(stores, held)
    stores.tokens.doom(**chosen)
    assert not stores.tokens.put(token, held)

    found = stores.budget.lease("acme", "alice")
    assert found
    assert found.problem == "not_signed_in"
    assert stores.tokens.get(KEY) is None
    assert take(stores, theirs), "who signs in again waits for nobody"


def test_a_revocation_of_others_does_not(stores: Stores, mine: Lease, token: IssuedToken) -> None:
    take(stores, mine)
    for other in ({"sub": "Alice"}, {"tenant": "globex"}, {"tenant": "globex", "sub": "alice"}):
        stores.tokens.doom(**other)

    assert stores.tokens.put(token, mine)


def test_a_failure_is_there_for_those_who_wait_and_for_nobody_to_wait_for(
    stores: Stores, mine: Lease, theirs: Lease
) -> None:
    take(stores, mine)
    stores.budget.end_lease(theirs, "tenant_timeout")
    assert stores.budget.lease("acme", "alice") == mine, "it is not theirs"
    stores.budget.end_lease(mine, "tenant_timeout")
    found = stores.budget.lease("acme", "alice")
    assert found
    assert (found.holder, found.problem) == ("worker-1", "tenant_timeout")

    assert take(stores, theirs)
    assert stores.budget.lease("acme", "alice") == theirs


def test_without_a_failure_it_is_gone(stores: Stores, mine: Lease) -> None:
    take(stores, mine)
    stores.budget.end_lease(mine)

    assert stores.budget.lease("acme", "alice") is None


def test_those_of_the_dead_are_removed_at_last(stores: Stores, mine: Lease) -> None:
    take(stores, mine)
    stores.budget.keep(mine.until, mine.until)
    assert stores.budget.lease("acme", "alice") == mine
    stores.budget.keep(mine.until + 1, mine.until + 2)
    assert stores.budget.lease("acme", "alice") is None


def test_of_workers_that_ask_at_once_one_gets_it(database: Database, mine: Lease) -> None:
    store = SqlBudget(database)

    def ask(number: int) -> bool:
        lease = replace(mine, holder=f"worker-{number}")
        return store.claim(ACME, lambda *_: Spent(Lane.PAGE_OPEN, 100.0, 1), since=0, lease=lease)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(ask, range(12))) == 1
    assert store.spent(0)[ACME] == [Spent(Lane.PAGE_OPEN, 100.0, 1)]
