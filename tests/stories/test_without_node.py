"""`make demo` on a machine without Node.js and without a network: everything but the charts, and a reason for those."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from browserkit import Tabs
from playwright.sync_api import expect
from storykit import PATIENCE_S, ROOT, Tenant, free_ports, wait_until

NOWHERE = "http://127.0.0.1:9"
OFFLINE = {
    "PIP_INDEX_URL": NOWHERE,
    "PIP_RETRIES": "0",
    "PIP_CONFIG_FILE": os.devnull,
    "npm_config_registry": NOWHERE,
    "npm_config_fetch_retries": "0",
}
BUILT = shutil.ignore_patterns("node_modules", "dist", "why.txt", "__pycache__")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The sources as a fresh checkout has them, with the Python packages that `make` would install first."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for folder in ("bridge", "templates", "requirements", "keys"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=BUILT)
    for file in ("Makefile", "app.py", "pyproject.toml"):
        shutil.copy(ROOT / file, copy)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy


@pytest.fixture
def demo_without_node(checkout: Path, tmp_path: Path) -> Iterator[tuple[str, Tenant, Path]]:
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    portal, acme, globex = free_ports(3)
    log, nothing = tmp_path / "output", tmp_path / "nothing"
    nothing.mkdir()
    ports = {"DEMO_PORT": str(portal), "DEMO_ACME_PORT": str(acme), "DEMO_GLOBEX_PORT": str(globex)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BRIDGE_", "DEMO_", "MAKE"))}
    environment = {**kept, **ports, **OFFLINE, "PATH": str(nothing), "PYTHONPATH": str(checkout)}
    with log.open("wb") as output:
        command = [make, "--old-file=.venv/.runtime", "demo"]
        process = subprocess.Popen(
            command, cwd=checkout, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            wait_until(lambda: b"Ctrl-C stops everything" in log.read_bytes(), process, "make demo")
            yield f"http://localhost:{portal}", Tenant(f"http://127.0.0.1:{acme}"), log
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(PATIENCE_S)


@pytest.mark.real_client
def test_the_demo_starts_and_says_why_it_draws_no_charts(
    demo_without_node: tuple[str, Tenant, Path], tabs: Tabs
) -> None:
    base, acme, log = demo_without_node
    page = tabs("allowed")

    page.goto(f"{base}/login?next=/t/acme/")
    page.locator('button[name="username"][value="alice"]').click()

    expect(page.locator("#caller-name")).to_have_text("Alice Archer")
    why = acme.state()["front_end"]["why"]
    assert "draws no charts" in why
    assert why in log.read_text()
    expect(page.locator("qlik-embed").first).to_contain_text(why)
