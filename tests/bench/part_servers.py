"""Servers of several makers side by side, with the endpoint that does nothing and with a warm token."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import crowd, servers
from bench.bridges import bare_bridge
from bench.ground import Ground, NotMeasured, say
from bench.load import Measured, Target
from bench.page import Section, plot, row, table
from bench.servers import Kind

PEOPLE = 32
TEXT = """\
*null*: a Flask endpoint that reads a signed session. *warm*: `POST /access-token` of people whose token the bridge
has. Two workers and so many threads each. Production takes the first: [decision 033](decisions/033-server.md)."""


def measure(ground: Ground) -> Section:
    found: dict[str, list[tuple[Measured, Measured]]] = {}
    failed: dict[str, str] = {}
    for number in range(ground.rounds):
        for kind in servers.KINDS:
            say(f"servers, round {number + 1} of {ground.rounds}: {kind.name}")
            try:
                with _targets(ground, kind, f"servers-{number}-{servers.KINDS.index(kind)}") as (null, warm):
                    found.setdefault(kind.name, []).append((ground.run(null), ground.run(warm)))
            except (AssertionError, NotMeasured, OSError) as failure:
                failed[kind.name] = str(failure).splitlines()[0]
    if not found:
        raise NotMeasured(f"no server came up: {failed}")
    medians = {
        name: [Measured.median([run[place] for run in runs]) for place in range(2)] for name, runs in found.items()
    }
    rows = [
        row(f"{name}: {what}", each)
        for name, both in medians.items()
        for what, each in zip(("null", "warm"), both, strict=True)
    ]
    bars = [
        (f"{name}: {what}", each.per_s, color)
        for name, both in medians.items()
        for color, (what, each) in enumerate(zip(("null", "warm"), both, strict=True))
    ]
    text = [TEXT, "", "![Requests a second by server](benchmarks-servers.svg)", ""]
    text += [*table("server", "requests/s", "p50 ms", "p99 ms"), *rows]
    text += [f"\n{name} is not measured: {why}" for name, why in failed.items()]
    return Section(
        "Servers",
        text,
        plots={"benchmarks-servers.svg": plot("Requests a second at 64 connections", bars, is_logarithmic=False)},
    )


@contextmanager
def _targets(ground: Ground, kind: Kind, name: str) -> Iterator[tuple[Target, Target]]:
    home = ground.folder(name)
    with ExitStack() as running:
        addresses = running.enter_context(servers.tenants(home, (0,)))
        null = servers.null(running.enter_context(servers.rival(kind, home, addresses)), f"{kind.name}: null")
        bridge = bare_bridge(home, addresses, PEOPLE)
        running.enter_context(bridge.served(kind))
        address = f"{bridge.base}/t/t0/access-token"
        crowd.serve_all(address, bridge.bearers)
        warm = Target(f"{kind.name}: warm", address, "POST", "Authorization", bridge.bearers)
        for target in (null, warm):
            ground.warm_up(target)
        yield null, warm
