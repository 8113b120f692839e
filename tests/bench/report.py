"""docs/benchmarks.md and its plots, from what was measured."""

import math
import os
import platform
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import load, servers
from bench.load import Measured

REFUSED_ON_JWT = "POST access-token"
"""In stage `shadow` it answers 409 `still_on_jwt`."""

HOW_TO_READ = """\
Written by `make bench`; do not edit. Read ratios, not absolute numbers: everything ran on one machine, load and servers
beside each other, in turns, so that noise met all alike.
"""
TOKENS = """\
*null*: a Flask endpoint that reads a signed session and says who it is. *warm*: `POST /access-token` of 32 people
whose token the bridge has. *pooled*: logs in and mints at each request, with its key and its connections kept.
*naive*: the same with the key as text and a connection for each call. The tenant answers each call after so many
milliseconds, and does nothing else."""
FIRST_TOKENS = """\
One person after the other, each for the first time: a login, who that was (two calls, as Qlik redirects the first),
a mint. Beside it the same four calls by a client that does nothing else, over one connection."""
SHADOW = """\
The requests of people in stage `shadow`, of whom nobody is tried (*off*), everybody (*answering*: a sandbox beside
it), and everybody while each call of a trial hangs (*hanging*). `POST access-token` answers 409 there: these people
are on the path `jwt`."""
WHY_WARM = """\
Warm: by a profile of 1,500 warm requests (cProfile, 21 November 2026) the log line of each request took about 30 %
of the bridge's time; finding the session, the measures for guardrails, security headers and CORS share the rest
with Flask. The null endpoint does none of that."""
WHY_COLD = """\
First tokens: not examined yet. Between the calls the bridge signs a JWT and writes the person, the sync and the
encrypted token to SQLite, each in a transaction of its own."""
NOT_MEASURED = """\
TLS, PostgreSQL, several machines, other servers than gunicorn's `gthread`, Qlik's Node sample, cold requests beside
warm ones, and memory. The shadow's sandbox runs on the same processors, so its work is part of what shadow costs
here."""

COLORS = {"off": "#4a44b4", "answering": "#2f855a", "hanging": "#b7791f", "": "#4a44b4"}
WIDTH, LEFT, BAR, GAP = 800, 290, 20, 10


@dataclass(frozen=True)
class Cold:
    """First tokens: how long each took (ms), and the steps that the bridge told of the last one."""

    took_ms: Sequence[float]
    steps: Sequence[str]


@dataclass(frozen=True)
class Results:
    """All that was measured."""

    tokens: Mapping[str, Measured]
    cold: Mapping[int, Cold]
    floor: Mapping[int, Sequence[float]]
    shadow: Mapping[str, Mapping[str, Measured]]
    seconds: int
    rounds: int
    took_s: float


@dataclass(frozen=True)
class Target:
    """A line of the table of targets."""

    what: str
    wanted: float
    unit: str
    found: float
    why: str
    """What is known of the cause, for when it is missed."""
    is_least: bool = True

    @property
    def is_met(self) -> bool:
        return self.found >= self.wanted if self.is_least else self.found <= self.wanted

    @property
    def verdict(self) -> str:
        if self.is_met:
            return "met"
        return f"missed by {abs(self.found - self.wanted) / self.wanted * 100:.0f} %"

    def row(self) -> str:
        sign = "≥" if self.is_least else "≤"
        return f"| {self.what} | {sign} {self.wanted:g} {self.unit} | {self.found:.3g} {self.unit} | {self.verdict} |"


def write(folder: Path, results: Results) -> None:
    (folder / "benchmarks.md").write_text("\n".join(_page(results)) + "\n")
    tokens = [(_words(name), each.per_s, "") for name, each in results.tokens.items()]
    (folder / "benchmarks-tokens.svg").write_text(_plot("Requests a second at 64 connections (logarithmic)", tokens))
    shadow = [
        (f"{name}, shadow {kind}", each.per_s, kind)
        for name in results.shadow["off"]
        for kind, found in results.shadow.items()
        for each in [found[name]]
    ]
    (folder / "benchmarks-shadow.svg").write_text(
        _plot("Requests a second in stage shadow", shadow, is_logarithmic=False)
    )


def targets(results: Results) -> Iterator[Target]:
    tokens = results.tokens
    warm, null = tokens["warm 20"], tokens["null"]
    yield Target("warm, requests a second of the null endpoint's", 85, "%", warm.per_s / null.per_s * 100, WHY_WARM)
    yield Target("warm p99 of the null endpoint's", 1.5, "x", warm.p99_ms / null.p99_ms, WHY_WARM, is_least=False)
    for kind, wanted in (("naive", 80), ("pooled", 8)):
        share = warm.per_s / tokens[f"{kind} 20"].per_s
        yield Target(f"warm of the {kind} bridge's, tenant at 20 ms", wanted, "x", share, WHY_WARM)
    over = max(_p50(results.cold[ms].took_ms) - _p50(results.floor[ms]) for ms in results.cold)
    what = "first token over the sum of its round trips, p50, worst latency"
    yield Target(what, 8, "ms", over, WHY_COLD, is_least=False)


def _p50(values: Sequence[float]) -> float:
    return statistics.median(values)


def _page(results: Results) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield HOW_TO_READ
    yield from _circumstances(results)
    yield from _tokens(results)
    yield from _first_tokens(results)
    yield from _shadow(results)
    yield ""
    yield "## Not measured"
    yield ""
    yield NOT_MEASURED


