"""What every test shares; at the end, how many tests ran with software that nobody here wrote."""

import logging
import os
import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

LONGEST_FIRST = ("browser", "stories", "deploy", "sandbox", "web", "clients", "cli", "adapters", "services")
"""A worker gets one file after the other: none is to be left alone with Chromium at the end."""


@pytest.fixture(autouse=True)
def _logging_is_each_tests_own() -> Iterator[None]:
    """Undo what commands configure for their process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The system's own Chromium; Playwright downloads none."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("Chromium is not installed; `make test` installs it where apt-get may be used")
    if found is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Start a private server as user postgres (it refuses root), on a free port, for the whole session."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        reason = "PostgreSQL is not installed: apt-get install postgresql"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="bridge-pg-"))
    owner = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    if owner:
        shutil.chown(folder, **owner)

    def run(tool: str, *arguments: str) -> None:
        command = [str(found[-1].with_name(tool)), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, extra_groups=[], **owner)  # type: ignore[call-overload]

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("initdb", "-A", "trust", "-U", "bridge", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=150"
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://bridge@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each folder's tests together, because they share servers, and put the longest first."""
    ranks = {folder: rank for rank, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = [report for report in terminalreporter.stats.get("passed", []) if "real_client" in report.keywords]
    rooms = Counter(report.nodeid.split("::")[0].rsplit("/", 1)[-1] for report in passed)
    listed = ", ".join(f"{count} in {name}" for name, count in sorted(rooms.items()))
    terminalreporter.write_line(f"Tests that ran with real clients: {len(passed)}" + (f" ({listed})" if listed else ""))
