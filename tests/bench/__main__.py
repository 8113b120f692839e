"""`python -m bench [--seconds 3] [--rounds 3] [--out docs]`: measure, and write benchmarks.md and its plots."""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from storykit import ROOT, Tenant, free_ports, running_sandbox

from bench import load, rivals, servers
from bench.load import Measured, Target
from bench.report import Cold, Results, write
from bridge.sandbox.certificates import rsa_key

LATENCIES = (0, 20, 80)
HANGING_MS = 600_000
WARM_PEOPLE, COLD_PEOPLE, SHADOWED_PEOPLE = 32, 25, 400
WARM_UP_S = 1
SHADOWS = {"off": 0, "answering": 100, "hanging": 100}
ASKED = {"GET session": "session", "GET token": "token", "POST access-token": "access-token"}

Runs = defaultdict[str, list[Measured]]
Run = Callable[[Target], Measured]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is taken")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)

        def run(target: Target) -> Measured:
            found = load.run(target, options.seconds * target.turns, home)
            if not found.requests:
                raise SystemExit(f"{target.name}: nothing was answered in {options.seconds} s; give more --seconds")
            say(f"{target.name}: {found.per_s:,.0f}/s, p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms")
            return found

        tokens, cold, floor = measure_tokens(home, run, options.rounds)
        shadow = measure_shadow(home, run, options.rounds)
    took_s = time.monotonic() - started
    write(options.out, Results(tokens, cold, floor, shadow, options.seconds, options.rounds, took_s))
    say(f"{options.out / 'benchmarks.md'} written after {took_s / 60:.1f} min")


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def medians(runs: Mapping[str, Sequence[Measured]]) -> dict[str, Measured]:
    return {name: Measured.median(each) for name, each in runs.items()}


def measure_tokens(
    home: Path, run: Run, rounds: int
) -> tuple[dict[str, Measured], dict[int, Cold], dict[int, list[float]]]:
    """Measure the issue of tokens, the bridge and its rivals in turn, so that noise meets all alike."""
    with ExitStack() as running:
        addresses = running.enter_context(servers.tenants(home, LATENCIES))
        others = {kind: running.enter_context(servers.rival(home, addresses)) for kind in ("null", "pooled", "naive")}
        people = WARM_PEOPLE + COLD_PEOPLE
        base, bearers = running.enter_context(servers.bridge(home, addresses, people))
        cold = {ms: first_tokens(base, ms, bearers[WARM_PEOPLE:]) for ms in LATENCIES}
        floor = {ms: round_trips(at) for ms, at in addresses.items()}
        targets = list(_targets(base, others, bearers[:WARM_PEOPLE]))
        for target in targets:
            load.run(target, WARM_UP_S, home)
        runs: Runs = defaultdict(list)
        for number in range(rounds):
            say(f"tokens, round {number + 1} of {rounds}")
            for target in targets:
                runs[target.name].append(run(target))
        return medians(runs), cold, floor


def _targets(base: str, others: Mapping[str, str], bearers: Sequence[str]) -> Iterator[Target]:
    cookie = [rivals.cookie("person")]
    yield Target("null", f"{others['null']}/null", "POST", "Cookie", cookie)
    for ms in LATENCIES:
        yield Target(f"warm {ms}", f"{base}/t/t{ms}/access-token", "POST", "Authorization", bearers)
    for kind, turns in (("pooled", 1), ("naive", 2)):  # or there would be too few answers to count
        for ms in LATENCIES:
            yield Target(f"{kind} {ms}", f"{others[kind]}/{kind}/{ms}", "POST", "Cookie", cookie, turns)


def first_tokens(base: str, ms: int, bearers: Sequence[str]) -> Cold:
    """Ask for the first token of one person after the other; return how long each took, and the steps to the last."""
    with rivals.pool() as client:
        took, steps = [], []
        for bearer in bearers:
            started = time.perf_counter()
            answer = client.post(f"{base}/t/t{ms}/access-token", headers={"Authorization": bearer}, timeout=30)
            took.append((time.perf_counter() - started) * 1000)
            answer.raise_for_status()
            steps.append([each.partition(";")[0] for each in answer.headers["Server-Timing"].split(", ")])
    settled = took[len(took) // 4 :]  # the first ones open connections and load keys
    return Cold(settled, steps[-1])


def round_trips(tenant: str) -> list[float]:
    """Make the calls of a first token and nothing else, over one connection; return how long all four took."""
    with rivals.pool() as client:
        key = rsa_key()
        took = []
        for number in range(COLD_PEOPLE):
            headers = rivals.signed(f"person-{number}", key)
            started = time.perf_counter()
            login = client.post(f"{tenant}/login/jwt-session", headers=headers, timeout=30)
            cookie = {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}
            for path in ("/api/v1/users/me", "/api/v1/users/id"):
                client.get(f"{tenant}{path}", headers=cookie, allow_redirects=False, timeout=30)
            client.post(f"{tenant}/oauth/token", json=rivals.token_request("id"), timeout=30)
            took.append((time.perf_counter() - started) * 1000)
    return took[len(took) // 4 :]


def measure_shadow(home: Path, run: Run, rounds: int) -> dict[str, dict[str, Measured]]:
    """Measure what people's requests cost without shadow, with it, and while each of its calls hangs.

    Each time a bridge starts anew, so that its queue is full of people to try while the load lasts.
    """
    ports = dict(zip(("bridge", "acme", "globex"), free_ports(3), strict=True))
    sandbox = Tenant(f"http://127.0.0.1:{ports['acme']}")
    runs: dict[str, Runs] = {kind: defaultdict(list) for kind in SHADOWS}
    with running_sandbox(ports["acme"], ports["globex"], f"http://localhost:{ports['bridge']}"):
        for number in range(rounds):
            for kind, sample in SHADOWS.items():
                say(f"shadow {kind}, round {number + 1} of {rounds}")
                (place := home / f"{kind}-{number}").mkdir()
                sandbox.control("POST", "reset")
                with servers.shadowing(place, sandbox, ports, sample, SHADOWED_PEOPLE) as (base, bearers):
                    if kind == "hanging":
                        _hang(sandbox)
                    for target in _asked(base, bearers):
                        load.run(target, WARM_UP_S, home)
                        runs[kind][target.name].append(run(target))
    return {kind: medians(each) for kind, each in runs.items()}


def _hang(tenant: Tenant) -> None:
    """Let no call of a trial be answered."""
    for endpoint in ("/login/*", "/oauth/*", "/api/*", "/app/*"):
        tenant.control("POST", "faults", {"endpoint": endpoint, "latency_ms": HANGING_MS, "times": None})


def _asked(base: str, bearers: Sequence[str]) -> Iterator[Target]:
    for name, route in ASKED.items():
        yield Target(name, f"{base}/t/acme/{route}", name.split()[0], "Authorization", bearers)


if __name__ == "__main__":
    main()
