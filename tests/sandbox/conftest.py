"""Two tenants in this process, put back to their seed before each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.sandbox import app, seed
from sandbox.kit import PORTAL, Sandbox

if TYPE_CHECKING:
    from bridge.sandbox.state import World


@pytest.fixture(scope="session")
def world() -> World:
    """Keys are slow to make, so all tests share them; `acme` and `globex` reset the rest."""
    return seed.build(["acme", "globex"], [PORTAL])


def _sandbox(world: World, slug: str) -> Sandbox:
    tenant = world.tenants[slug]
    client = app.create_app(tenant).test_client(use_cookies=False)
    sandbox = Sandbox(tenant, client)
    sandbox.reset()
    return sandbox


@pytest.fixture
def acme(world: World) -> Sandbox:
    return _sandbox(world, "acme")


@pytest.fixture
def globex(world: World) -> Sandbox:
    return _sandbox(world, "globex")
