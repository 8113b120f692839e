"""Three ways of knowing who asks, each with its own application."""

import pytest
from webkit import ASSERTION, DEMO, HEADER, Visitor, Web, web


@pytest.fixture
def demo() -> Web:
    return web(**DEMO)


@pytest.fixture
def portal() -> Web:
    """A portal that vouches by assertions; acme is on the new path."""
    found = web(**ASSERTION)
    found.at("oauth")
    return found


@pytest.fixture
def proxied() -> Web:
    return web(**HEADER)


@pytest.fixture
def alice(demo: Web) -> Visitor:
    return demo.visitor("alice")


@pytest.fixture
def erin(demo: Web) -> Visitor:
    return demo.visitor("erin")
