"""Warm tokens beside what they are compared with: nothing, other bridges, and a portal in Node."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from bench import crowd, servers
from bench.bridges import bare_bridge
from bench.ground import Ground, NotMeasured, say
from bench.load import Measured
from bench.load import Target as Request
from bench.page import Section, Target, plot, row, table
from bench.rivals import cookie
from bench.servers import CHOSEN

LATENCIES = (0, 20, 80)
PEOPLE = 32
TEXT = """\
*null*: a Flask endpoint that reads a signed session and says who it is. *warm*: `POST /access-token` of 32 people
whose token the bridge has. *pooled*: logs in and mints at each request, with its key and its connections kept.
*naive*: the same with the key as text and a connection for each call. *node*: express with sessions in memory and
`@qlik/api`, as Qlik's sample has it, which mints per call; *node, cached*: the same with the cache of `@qlik/api`.
The tenant answers each call after so many milliseconds, and does nothing else. All in Python are served alike:
{server}; Node is one process, as it comes. Medians of {rounds} rounds: each opens its connections anew, and once in a
while one of two workers takes nearly all of them, so that whatever it serves comes to half as much."""
WHY = """\
Warm: it is answered before Flask looks, [decision 038](decisions/038-the-short-way.md)."""
WHY_NODE = """\
*node, cached*: gunicorn's threads cost half a millisecond a request before our first line, and granian's, which
do not, are not safe here: [decision 033](decisions/033-server.md). Node keeps its sessions and tokens in memory, too,
looks at no database for news, and writes no log."""


def measure(ground: Ground) -> Section:
    ground = replace(ground, rounds=2 * ground.rounds + 1)
    home = ground.folder("tokens")
    with ExitStack() as running:
        addresses = running.enter_context(servers.tenants(home, LATENCIES))
        base = running.enter_context(servers.rival(CHOSEN, home, addresses))
        bridge = bare_bridge(home, addresses, PEOPLE)
        running.enter_context(bridge.served())
        for ms in LATENCIES:
            crowd.serve_all(f"{bridge.base}/t/t{ms}/access-token", bridge.bearers)
        requests = [servers.null(base), *_warm(bridge.base, bridge.bearers), *_rivals(base)]
        missing = ""
        try:
            requests += _node(*running.enter_context(servers.node(home, addresses[20])))
        except NotMeasured as failure:
            missing = f"*node* is not measured: {failure}."
            say(missing)
        found = ground.in_turns(requests)
    bars = [(_words(name), each.per_s, 0) for name, each in found.items()]
    text = [
        TEXT.format(server=CHOSEN.name, rounds=ground.rounds),
        "",
        "![Requests a second of each](benchmarks-tokens.svg)",
        "",
    ]
    text += [
        *table("what", "requests/s", "p50 ms", "p99 ms"),
        *(row(_words(name), each) for name, each in found.items()),
        missing,
    ]
    plots = {"benchmarks-tokens.svg": plot("Requests a second at 64 connections (logarithmic)", bars)}
    return Section("Tokens", text, list(_targets(found)), plots, missing)


def _warm(base: str, bearers: Sequence[str]) -> Iterator[Request]:
    for ms in LATENCIES:
        yield Request(f"warm {ms}", f"{base}/t/t{ms}/access-token", "POST", "Authorization", bearers)


def _rivals(base: str) -> Iterator[Request]:
    for kind, turns in (("pooled", 1), ("naive", 2)):  # or there would be too few answers to count
        for ms in LATENCIES:
            yield Request(f"{kind} {ms}", f"{base}/{kind}/{ms}", "POST", "Cookie", [cookie("person")], turns)


def _node(base: str, signed_in: str) -> Iterator[Request]:
    yield Request("node 20", f"{base}/mint", "POST", "Cookie", [signed_in])
    yield Request("node, cached 20", f"{base}/cached", "POST", "Cookie", [signed_in])


def _targets(found: Mapping[str, Measured]) -> Iterator[Target]:
    warm, null = found["warm 20"], found["null"]
    what = "warm, requests a second of the null endpoint's"
    yield Target(what, "≥", 85, "%", warm.per_s / null.per_s * 100, WHY)
    yield Target("warm p99 of the null endpoint's", "≤", 1.5, "x", warm.p99_ms / null.p99_ms, WHY)
    wanted = {"naive": 80, "pooled": 8, "node": 4, "node, cached": 2}
    for kind, least in wanted.items():
        if rival := found.get(f"{kind} 20"):
            yield Target(f"warm of *{kind}*, tenant at 20 ms", "≥", least, "x", warm.per_s / rival.per_s, WHY_NODE)


def _words(name: str) -> str:
    kind, _, ms = name.rpartition(" ")
    return f"{kind}, tenant at {ms} ms" if kind else name
