"""What shadow costs the people who are in it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from storykit import Tenant as Sandbox
from storykit import free_ports, running_sandbox

from bench.bridges import shadowing
from bench.ground import Ground, say
from bench.load import Measured, Target
from bench.page import Section, plot, row, table

PEOPLE = 400
HANGING_MS = 600_000
SHADOWS = {"off": 0, "answering": 100, "hanging": 100}
ASKED = {"GET session": "session", "GET token": "token", "POST access-token": "access-token"}
REFUSED_ON_JWT = "POST access-token"
"""In stage `shadow` it answers 409 `still_on_jwt`."""
TEXT = """\
The requests of people in stage `shadow`, of whom nobody is tried (*off*), everybody (*answering*: a sandbox beside
it), and everybody while each call of a trial hangs (*hanging*). `POST access-token` answers 409 there: these people
are on the path `jwt`. The sandbox runs on the same processors, so its work is part of what shadow costs here."""


def measure(ground: Ground) -> Section:
    """Start a bridge anew for each measurement, so that its queue is full of people to try while the load lasts."""
    ports = dict(zip(("bridge", "acme", "globex"), free_ports(3), strict=True))
    sandbox = Sandbox(f"http://127.0.0.1:{ports['acme']}")
    runs: defaultdict[tuple[str, str], list[Measured]] = defaultdict(list)
    with running_sandbox(ports["acme"], ports["globex"], f"http://localhost:{ports['bridge']}"):
        for number in range(ground.rounds):
            for kind, sample in SHADOWS.items():
                say(f"shadow {kind}, round {number + 1} of {ground.rounds}")
                sandbox.control("POST", "reset")
                with shadowing(ground.folder(f"{kind}-{number}"), sandbox, ports, sample, PEOPLE) as (base, bearers):
                    if kind == "hanging":
                        _hang(sandbox)
                    for target in _asked(base, bearers):
                        ground.warm_up(target)
                        runs[target.name, kind].append(ground.run(target))
    found = {(name, kind): Measured.median(runs[name, kind]) for name in ASKED for kind in SHADOWS}
    rows = [
        row(f"`{name}`, {kind}", each, refusals_expected=name == REFUSED_ON_JWT) for (name, kind), each in found.items()
    ]
    bars = [(f"{name}, shadow {kind}", each.per_s, list(SHADOWS).index(kind)) for (name, kind), each in found.items()]
    picture = plot("Requests a second in stage shadow", bars, is_logarithmic=False)
    text = [TEXT, "", "![Requests a second with and without shadow](benchmarks-shadow.svg)", ""]
    text += [*table("request, shadow", "requests/s", "p50 ms", "p99 ms"), *rows]
    return Section("What shadow costs", text, plots={"benchmarks-shadow.svg": picture})


def _hang(tenant: Sandbox) -> None:
    """Let no call of a trial be answered."""
    for endpoint in ("/login/*", "/oauth/*", "/api/*", "/app/*"):
        tenant.control("POST", "faults", {"endpoint": endpoint, "latency_ms": HANGING_MS, "times": None})


def _asked(base: str, bearers: Sequence[str]) -> Iterator[Target]:
    for name, route in ASKED.items():
        yield Target(name, f"{base}/t/acme/{route}", name.split()[0], "Authorization", bearers)
