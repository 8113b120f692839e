"""What every test shares; at the end, how many tests ran with software that nobody here wrote."""

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = [report for report in terminalreporter.stats.get("passed", []) if "real_client" in report.keywords]
    rooms = Counter(report.nodeid.split("::")[0].rsplit("/", 1)[-1] for report in passed)
    listed = ", ".join(f"{count} in {name}" for name, count in sorted(rooms.items()))
    terminalreporter.write_line(f"Tests that ran with real clients: {len(passed)}" + (f" ({listed})" if listed else ""))
