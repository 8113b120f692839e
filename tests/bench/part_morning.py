"""Ten thousand people at nine o'clock, with every window twenty times shorter than Qlik's."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Self

from storykit import ROOT, free_ports, wait_for

from bench.bridges import UNLIMITED, SandboxedBridge, people, sandboxed
from bench.crowd import Crowd, Visit, arriving
from bench.ground import Ground, NotMeasured, percentile, say
from bench.page import Section, Target
from bridge.bootstrap import build
from bridge.budgeting import Limit
from bridge.settings import read_settings

PEOPLE, RESTARTED, WARMED_PERCENT = 10_000, 1_500, 95
FASTER = 20
LIMIT = Limit(calls_per_minute=100 * FASTER, window_s=300 / FASTER, margin_percent=5)
"""The margin is for browsers, and there are none here; some is left for calls that arrive late."""
WINDOW = {"tier2_per_minute": LIMIT.calls_per_minute, "tier_window_s": int(LIMIT.window_s), "tenant_rate_limit": "on"}
ARRIVE_S = 300 / FASTER
CONNECTIONS = 128
MINT, OK, TOO_MANY = "/oauth/token", 200, 429
TEXT = f"""\
{PEOPLE:,} people who are signed in, and whose groups were synced before, ask for their first token within five
minutes; whoever is told to come back comes back. The windows of the sandbox and of the bridge are {FASTER} x shorter
than Qlik's, so a scaled minute takes three seconds; times below are scaled back. The bridge may spend {LIMIT.budget}
of the tenant's {LIMIT.calls} calls a window. *Used*: how full the window was,
on average, from the first mint to the last. One machine of two workers, SQLite.
`Retry-After` is in whole seconds: {FASTER} scaled ones."""
WARMED = f"""\
*{WARMED_PERCENT} % pre-warmed*: the night before, `qlik-bridge sync --prewarm` got tokens for so many of the same
people (with the limits lifted, so that the bench has a short night). *Restart*: of {RESTARTED:,} others, while they
wait: all of the bridge ends by SIGTERM and starts anew."""
WHY = "The morning: see the times of the runs; a budget that is free and not spent is spent by nobody later."


@dataclass(frozen=True)
class Morning:
    """What came of one crowd. Times in real seconds."""

    visits: Sequence[Visit]
    used_percent: float
    throttled: int
    mints: int
    most_mints: int
    lost: int
    """People whose token was not the same when they asked again."""

    @property
    def took_s(self) -> float:
        return max(visit.got for visit in self.visits) - min(visit.came for visit in self.visits)

    def waited_min(self, percent: float) -> float:
        return percentile((visit.waited_s for visit in self.visits), percent) * FASTER / 60

    def row(self, name: str) -> str:
        waits = " | ".join(f"{self.waited_min(percent):.1f}" for percent in (50, 95, 100))
        asked = sum(len(visit.told_s) + visit.not_told + 1 for visit in self.visits) / len(self.visits)
        times = f"{self.took_s * FASTER / 60:.1f} | {waits} | {asked:.1f}"
        return f"| {name} | {len(self.visits):,} | {times} | {self.mints:,} | {self.throttled} |"


def measure(ground: Ground) -> Section:
    with sandboxed(ground.folder("morning"), BRIDGE_BUDGET_MARGIN_PERCENT=f"{LIMIT.margin_percent:g}") as bridge:
        everybody, others = people(PEOPLE), people(RESTARTED, "late")
        bridge.know([*everybody, *others])
        say(f"{len(everybody) + len(others):,} people are known")
        bearers = bridge.sign_in(everybody)
        plain = _morning(bridge, bearers)
        _forget_tokens(bridge)
        _prewarm(bridge, everybody[: PEOPLE * WARMED_PERCENT // 100])
        warmed = _morning(bridge, bearers)
        restarted = _morning(bridge, bridge.sign_in(others), restart_after_s=LIMIT.window_s * 1.5)
    heads = [
        "| crowd | people | all served after, min | waited p50 | p95 | longest | asked, times | mints | 429s |",
        "| --- |" + " ---: |" * 8,
    ]
    rows = [plain.row("nothing done before"), warmed.row(f"{WARMED_PERCENT} % pre-warmed"), restarted.row("restart")]
    return Section("A morning", [TEXT, "", WARMED, "", *heads, *rows], list(_targets(plain, warmed, restarted)))


def _targets(plain: Morning, warmed: Morning, restarted: Morning) -> Iterator[Target]:
    crowd = f"{PEOPLE:,} people in five minutes"
    yield Target(f"{crowd}: 429s from the tenant", "=", 0, "answers", plain.throttled, WHY)
    yield Target(f"{crowd}: our own budget used until all are served", "≥", 98, "%", plain.used_percent, WHY)
    untold = sum(visit.not_told for visit in plain.visits)
    yield Target(f"{crowd}: answers that told no time to come back", "=", 0, "answers", untold, WHY)
    yield Target(f"{WARMED_PERCENT} % pre-warmed: p95 of the wait", "=", 0, "s", _whole_s(warmed), WHY)
    most = max(each.most_mints for each in (plain, restarted))
    yield Target("restart in the middle: mints for one person, at most", "=", 1, "mint", most, WHY)
    yield Target("restart in the middle: tokens lost", "=", 0, "tokens", restarted.lost, WHY)


def _whole_s(morning: Morning) -> float:
    """Return the wait at p95 in whole seconds, unscaled: nobody who was told to come back waits less than one."""
    return float(int(morning.waited_min(95) * 60 / FASTER))


def _morning(bridge: SandboxedBridge, bearers: Sequence[str], *, restart_after_s: float = 0) -> Morning:
    """Let everybody come, and then once more, for the token that they have."""
    _unspent(bridge)
    bridge.acme.control("POST", "switches", WINDOW)
    bridge.acme.forget_calls()
    with _Server(bridge, _limits()) as server:
        crowd = Crowd([server.address], arriving(bearers, ARRIVE_S), CONNECTIONS)
        with _beside(crowd, server, restart_after_s):
            crowd.run(give_up_s=len(bearers) / LIMIT.budget * LIMIT.window_s * 1.5 + 60)
        if crowd.served < len(bearers):
            raise NotMeasured(f"{crowd.served:,} of {len(bearers):,} people were served in time")
        calls = [call for call in bridge.acme.control("GET", "calls").json() if call["path"] == MINT]
        again = Crowd([server.address], [Visit(bearer) for bearer in bearers], CONNECTIONS)
        again.run(give_up_s=120)
    bridge.acme.control("POST", "switches", UNLIMITED)
    lost = sum(one.token != other.token for one, other in zip(crowd.visits, again.visits, strict=True))
    return _found(crowd, calls, lost + len(bridge.acme.calls(MINT)) - len(calls))


def _found(crowd: Crowd, calls: Sequence[Mapping[str, Any]], lost: int) -> Morning:
    minted = [call for call in calls if call["status"] == OK]
    most = max(Counter(call["user"] for call in minted).values())
    throttled = sum(call["status"] == TOO_MANY for call in calls)
    morning = Morning(
        crowd.visits, _used_percent([call["time"] for call in minted]), throttled, len(minted), most, lost
    )
    say(f"morning: {morning.row('')} {morning.used_percent:.1f} % used")
    return morning


def _used_percent(times: Sequence[float]) -> float:
    """Return how full the window was on average, from the first call to the last: each fills a place for a window."""
    begun, ended = min(times), max(times)
    filled_s = sum(min(LIMIT.window_s, ended - at) for at in times)
    return 100 * filled_s / (LIMIT.budget * max(ended - begun, 1e-9))


class _Server:
    """A machine that can be stopped and started anew at its address."""

    def __init__(self, bridge: SandboxedBridge, settings: Mapping[str, str]) -> None:
        (self._port,) = free_ports(1)
        self._bridge, self._settings = bridge, settings
        self._running = ExitStack()
        self.address = f"http://127.0.0.1:{self._port}/t/acme/access-token"

    def __enter__(self) -> Self:
        self._running.enter_context(self._bridge.machine(self._port, **self._settings))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def restart(self) -> None:
        say("restarting everything of the bridge")
        self._running.close()
        self._running.enter_context(self._bridge.machine(self._port, **self._settings))


@contextmanager
def _beside(crowd: Crowd, server: _Server, restart_after_s: float) -> Iterator[None]:
    """Tell how many were served, and restart the server once, where that is wanted."""
    is_over = threading.Event()

    def watch() -> None:
        began, is_due = time.monotonic(), bool(restart_after_s)
        while not is_over.wait(5):
            say(f"{crowd.served:,} of {len(crowd.visits):,} served after {time.monotonic() - began:.0f} s")
            if is_due and time.monotonic() - began >= restart_after_s:
                is_due = False
                server.restart()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _unspent(bridge: SandboxedBridge) -> None:
    """Wait until nothing that was spent before counts any more, here and at the tenant."""
    built = build(read_settings({**bridge.environment, **_limits()}))
    try:
        tenant = built.tenants.get("acme").tenant
        wait_for(lambda: built.budget.state(tenant).spent == 0)
    finally:
        built.close()


def _limits() -> dict[str, str]:
    return {
        "BRIDGE_BUDGET_CALLS_PER_MINUTE": f"{LIMIT.calls_per_minute}",
        "BRIDGE_BUDGET_WINDOW_S": f"{LIMIT.window_s:g}",
        "BRIDGE_BUDGET_MARGIN_PERCENT": f"{LIMIT.margin_percent:g}",
    }


def _forget_tokens(bridge: SandboxedBridge) -> None:
    """Make it a day on which nobody has a token yet."""
    with closing(sqlite3.connect(bridge.home / "bridge.db")) as database, database:
        database.execute("DELETE FROM tokens")


def _prewarm(bridge: SandboxedBridge, names: Sequence[str]) -> None:
    (file := bridge.home / "people.csv").write_text("\n".join(["sub", *names]) + "\n")
    words = [sys.executable, "-m", "bridge.cli", "sync", "acme", f"--subjects={file}", "--prewarm"]
    began = time.monotonic()
    environment = {"PATH": os.environ["PATH"], **bridge.environment, "BRIDGE_BUDGET_WINDOW_S": f"{LIMIT.window_s:g}"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode or f"{len(names)} minted" not in done.stdout:
        raise NotMeasured(f"sync --prewarm ended with {done.returncode}: {done.stdout[-200:]} {done.stderr[-200:]}")
    say(f"{len(names):,} people were pre-warmed in {time.monotonic() - began:.0f} s")
