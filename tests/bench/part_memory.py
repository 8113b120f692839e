"""How large a worker is with ten thousand tokens in process."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from storykit import PORTAL_ISSUER, change_tenant, free_ports, portal_keys

from bench import growth
from bench.bridges import of_server
from bench.crowd import Crowd, Visit
from bench.ground import Ground, NotMeasured, say
from bench.load import Target as Request
from bench.page import Section, Target
from bench.servers import CHOSEN, served
from bridge.bootstrap import build
from bridge.settings import read_settings

TOKENS = 10_000
GIVE_UP_S = 240
TEXT = """\
Resident memory of one worker, as the system counts it, libraries shared with other processes included: as it comes up,
after {tokens:,} people got their token from it, and after {seconds} s of warm requests of all of them."""


def measure(ground: Ground) -> Section:
    home, (port,) = ground.folder("memory"), free_ports(1)
    environment = of_server(CHOSEN) | filled(home, TOKENS)
    words = [*CHOSEN.words("bridge.wsgi:app", port), "--workers=1"]
    one = replace(CHOSEN, words=lambda *_: words)
    bearers = [f"Bearer {growth.bearer(number)}" for number in range(TOKENS)]
    with served(one, "bridge.wsgi:app", port, home, environment) as master:
        address = f"http://127.0.0.1:{port}/t/acme/access-token"
        begun = _rss_mb(master)
        crowd = Crowd([address], [Visit(bearer) for bearer in bearers], CHOSEN.threads)
        crowd.run(GIVE_UP_S)
        if crowd.served < TOKENS:
            raise NotMeasured(f"{crowd.served:,} of {TOKENS:,} people had a token after {GIVE_UP_S} s")
        taken = _rss_mb(master)
        ground.run(Request("warm, 10,000 people", address, "POST", "Authorization", bearers, turns=2))
        loaded = _rss_mb(master)
    say(f"memory: {begun:.0f}, {taken:.0f}, {loaded:.0f} MB")
    heads = ["| moment | MB |", "| --- | ---: |"]
    rows = [
        f"| {name} | {mb:.0f} |" for name, mb in (("up", begun), ("everybody asked", taken), ("after the load", loaded))
    ]
    text = [TEXT.format(tokens=TOKENS, seconds=2 * ground.seconds), "", *heads, *rows]
    return Section(
        "Memory", text, [Target("memory of a worker with 10,000 tokens, after load", "≤", 120, "MB", loaded)]
    )


def filled(home: Path, people: int) -> dict[str, str]:
    """Fill a database with people who have a session and a token; return the settings of its bridge."""
    url = f"sqlite:///{home / 'bridge.db'}"
    growth.fill(url, people)
    _, public = portal_keys()
    (home / "jwks.json").write_text(public)
    assertions = {"BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER, "BRIDGE_ASSERTION_JWKS": str(home / "jwks.json")}
    environment = {**growth.settings(url), "BRIDGE_IDENTITY": "assertion", **assertions}
    built = build(read_settings(environment))
    change_tenant(built, "acme", admits=("assertion",))
    built.close()
    with closing(sqlite3.connect(home / "bridge.db")) as database, database:
        database.execute("UPDATE sessions SET source = 'assertion', issuer = ?", [PORTAL_ISSUER])
    return environment


def _rss_mb(master: int) -> float:
    """Return the memory of the one worker of a server."""
    (worker,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    status = Path(f"/proc/{worker}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
