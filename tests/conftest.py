"""What every test shares; at the end, how many tests ran with software that nobody here wrote."""

import logging
import shutil
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog
from postgreskit import MISSING, postgresql, tools
from quick import remember_what_applications_compile
from storykit import Tenant, free_ports, running_sandbox

pytest_plugins = ["skips"]
remember_what_applications_compile()

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
    if found is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Serve a private database for the whole session; what it holds need not survive a power failure."""
    programs = tools()
    if programs is None:
        pytest.skip(MISSING)
    with postgresql(programs, "fsync=off") as url:
        yield url


@pytest.fixture(scope="session")
def ports() -> dict[str, int]:
    """Name the ports of a bridge, and of the sandbox's two tenants."""
    return dict(zip(("bridge", "acme", "globex"), free_ports(3), strict=True))


@pytest.fixture(scope="session")
def sandbox(ports: dict[str, int]) -> Iterator[tuple[Tenant, Tenant]]:
    """Serve a sandbox for the whole session; whoever uses it resets it."""
    with running_sandbox(ports["acme"], ports["globex"], f"http://localhost:{ports['bridge']}"):
        yield Tenant(f"http://127.0.0.1:{ports['acme']}"), Tenant(f"http://127.0.0.1:{ports['globex']}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each folder's tests together, because they share servers, and put the longest first."""
    ranks = {folder: rank for rank, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = [report for report in terminalreporter.stats.get("passed", []) if "real_client" in report.keywords]
    rooms = Counter(report.nodeid.split("::")[0].rsplit("/", 1)[-1] for report in passed)
    listed = ", ".join(f"{count} in {name}" for name, count in sorted(rooms.items()))
    terminalreporter.write_line(f"Tests that ran with real clients: {len(passed)}" + (f" ({listed})" if listed else ""))
