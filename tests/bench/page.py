"""docs/benchmarks.md and its plots, from what the parts of the bench found."""

import math
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import load
from bench.load import Measured

HOW_TO_READ = """\
Written by `make bench`; do not edit. Read ratios, not absolute numbers: everything ran on one machine, load and servers
beside each other, in turns, so that noise met all alike.
"""
COLORS = ("#4a44b4", "#2f855a", "#b7791f", "#b83280")
WIDTH, LEFT, BAR, GAP = 800, 330, 20, 10

Bar = tuple[str, float, int]
"""What it stands for, how much it is, and the number of its colour."""


@dataclass(frozen=True)
class Target:
    """A line of the table of targets. `why`: what is known of the cause, for when it is missed."""

    what: str
    sign: str
    wanted: float
    unit: str
    found: float
    why: str = ""

    @property
    def is_met(self) -> bool:
        return {"≥": self.found >= self.wanted, "≤": self.found <= self.wanted, "=": self.found == self.wanted}[
            self.sign
        ]

    @property
    def verdict(self) -> str:
        if self.is_met:
            return "met"
        by = f" by {abs(self.found - self.wanted) / self.wanted * 100:.0f} %" if self.wanted else ""
        return f"**missed**{by}"

    def row(self) -> str:
        wanted, found = (f"{each:,.3g}" if each < 1000 else f"{each:,.0f}" for each in (self.wanted, self.found))
        return f"| {self.what} | {self.sign} {wanted} {self.unit} | {found} {self.unit} | {self.verdict} |"


@dataclass(frozen=True)
class Section:
    """What one part of the bench has to say. `plots`: by the name of the file."""

    title: str
    text: Sequence[str]
    targets: Sequence[Target] = ()
    plots: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    """What of it could not be measured, and why."""


@dataclass(frozen=True)
class Results:
    sections: Sequence[Section]
    failures: Mapping[str, str]
    """Why a part is not measured."""
    seconds: int
    rounds: int
    took_s: float
    loads: Sequence[float]


def write(folder: Path, results: Results) -> None:
    (folder / "benchmarks.md").write_text("\n".join(lines(results)) + "\n")
    for section in results.sections:
        for name, plot in section.plots.items():
            (folder / name).write_text(plot)


def lines(results: Results) -> Iterator[str]:
    yield from ("# Benchmarks", "", HOW_TO_READ)
    yield from _circumstances(results)
    yield from ("## Targets", "")
    yield from targets(results)
    for section in results.sections:
        yield from (f"## {section.title}", "", *section.text, "")
    yield from ("## Not measured", "", "TLS, and a real tenant.")


def targets(results: Results) -> Iterator[str]:
    yield from ("| measure | wanted | found | |", "| --- | --- | --- | --- |")
    listed = [target for section in results.sections for target in section.targets]
    yield from (target.row() for target in listed)
    yield from (f"| {name} | | | **not measured**: {why} |" for name, why in results.failures.items())
    yield ""
    if reasons := dict.fromkeys(target.why for target in listed if target.why and not target.is_met):
        yield from ("What is known of why:", "", *(f"- {why}" for why in reasons), "")


def _circumstances(results: Results) -> Iterator[str]:
    loads = ", ".join(f"{each:.1f}" for each in results.loads)
    packages = ", ".join(f"{name} {version(name)}" for name in ("gunicorn", "flask", "sqlalchemy"))
    yield from ("| | |", "| --- | --- |")
    yield f"| when | {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {results.took_s / 60:.1f} min |"
    yield f"| machine | {_processor()}, {os.cpu_count()} processors, {platform.system()} {platform.machine()} |"
    yield f"| load average of others | {loads} before it began (1, 5, 15 min) |"
    yield f"| versions | Python {sys.version.split()[0]}, {packages} |"
    yield f"| load | {load.generator()}, {load.CONNECTIONS} connections kept open, unless said otherwise |"
    yield f"| figures | medians of {results.rounds} rounds of {results.seconds} s each, unless said otherwise |"
    yield '| again | `make bench`; one part of it: `make bench BENCH="--only morning"` |'
    yield ""


def _processor() -> str:
    try:
        found = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in found if line.startswith("model name")), "unknown processor"
    )


def table(*heads: str) -> Sequence[str]:
    """Return the head of a table whose columns, but the first, are numbers."""
    return [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]


def row(name: str, each: Measured, *, refusals_expected: bool = False) -> str:
    """Return the line of one run; what was not served is said, nothing is hidden in a rate."""
    found = [] if refusals_expected or not each.refused else [f"{each.refused:,} refused"]
    found += [f"{each.broken:,} without an answer"] if each.broken else []
    trouble = f" ({', '.join(found)} of {each.requests:,})" if found else ""
    return f"| {name}{trouble} | {each.per_s:,.0f} | {each.p50_ms:.1f} | {each.p99_ms:.1f} |"


def plot(title: str, bars: Sequence[Bar], *, is_logarithmic: bool = True) -> str:
    """Draw horizontal bars, readable on light and dark ground."""
    height = 50 + len(bars) * (BAR + GAP)
    most = max(value for _, value, _ in bars)
    words = "; ".join(f"{name}: {value:,.0f}" for name, value, _ in bars)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">',
            f"<title>{title}</title><desc>{words}</desc>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
            '<g font-family="system-ui, sans-serif" font-size="13" fill="#1a202c">',
            f'<text x="16" y="26" font-weight="600">{title}</text>',
            *(
                _bar(place, each, _share(each[1], most, is_logarithmic=is_logarithmic))
                for place, each in enumerate(bars)
            ),
            "</g></svg>\n",
        ]
    )


def _bar(place: int, bar: Bar, share: float) -> str:
    name, value, color = bar
    y, length = 42 + place * (BAR + GAP), share * (WIDTH - LEFT - 90)
    return (
        f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{name}</text>'
        f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3" fill="{COLORS[color]}"/>'
        f'<text x="{LEFT + length + 8:.1f}" y="{y + 15}">{value:,.0f}</text>'
    )


def _share(value: float, most: float, *, is_logarithmic: bool) -> float:
    """Return how much of the width a value takes; on the logarithmic scale one a second takes nothing."""
    if not is_logarithmic:
        return value / max(most, 1e-9)
    return max(0.0, math.log10(max(value, 1.0)) / max(math.log10(max(most, 1.0)), 1e-9))
