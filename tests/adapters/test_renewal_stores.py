"""The contract of ports.renewals.RenewalStore, over every implementation."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fakes import FakeClock
from stores import Stores

from bridge.history import Notes
from bridge.model import Expiring, IssuedToken, TokenKey

LIFE_S = 21_600
Put = Callable[..., IssuedToken]


@pytest.fixture
def put(stores: Stores, clock: FakeClock) -> Put:
    """Keep a token that ends in so many seconds."""

    def keep(sub: str, life_s: float = 600, *, tenant: str = "acme", token_id: str = "") -> IssuedToken:
        key = TokenKey(tenant, "client", sub, "user_default", "r1")
        ends = clock() + life_s
        token = IssuedToken(key, token_id or f"id-{sub}", f"value-{sub}", "user_default", ends - LIFE_S, ends)
        stores.tokens.put(token)
        return token

    return keep


def see(stores: Stores, people: Mapping[str, float], tenant: str = "acme") -> None:
    stores.renewals.add(Notes({(tenant, sub): at for sub, at in people.items()}))


def due(stores: Stores, clock: FakeClock, limit: int = 10) -> list[Expiring]:
    now = clock()
    return list(stores.renewals.due("acme", now=now, before=now + 1800, seen_since=now - 3600, limit=limit))


def test_what_ends_soon_and_is_in_use_is_due_the_next_first(stores: Stores, clock: FakeClock, put: Put) -> None:
    bob, alice = put("bob", 900), put("alice", 600)
    put("later", 3600), put("unseen"), put("long ago"), put("globex", tenant="globex"), put("over", -1)
    see(
        stores, {"bob": clock(), "alice": clock() - 3600, "later": clock(), "long ago": clock() - 3601, "over": clock()}
    )
    see(stores, {"globex": clock()}, tenant="globex")

    found = due(stores, clock)

    assert found == [Expiring(each.key, each.token_id, each.issued_at, each.expires_at) for each in (alice, bob)]
    assert due(stores, clock, limit=1) == found[:1]


def test_one_worker_renews_a_token_until_its_claim_ends(stores: Stores, clock: FakeClock, put: Put) -> None:
    put("alice")
    see(stores, {"alice": clock()})
    (alice,) = due(stores, clock)

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(lambda _: stores.renewals.claim(alice, until=clock() + 60), range(4)))

    assert sorted(won) == [False, False, False, True]
    assert due(stores, clock) == []
    clock.advance(60)
    (again,) = due(stores, clock)
    assert again == replace(alice, claimed_until=clock())
    assert stores.renewals.claim(again, until=clock() + 60)


def test_a_successor_is_not_claimed_by_who_read_its_forerunner(stores: Stores, clock: FakeClock, put: Put) -> None:
    put("alice")
    see(stores, {"alice": clock()})
    (alice,) = due(stores, clock)
    put("alice", token_id="id-newer")

    assert not stores.renewals.claim(alice, until=clock() + 60)
    assert [each.token_id for each in due(stores, clock)] == ["id-newer"], "who was seen stays seen"


def test_a_revoked_token_is_not_due(stores: Stores, clock: FakeClock, put: Put) -> None:
    put("alice")
    see(stores, {"alice": clock()})
    stores.tokens.doom(tenant="acme", sub="alice")

    assert due(stores, clock) == []


def test_many_people_are_noted_in_one_go(stores: Stores, clock: FakeClock, put: Put) -> None:
    for number in range(30):
        put(f"user-{number}")
    see(stores, {f"user-{number}": clock() for number in range(40)})

    assert len(due(stores, clock, limit=100)) == 30
