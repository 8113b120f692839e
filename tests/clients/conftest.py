"""A sandbox on free ports for the whole session, and the clients as `setup.sh` installed them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from storykit import ROOT, free_ports, running_sandbox

from clients.harness import NODE, Client, Tenant, go_without, is_installed, program_for_all, program_for_each

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"

Ports = tuple[int, int]


@pytest.fixture(scope="session")
def sandbox_ports() -> Iterator[Ports]:
    """Serve both tenants until the session ends."""
    acme, globex = free_ports(2)
    with running_sandbox(acme, globex, "http://localhost:8000"):
        yield acme, globex


@pytest.fixture
def acme(sandbox_ports: Ports) -> Tenant:
    return fresh_tenant(sandbox_ports[0])


@pytest.fixture
def globex(sandbox_ports: Ports) -> Tenant:
    return fresh_tenant(sandbox_ports[1])


def fresh_tenant(port: int) -> Tenant:
    tenant = Tenant(f"http://{LOOPBACK}:{port}")
    tenant.reset()
    return tenant


@pytest.fixture(scope="session")
def qlik_api() -> Client:
    """Qlik's @qlik/api for Node."""
    node = shutil.which("node")
    if node is None or not is_installed(NODE / "package-lock.json", NODE / "node_modules"):
        go_without("@qlik/api")
    return program_for_each(str(node), str(NODE / "qlik_api.mjs"))


@pytest.fixture(scope="session")
def qlik_sdk() -> Iterator[Client]:
    """Qlik's qlik-sdk for Python, in its own virtual environment."""
    venv = ROOT / ".venv-qlik-sdk"
    if not is_installed(ROOT / "requirements" / "qlik-sdk.lock", venv):
        go_without("qlik-sdk")
    with program_for_all(str(venv / "bin" / "python"), str(HERE / "qlik_sdk_scenarios.py")) as client:
        yield client
