"""First tokens: what the bridge adds to its calls, and what people with a token feel of those without."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from bench import crowd, rivals, servers
from bench.bridges import bare_bridge
from bench.ground import Ground, say
from bench.load import Measured
from bench.load import Target as Request
from bench.page import Section, Target, row, table
from bridge.sandbox.certificates import rsa_key

LATENCIES = (0, 20, 80)
ONE_BY_ONE, AT_ONCE, WARM = 25, 64, 16
GENTLE = 4
TEXT = """\
One person after the other, each for the first time: a login, who that was (two calls, as Qlik redirects the first),
a mint. Beside it the same four calls by a client that does nothing else, over one connection."""
BESIDE = """\
Warm requests on {gentle} connections, alone and while always {cold} people whom nobody knows ask for their first token,
each until they have it, tenant at 80 ms; who is told to come back comes back then. {done:,} first tokens were got and
{refused:,} times somebody was sent away, while it was measured."""
WHY = """\
First tokens: between the calls the bridge signs a JWT and writes the person, the sync and the encrypted token, each in
a transaction of its own."""


@dataclass(frozen=True)
class Cold:
    """How long first tokens took, and the same calls by themselves (ms); the steps that the bridge told of the last."""

    took: float
    floor: float
    steps: Sequence[str]


def measure(ground: Ground) -> Section:
    home = ground.folder("cold")
    with ExitStack() as running:
        addresses = running.enter_context(servers.tenants(home, LATENCIES))
        bridge = bare_bridge(home, addresses, WARM + ONE_BY_ONE + 2_000)
        running.enter_context(bridge.served())
        known, first, others = (
            bridge.bearers[:WARM],
            bridge.bearers[WARM:][:ONE_BY_ONE],
            bridge.bearers[WARM + ONE_BY_ONE :],
        )
        colds = {ms: _cold(f"{bridge.base}/t/t{ms}", at, first) for ms, at in addresses.items()}
        beside, text = _beside(ground, bridge.base, known, others)
    heads = table("tenant at", "first token, p50 ms", "its round trips, p50 ms", "over, ms", "steps")
    rows = [
        f"| {ms} ms | {each.took:.1f} | {each.floor:.1f} | {each.took - each.floor:.1f} | {', '.join(each.steps)} |"
        for ms, each in colds.items()
    ]
    over = max(each.took - each.floor for each in colds.values())
    what = "first token over the sum of its round trips, p50, worst latency"
    return Section(
        "First tokens", [TEXT, "", *heads, *rows, "", *text], [Target(what, "≤", 8, "ms", over, WHY), beside]
    )


def _cold(base: str, tenant: str, bearers: Sequence[str]) -> Cold:
    """Take turns, so that noise meets both alike."""
    key, took, floor, steps = rsa_key(), [], [], list[str]()
    with rivals.pool() as client, rivals.pool() as bare:
        for number, bearer in enumerate(bearers):
            started = perf_counter()
            answer = client.post(f"{base}/access-token", headers={"Authorization": bearer}, timeout=30)
            took.append((perf_counter() - started) * 1000)
            answer.raise_for_status()
            steps = [each.partition(";")[0] for each in answer.headers["Server-Timing"].split(", ")]
            floor.append(rivals.round_trips(bare, tenant, f"floor-{number}", key))
    settled = len(took) // 4  # the first ones open connections and load keys
    say(f"cold: {median(took[settled:]):.1f} ms, round trips {median(floor[settled:]):.1f} ms")
    return Cold(median(took[settled:]), median(floor[settled:]), steps)


def _beside(ground: Ground, base: str, known: Sequence[str], others: Sequence[str]) -> tuple[Target, list[str]]:
    address = f"{base}/t/t80/access-token"
    request = Request("warm, alone", address, "POST", "Authorization", known, connections=GENTLE)
    crowd.serve_all(address, known)
    ground.warm_up(request)
    alone, beside, done, refused = [], [], 0, 0
    for number in range(ground.rounds):
        alone.append(ground.run(request))
        these = others[number * len(others) // ground.rounds :][: len(others) // ground.rounds]
        with crowd.asking(address, these, together=AT_ONCE) as visits:
            say(f"with {AT_ONCE} first requests together:")
            beside.append(ground.run(request))
        done += sum(visit.is_served for visit in visits)
        refused += sum(len(visit.told_s) for visit in visits)
    both = {"warm, alone": Measured.median(alone), "warm, beside first tokens": Measured.median(beside)}
    found = _p99_ms(both["warm, beside first tokens"], ground) / _p99_ms(both["warm, alone"], ground)
    text = [BESIDE.format(gentle=GENTLE, cold=AT_ONCE, done=done, refused=refused), ""]
    text += [*table("what", "requests/s", "p50 ms", "p99 ms"), *(row(name, each) for name, each in both.items())]
    why = "Beside first tokens: they take the same two processors."
    return Target(f"warm p99 beside {AT_ONCE} cold requests of that alone", "≤", 1.5, "x", found, why), text


def _p99_ms(each: Measured, ground: Ground) -> float:
    """Return the p99; where hardly anybody was answered, those who were say nothing of the others."""
    return each.p99_ms if each.requests >= ground.rounds * AT_ONCE else ground.seconds * 1000