def _circumstances(results: Results) -> Iterator[str]:
    yield "| | |"
    yield "| --- | --- |"
    yield f"| when | {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {results.took_s / 60:.1f} min |"
    yield f"| machine | {_processor()}, {os.cpu_count()} processors, {platform.system()} {platform.machine()} |"
    yield f"| load average | {', '.join(f'{each:.1f}' for each in os.getloadavg())} at the end (1, 5, 15 min) |"
    packages = ", ".join(f"{name} {version(name)}" for name in ("gunicorn", "flask", "sqlalchemy"))
    yield f"| versions | Python {sys.version.split()[0]}, {packages} |"
    workers = f"{servers.WORKERS} workers of {servers.THREADS} threads each"
    yield f"| servers | gunicorn `gthread`, {workers}, SQLite, log at `info` |"
    yield f"| load | {load.generator()}, {load.CONNECTIONS} connections kept open |"
    yield f"| figures | medians of {results.rounds} rounds of {results.seconds} s each |"
    yield f'| again | `make bench`, or `make bench BENCH="--seconds {results.seconds} --rounds {results.rounds}"` |'
    yield ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


def _tokens(results: Results) -> Iterator[str]:
    yield "## Tokens"
    yield ""
    yield TOKENS
    yield ""
    yield "![Requests a second of each](benchmarks-tokens.svg)"
    yield ""
    yield "| what | requests/s | p50 ms | p99 ms |"
    yield "| --- | ---: | ---: | ---: |"
    for name, each in results.tokens.items():
        yield f"| {_words(name)}{_trouble(each)} | {each.per_s:,.0f} | {each.p50_ms:.1f} | {each.p99_ms:.1f} |"
    yield ""
    yield "| target | wanted | found | |"
    yield "| --- | --- | --- | --- |"
    listed = list(targets(results))
    yield from (target.row() for target in listed)
    yield ""
    if reasons := dict.fromkeys(target.why for target in listed if not target.is_met):
        yield from ("What is known of why:", "", *(f"- {why}" for why in reasons), "")


def _words(name: str) -> str:
    kind, _, ms = name.partition(" ")
    return f"{kind}, tenant at {ms} ms" if ms else kind


def _trouble(each: Measured, *, expected: bool = False) -> str:
    """Say what share of the requests was not served; nothing is hidden in a rate."""
    found = []
    if each.refused and not expected:
        found.append(f"{each.refused:,} refused")
    if each.broken:
        found.append(f"{each.broken:,} without an answer")
    return f" ({', '.join(found)} of {each.requests:,})" if found else ""


def _first_tokens(results: Results) -> Iterator[str]:
    yield "## First tokens"
    yield ""
    yield FIRST_TOKENS
    yield ""
    yield "| tenant at | first token, p50 ms | its round trips, p50 ms | over, ms | steps |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for ms, cold in results.cold.items():
        first, floor = _p50(cold.took_ms), _p50(results.floor[ms])
        yield f"| {ms} ms | {first:.1f} | {floor:.1f} | {first - floor:.1f} | {', '.join(cold.steps)} |"
    yield ""


def _shadow(results: Results) -> Iterator[str]:
    yield "## What shadow costs"
    yield ""
    yield SHADOW
    yield ""
    yield "![Requests a second with and without shadow](benchmarks-shadow.svg)"
    yield ""
    yield "| request | shadow | requests/s | of off | p50 ms | p99 ms |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for name, off in results.shadow["off"].items():
        for kind, found in results.shadow.items():
            each = found[name]
            trouble = _trouble(each, expected=name == REFUSED_ON_JWT)
            share = f"{each.per_s / off.per_s * 100:.0f} %"
            rate = f"{each.per_s:,.0f} | {share} | {each.p50_ms:.1f} | {each.p99_ms:.1f}"
            yield f"| `{name}` | {kind}{trouble} | {rate} |"


def _plot(title: str, bars: Sequence[tuple[str, float, str]], *, is_logarithmic: bool = True) -> str:
    """Draw horizontal bars, readable on light and dark ground."""
    height = 50 + len(bars) * (BAR + GAP)
    most = max(value for _, value, _ in bars)
    drawn = [_bar(number, *bar, most, is_logarithmic=is_logarithmic) for number, bar in enumerate(bars)]
    words = "; ".join(f"{name}: {value:,.0f}" for name, value, _ in bars)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">',
            f"<title>{title}</title><desc>{words}</desc>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
            '<g font-family="system-ui, sans-serif" font-size="13" fill="#1a202c">',
            f'<text x="16" y="26" font-weight="600">{title}</text>',
            *drawn,
            "</g></svg>\n",
        ]
    )


def _bar(number: int, name: str, value: float, kind: str, most: float, *, is_logarithmic: bool) -> str:
    y = 42 + number * (BAR + GAP)
    length = _share(value, most, is_logarithmic=is_logarithmic) * (WIDTH - LEFT - 90)
    return (
        f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{name}</text>'
        f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3" fill="{COLORS[kind]}"/>'
        f'<text x="{LEFT + length + 8:.1f}" y="{y + 15}">{value:,.0f}</text>'
    )


def _share(value: float, most: float, *, is_logarithmic: bool) -> float:
    """Return how much of the width a value takes; on the logarithmic scale one a second takes nothing."""
    if not is_logarithmic:
        return value / most
    return max(0.0, _digits(value) / max(_digits(most), 1e-9))


def _digits(value: float) -> float:
    return math.log10(max(value, 1.0))
