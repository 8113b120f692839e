"""What a token costs at the tenant when the person's groups did not change: one call, the mint."""

import time
from collections.abc import Callable

import pytest
from storykit import Person, World

from bridge.bootstrap import Bridge

MINT = "/oauth/token"
LIFE_S = 21_600


class Later:
    """The bridge's clock, which can be put forward."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
def product(make_product: Callable[..., Bridge], clock: Later) -> Bridge:
    return make_product(clock=clock)


@pytest.fixture
def alice(world: World) -> Person:
    """She has a token, for which she was logged in."""
    world.at("oauth")
    alice = world.person("alice")
    assert alice.access_token("acme").ok
    assert len(world.acme.calls()) > 1
    world.acme.forget_calls()
    return alice


def test_a_first_token_for_somebody_whose_groups_are_known(world: World, product: Bridge, alice: Person) -> None:
    product.broker.revoke(tenant="acme", sub="alice")
    world.acme.forget_calls()

    assert alice.access_token("acme").ok
    assert world.acme.calls() == [MINT]


def test_a_renewal_that_a_page_asks_for(world: World, alice: Person, clock: Later) -> None:
    old = alice.access_token("acme").text
    clock.ahead_s = LIFE_S - 300
    alice = world.person("alice")  # a session ends after an hour
    world.acme.forget_calls()

    assert alice.access_token("acme").text != old
    assert world.acme.calls() == [MINT]


def test_a_renewal_ahead_of_need(world: World, product: Bridge, alice: Person, clock: Later) -> None:
    old = alice.access_token("acme").text
    clock.ahead_s = LIFE_S - 800
    alice = world.person("alice")
    world.acme.forget_calls()
    alice.session("acme")
    product.renewals.flush()
    product.renewals.run()

    assert world.acme.calls() == [MINT]
    assert alice.access_token("acme").text != old
    assert world.acme.calls() == [MINT]
