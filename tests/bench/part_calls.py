"""What first tokens cost the tenant, as the sandbox counts it."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from storykit import Tenant as Sandbox

from bench import crowd
from bench.bridges import SandboxedBridge, people, sandboxed
from bench.crowd import Crowd, Visit
from bench.ground import Ground, NotMeasured, say
from bench.page import Section, Target
from bench.postgres import postgresql

CROWD, UNCHANGED = 400, 20
LOGIN, MINT = "/login/jwt-session", "/oauth/token"
GIVE_UP_S = 90
TEXT = """\
Two machines (of two workers each) share one PostgreSQL; every request over a connection of its own, all at once, at the
one machine and the other in turns. The sandbox counted the calls."""


@dataclass(frozen=True)
class Rush:
    """What a crowd cost: logins and mints, the most mints of one person, and who got no token (or only later)."""

    logins: int
    mints: int
    most_mints: int
    not_at_once: int
    unserved: int

    def row(self, name: str) -> str:
        return f"| {name} | {self.logins} | {self.mints} | {self.most_mints} | {self.not_at_once} | {self.unserved} |"


def measure(ground: Ground) -> Section:
    home = ground.folder("calls")
    with ExitStack() as running:
        url = running.enter_context(postgresql())
        bridge = running.enter_context(sandboxed(home, BRIDGE_DATABASE_URL=url))
        both = [running.enter_context(bridge.machine()) for _ in range(2)]
        unchanged = _unchanged(bridge, both[0])
        one, many = "one", people(CROWD, "known")
        (bearer,) = bridge.sign_in([one])
        bridge.acme.forget_calls()
        same = _rush(bridge, both, [bearer] * CROWD)
        bridge.know(many)
        each = _rush(bridge, both, bridge.sign_in(many))
    heads = [
        "| who | logins | mints | most of one | sent away first | without a token |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    rows = [same.row(f"{CROWD} pages of one person"), each.row(f"{CROWD} people who were synced")]
    targets = [
        Target("calls of a first token, groups unchanged", "=", 1, "call", unchanged),
        Target(f"{CROWD} first requests of one person: logins", "=", 1, "login", same.logins),
        Target(f"{CROWD} first requests of one person: mints", "=", 1, "mint", same.mints),
        Target(f"{CROWD} first requests of {CROWD} synced people: mints", "=", CROWD, "mints", each.mints),
        Target("of these, the most for one person", "=", 1, "mint", each.most_mints),
        Target("of these, people without a token", "=", 0, "people", same.unserved + each.unserved),
    ]
    return Section("Calls", [TEXT, "", *heads, *rows], targets)


def _unchanged(bridge: SandboxedBridge, machine: str) -> float:
    """Return the calls of a first token of somebody whose groups are synced."""
    names = people(UNCHANGED, "unchanged")
    bridge.know(names)
    bearers = bridge.sign_in(names)
    bridge.acme.forget_calls()
    rush = Crowd([f"{machine}/t/acme/access-token"], [Visit(bearer) for bearer in bearers], 1)
    rush.run(GIVE_UP_S)
    return len(bridge.acme.calls()) / UNCHANGED


def _rush(bridge: SandboxedBridge, machines: Sequence[str], bearers: Sequence[str]) -> Rush:
    addresses = [f"{machine}/t/acme/access-token" for machine in machines]
    rush = Crowd(addresses, crowd.arriving(bearers, 0), len(bearers))
    rush.run(GIVE_UP_S)
    calls, most = counted(bridge.acme)
    unserved = sum(not visit.is_served for visit in rush.visits)
    if unserved == len(bearers):
        raise NotMeasured("nobody got a token")
    say(f"{len(bearers)} at once: {calls[LOGIN]} logins, {calls[MINT]} mints, {unserved} without a token")
    not_at_once = sum(bool(visit.told_s or visit.not_told or visit.broken) for visit in rush.visits)
    return Rush(calls[LOGIN], calls[MINT], most, not_at_once, unserved)


def counted(tenant: Sandbox) -> tuple[Counter[str], int]:
    """Return the logins and mints since the last time, refused ones too, and the most mints that one person got."""
    listed = [call for call in tenant.control("GET", "calls").json() if call["path"] in {LOGIN, MINT}]
    tenant.forget_calls()
    by_person = Counter(call["user"] for call in listed if call["path"] == MINT and call["status"] < 400)
    return Counter(call["path"] for call in listed), max(by_person.values(), default=0)
