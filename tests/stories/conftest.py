"""The product as its users run it: real sandbox, real sockets, real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from storykit import PATIENCE_S, ROOT, Demo, Tenant, free_ports, wait_until


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    portal, acme, globex = free_ports(3)
    log = tmp_path_factory.mktemp("demo") / "output"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("BRIDGE_", "DEMO_"))},
        "DEMO_PORT": str(portal),
        "DEMO_ACME_PORT": str(acme),
        "DEMO_GLOBEX_PORT": str(globex),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge.cli", "demo"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        try:
            wait_until(lambda: b"Ctrl-C stops everything" in log.read_bytes(), process, "demo")
            yield Demo(
                base=f"http://localhost:{portal}",
                acme=Tenant(f"http://127.0.0.1:{acme}"),
                globex=Tenant(f"http://127.0.0.1:{globex}"),
                process=process,
                log=log,
                home=ROOT / "instance" / f"demo-{portal}",
            )
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


@pytest.fixture
def fresh(demo: Demo) -> Demo:
    """The demo with both tenants as seeded and acme in stage legacy."""
    demo.at("legacy")
    for tenant in (demo.acme, demo.globex):
        tenant.control("POST", "reset")
    return demo
