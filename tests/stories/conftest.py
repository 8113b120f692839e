"""The product as its users run it: real sandbox, real sockets, real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from browserkit import Browsers, Tabs, running_browsers, tabs_of
from databasekit import own_database, put_database
from faultkit import Place, standing
from storykit import (
    PATIENCE_S,
    PORTAL_ISSUER,
    ROOT,
    Demo,
    Portal,
    Tenant,
    World,
    change_tenant,
    free_ports,
    nothing_left_behind,
    portal_keys,
    served,
    wait_until,
)

from bridge.bootstrap import Bridge, build
from bridge.cli.demo import apply_states, demo_environment
from bridge.ports import Clock
from bridge.settings import read_settings
from bridge.web import create_app


@pytest.fixture
def make_product(
    sandbox: tuple[Tenant, Tenant], ports: dict[str, int], tmp_path: Path
) -> Iterator[Callable[..., Bridge]]:
    """Builds the bridge in this process, with a database of its own and the tenants as seeded."""
    acme, globex = sandbox
    for tenant in sandbox:
        tenant.control("POST", "reset")

    made = ExitStack()
    made.enter_context(nothing_left_behind())

    def make(*admits: str, clock: Clock = time.time, **settings: str) -> Bridge:
        put_database(tmp_path)
        environment = demo_environment(tmp_path, ports) | settings
        bridge = build(read_settings({name: value for name, value in environment.items() if value}), clock=clock)
        made.callback(bridge.close)
        apply_states(bridge, tmp_path, ports, {"acme": acme.state(), "globex": globex.state()})
        if admits:
            change_tenant(bridge, admits=admits)
        return bridge

    with made:
        yield make


@pytest.fixture
def serve(sandbox: tuple[Tenant, Tenant], ports: dict[str, int]) -> Iterator[Callable[[Bridge], World]]:
    """Serves a bridge over a real socket."""
    with ExitStack() as servers:

        def start(bridge: Bridge) -> World:
            servers.enter_context(served(create_app(bridge), ports["bridge"]))
            return World(f"http://localhost:{ports['bridge']}", *sandbox)

        yield start


@pytest.fixture
def product(make_product: Callable[..., Bridge]) -> Bridge:
    return make_product()


@pytest.fixture
def world(product: Bridge, serve: Callable[[Bridge], World]) -> World:
    """The demo's bridge with both tenants, signed in to by anyone."""
    return serve(product)


@pytest.fixture
def portal(make_product: Callable[..., Bridge], serve: Callable[[Bridge], World], tmp_path: Path) -> Portal:
    """A bridge that believes a portal's assertions."""
    key, public = portal_keys()
    jwks = tmp_path / "jwks.json"
    jwks.write_text(public)
    bridge = make_product(
        "assertion",
        BRIDGE_IDENTITY="assertion",
        BRIDGE_ASSERTION_ISSUER=PORTAL_ISSUER,
        BRIDGE_ASSERTION_JWKS=str(jwks),
        BRIDGE_ADMIN_GROUPS="assertion:bridge-admins",
        BRIDGE_DEMO_PEOPLE="",
    )
    return Portal(serve(bridge), bridge, key)


@pytest.fixture(scope="module")
def browsers(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    with running_browsers(chromium, tmp_path_factory.mktemp("browsers")) as browsers:
        yield browsers


@pytest.fixture
def tabs(browsers: Browsers) -> Iterator[Tabs]:
    """Opens tabs of a browser that has third-party cookies `allowed` or `blocked`."""
    with tabs_of(browsers) as tabs:
        yield tabs


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`qlik-bridge demo` as a user starts it."""
    portal, acme, globex = free_ports(3)
    log = tmp_path_factory.mktemp("demo") / "output"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("BRIDGE_", "DEMO_"))},
        "DEMO_PORT": str(portal),
        "DEMO_ACME_PORT": str(acme),
        "DEMO_GLOBEX_PORT": str(globex),
        "BRIDGE_LOG_LEVEL": "debug",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge.cli", "demo"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        try:
            wait_until(lambda: b"Ctrl-C stops everything" in log.read_bytes(), process, "demo")
            yield Demo(
                f"http://localhost:{portal}",
                Tenant(f"http://127.0.0.1:{acme}"),
                Tenant(f"http://127.0.0.1:{globex}"),
                process=process,
                log=log,
                home=ROOT / "instance" / f"demo-{portal}",
            )
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest,
    sandbox: tuple[Tenant, Tenant],
    ports: dict[str, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """A bridge over one database after the other, before tenants that break on demand."""
    home = tmp_path_factory.mktemp("place")
    url = f"sqlite:///{home / 'bridge.db'}"
    if request.param == "postgresql":
        url = own_database(request.getfixturevalue("postgresql_url"), home.name)
    with standing(home, sandbox, ports, url) as place:
        yield place
        sandbox[0].control("POST", "reset")


@pytest.fixture
def broken(place: Place) -> Iterator[Place]:
    """The same, whole at the beginning of each case, and at its end."""
    place.heal()
    yield place
    place.heal()
