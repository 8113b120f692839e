"""Two tenants in this process, put back to their seed before each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.sandbox import app, seed
from sandbox.kit import PORTAL, Sandbox

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from bridge.sandbox.tenant import World


@pytest.fixture(scope="session")
def world() -> World:
    """Keys are slow to make, so all tests share them; `acme` and `globex` reset the rest."""
    return seed.build(["acme", "globex"], [PORTAL])


@pytest.fixture(scope="session")
def clients(world: World) -> dict[str, FlaskClient]:
    apps = app.create_apps(world)
    return {slug: flask.test_client(use_cookies=False) for slug, flask in apps.items()}


def _sandbox(world: World, clients: dict[str, FlaskClient], slug: str) -> Sandbox:
    sandbox = Sandbox(world.tenants[slug], clients[slug])
    sandbox.reset()
    return sandbox


@pytest.fixture
def acme(world: World, clients: dict[str, FlaskClient]) -> Sandbox:
    return _sandbox(world, clients, "acme")


@pytest.fixture
def globex(world: World, clients: dict[str, FlaskClient]) -> Sandbox:
    return _sandbox(world, clients, "globex")
