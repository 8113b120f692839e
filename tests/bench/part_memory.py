"""How large a worker is with ten thousand tokens in process."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench import servers
from bench.bridges import bare_bridge
from bench.crowd import Crowd, Visit
from bench.ground import Ground, NotMeasured, say
from bench.load import Target as Request
from bench.page import Section, Target
from bench.servers import CHOSEN, gunicorn

TOKENS = 10_000
GIVE_UP_S = 240
TEXT = """\
Resident memory of one worker, as the system counts it, libraries shared with other processes included: as it comes up,
after {tokens:,} people got a first token from it, and after {seconds} s of warm requests of all of them."""


def measure(ground: Ground) -> Section:
    home = ground.folder("memory")
    one = replace(
        CHOSEN, words=lambda app, port: [*gunicorn("bridge.worker.Worker", CHOSEN.threads)(app, port), "--workers=1"]
    )
    with ExitStack() as running:
        addresses = running.enter_context(servers.tenants(home, (0,)))
        bridge = bare_bridge(home, addresses, TOKENS)
        master = running.enter_context(bridge.served(one))
        address = f"{bridge.base}/t/t0/access-token"
        begun = _rss_mb(master)
        crowd = Crowd([address], [Visit(bearer) for bearer in bridge.bearers], CHOSEN.threads)
        crowd.run(GIVE_UP_S)
        if crowd.served < TOKENS:
            raise NotMeasured(f"{crowd.served:,} of {TOKENS:,} people had a token after {GIVE_UP_S} s")
        filled = _rss_mb(master)
        ground.run(Request("warm, 10,000 people", address, "POST", "Authorization", bridge.bearers, turns=2))
        loaded = _rss_mb(master)
    say(f"memory: {begun:.0f}, {filled:.0f}, {loaded:.0f} MB")
    heads = ["| moment | MB |", "| --- | ---: |"]
    rows = [f"| {name} | {mb:.0f} |" for name, mb in (("up", begun), ("filled", filled), ("after the load", loaded))]
    text = [TEXT.format(tokens=TOKENS, seconds=2 * ground.seconds), "", *heads, *rows]
    return Section(
        "Memory", text, [Target("memory of a worker with 10,000 tokens, after load", "≤", 120, "MB", loaded)]
    )


def _rss_mb(master: int) -> float:
    """Return the memory of the one worker of a server."""
    (worker,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    status = Path(f"/proc/{worker}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
