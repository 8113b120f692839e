"""Two bridges of two workers each over one PostgreSQL, as on two machines, and everybody comes at once."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, cycle, islice, pairwise
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from databasekit import own_database
from sqlalchemy import select
from storykit import (
    PATIENCE_S,
    PORTAL_ISSUER,
    ROOT,
    Tenant,
    assertion,
    change_tenant,
    free_ports,
    portal_keys,
    running_bridge,
    wait_for,
)

from bridge.adapters.sql import SqlAuditLog, SqlSubjects, open_database
from bridge.adapters.sql.tables import LEASES, TOKENS
from bridge.bootstrap import build
from bridge.cli.demo import apply_states, demo_environment
from bridge.model import Stage, Subject
from bridge.services.stages import Move
from bridge.settings import read_settings
from bridge.trail import AuditFilter

CROWD = 400
THREADS = 32
OPTIONS = ["--workers=2", f"--threads={THREADS}", f"--pythonpath={ROOT / 'tests' / 'stories'}"]
LOGIN, MINT = "/login/jwt-session", "/oauth/token"
GROUP, EMAIL = "Finance", "somebody@example.com"
"""What the portal says of everybody."""
NO_LIMIT = "1000000"


@dataclass
class Machine:
    """One of the two. It can be cut off from power, and switched on again."""

    base: str
    start: Callable[[], int]
    master: int = 0

    def switch_on(self) -> None:
        self.master = self.start()

    def cut_off(self) -> None:
        for pid in [self.master, *self.workers()]:
            os.kill(pid, signal.SIGKILL)

    def workers(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self.master}/task/{self.master}/children").read_text().split()]


@dataclass
class Machines:
    """Both of them, the tenant behind, and the portal that vouches for everybody."""

    both: Sequence[Machine]
    acme: Tenant
    key: ec.EllipticCurvePrivateKey
    audience: str
    database_url: str

    def ask(self, machine: Machine, sub: str) -> requests.Response:
        return self.post(machine, "/t/acme/access-token", sub, GROUP)

    def post(self, machine: Machine, path: str, sub: str, group: str, **body: object) -> requests.Response:
        signed = assertion(self.key, self.audience, sub, [group], {})
        headers = {"Authorization": f"Bearer {signed}"}
        return requests.post(machine.base + path, headers=headers, json=body or None, timeout=PATIENCE_S)

    def come(self, machine: Machine, sub: str) -> requests.Response:
        """Ask, and come back when told so, as pages do: so many at once are more than threads may wait."""
        while (answer := self.ask(machine, sub)).status_code == 503:
            assert answer.json()["error"] == "bridge_busy", answer.text
            time.sleep(int(answer.headers["Retry-After"]))
        return answer

    def at_once(self, people: Iterable[str]) -> list[requests.Response]:
        """Let them all ask at the same time, at one machine and the other in turn."""
        asked = list(zip(cycle(self.both), people, strict=False))
        with ThreadPoolExecutor(len(asked)) as pool:
            return list(pool.map(lambda each: self.come(*each), asked))

    def calls(self) -> Counter[tuple[str, str]]:
        """Return how often each person was logged in and minted for since the last time, failures too."""
        listed = self.acme.control("GET", "calls").json()
        self.acme.forget_calls()
        return Counter((call["path"], call["user"]) for call in listed if call["path"] in {LOGIN, MINT})

    def know(self, people: Sequence[str]) -> None:
        """Let the tenant have these people, and both machines remember that they were logged in."""
        admin, now = self.acme.admin(), time.time()
        database = open_database(self.database_url)
        subjects = SqlSubjects(database)
        for sub in people:
            given = {"subject": sub, "name": sub.title(), "status": "active"}
            made = requests.post(f"{self.acme.origin}/api/v1/users", json=given, headers=admin, timeout=PATIENCE_S)
            known = Subject(sub, sub.title(), EMAIL, frozenset({GROUP}))
            record = subjects.note("acme", known, now - 60)
            synced = replace(record, synced_fingerprint=known.fingerprint(), synced_groups=known.groups)
            subjects.record_sync(replace(synced, user_id=made.json()["id"], synced_at=now))
        database.close()
        self.acme.forget_calls()

    def slow(self, path: str, latency_ms: int, times: int) -> None:
        self.acme.control("POST", "faults", {"endpoint": path, "latency_ms": latency_ms, "times": times})


@pytest.fixture(scope="module")
def running(
    sandbox: tuple[Tenant, Tenant],
    ports: dict[str, int],
    postgresql_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Machines]:
    home = tmp_path_factory.mktemp("machines")
    acme, _ = sandbox
    acme.control("POST", "reset")
    key, public = portal_keys()
    (home / "jwks.json").write_text(public)
    environment = demo_environment(home, ports) | {
        "BRIDGE_DATABASE_URL": own_database(postgresql_url, "machines"),
        "BRIDGE_IDENTITY": "assertion",
        "BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER,
        "BRIDGE_ASSERTION_JWKS": str(home / "jwks.json"),
        "BRIDGE_ADMIN_GROUPS": "assertion:bridge-admins",
        "BRIDGE_DEMO_PEOPLE": "",
        "BRIDGE_BUDGET_CALLS_PER_MINUTE": NO_LIMIT,
        "BRIDGE_THREADS": str(THREADS),
    }
    settings = {name: value for name, value in environment.items() if value}
    bridge = build(read_settings(settings))
    apply_states(bridge, home, ports, {"acme": acme.state()})
    change_tenant(bridge, admits=("assertion",))
    for stage in (Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH):
        bridge.stages.move("acme", Move(stage, "test", "story", force=True))
    bridge.close()
    with ExitStack() as started:

        def start(port: int) -> int:
            process = running_bridge(port, settings, home / f"{port}.log", options=OPTIONS, app="quick_leases:app")
            return started.enter_context(process).pid

        both = [Machine(f"http://localhost:{port}", partial(start, port)) for port in free_ports(2)]
        for machine in both:
            machine.switch_on()
        yield Machines(both, acme, key, environment["BRIDGE_PUBLIC_URL"], environment["BRIDGE_DATABASE_URL"])


@pytest.fixture
def machines(running: Machines) -> Iterator[Machines]:
    switches = {"tier2_per_minute": int(NO_LIMIT), "tier1_per_minute": int(NO_LIMIT), "tenant_rate_limit": "off"}
    running.acme.control("POST", "switches", switches)
    running.acme.forget_calls()
    yield running
    running.acme.control("DELETE", "faults")


def test_one_person_at_400_pages_costs_one_login_and_one_mint(machines: Machines) -> None:
    machines.slow(LOGIN, 300, 1)
    machines.slow(MINT, 300, 1)
    answers = machines.at_once(["alice"] * CROWD)

    assert Counter(answer.status_code for answer in answers) == {200: CROWD}
    assert len({answer.text for answer in answers}) == 1
    assert machines.calls() == {(LOGIN, "alice"): 1, (MINT, "alice"): 1}


def test_400_people_who_are_known_cost_one_mint_each(machines: Machines) -> None:
    people = [f"p{number}" for number in range(CROWD)]
    machines.know(people)
    answers = machines.at_once(people)

    assert Counter(answer.status_code for answer in answers) == {200: CROWD}
    assert len({answer.text for answer in answers}) == CROWD
    assert machines.calls() == {(MINT, sub): 1 for sub in people}


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_a_worker_that_is_killed_loses_its_sockets_and_nothing_else(machines: Machines) -> None:
    """Eight at a time are on their way to a first token; whoever loses the connection asks at the other machine."""
    machines.slow(LOGIN, 100, 1_000)
    first, second = machines.both
    numbers, lost = count(), []
    end = time.monotonic() + 2

    def arrive(_: int) -> list[int]:
        statuses = []
        while time.monotonic() < end:
            sub = f"k{next(numbers)}"
            try:
                answer = machines.ask(first, sub)
            except requests.ConnectionError:
                lost.append(sub)
                answer = machines.ask(second, sub)
            statuses.append(answer.status_code)
        return statuses

    with ThreadPoolExecutor(8) as pool:
        arriving = [pool.submit(arrive, number) for number in range(8)]
        wait_for(lambda: len(machines.acme.calls(LOGIN)) >= 8)
        os.kill(max(first.workers(), key=_open_files), signal.SIGKILL)  # the kernel may have given one worker all eight
        statuses = [status for each in arriving for status in each.result(PATIENCE_S)]

    assert lost, "the worker was killed while it held leases"
    assert set(statuses) == {200}
    calls = machines.calls()
    assert {sub for (_, sub), times in calls.items() if times > 1} <= set(lost)
    assert max(calls.values()) <= 2
    machines.acme.forget_calls()
    for sub in lost:
        assert len({machines.ask(machine, sub).text for machine in machines.both}) == 1
    assert machines.calls() == {}


KILLS = 3


@dataclass
class Day:
    """People who come all day long, each of them at both machines at once, and an operator who changes things."""

    machines: Machines
    is_over: threading.Event = field(default_factory=threading.Event)
    asked: set[str] = field(default_factory=set)
    lost: Counter[str] = field(default_factory=Counter)
    """How often whose request was on its way when its socket died."""
    statuses: Counter[int] = field(default_factory=Counter)
    moved: list[int] = field(default_factory=list)
    unsure: int = 0

    def arrive(self, number: int) -> None:
        for each in count():
            if self.is_over.is_set():
                return
            self._come(f"d{number}-{each}")

    def _come(self, sub: str) -> None:
        """Open a page at each machine at once."""
        self.asked.add(sub)
        with ThreadPoolExecutor(2) as pages:
            answers = pages.map(lambda machine: self._answer(machine, sub), self.machines.both)
            self.statuses.update(answer.status_code for answer in answers)

    def _answer(self, machine: Machine, sub: str) -> requests.Response:
        """Ask as behind a proxy: a machine that lets nobody in is passed by, and a socket that dies is another try.

        Who waits at the one machine for what died with the other may lose that socket, too.
        """
        turns = cycle([machine, *(each for each in self.machines.both if each is not machine)])
        for each in islice(turns, KILLS):
            try:
                return self.machines.come(each, sub)
            except requests.ConnectionError as error:
                self.lost.update([sub] if "NewConnectionError" not in repr(error) else [])
        return self.machines.come(next(turns), sub)

    def operate(self) -> None:
        """Change a percentage again and again, at one machine and the other in turn."""
        for each, machine in enumerate(cycle(self.machines.both)):
            if self.is_over.is_set():
                return
            with suppress(requests.ConnectionError):
                self.unsure += 1
                order = {"to": "oauth", "percent": each % 90 + 1, "reason": "story"}
                answer = self.machines.post(machine, "/api/v1/tenants/acme/stage", "erin", "bridge-admins", **order)
                self.unsure -= 1
                self.moved.append(answer.status_code)


def test_machines_that_are_killed_again_and_again_lose_what_was_on_their_sockets(machines: Machines) -> None:
    machines.slow(LOGIN, 50, 1_000_000)
    day = Day(machines)
    with ThreadPoolExecutor(5) as pool:
        busy = [*(pool.submit(day.arrive, number) for number in range(3)), pool.submit(day.operate)]
        try:
            for machine in islice(cycle(machines.both), KILLS):
                served = sum(day.statuses.values())
                wait_for(lambda served=served: sum(day.statuses.values()) > served + 20)  # type: ignore[misc]
                machine.cut_off()
                machine.switch_on()
        finally:
            day.is_over.set()
        for each in busy:
            each.result(PATIENCE_S)

    assert (set(day.statuses), set(day.moved)) == ({200}, {200})
    assert day.lost, "machines were killed while they were at work"
    minted = Counter({sub: times for (path, sub), times in machines.calls().items() if path == MINT})
    assert set(minted) == day.asked
    assert {sub for sub, times in minted.items() if times > 1} <= set(day.lost)
    check_the_store(machines, day, minted)


def check_the_store(machines: Machines, day: Day, minted: Counter[str]) -> None:
    """Hold what is kept against what the tenant made: everybody's token works, and nothing waits for the dead."""
    for sub in [*day.lost, *islice(day.asked, 5)]:
        assert len({machines.ask(machine, sub).text for machine in machines.both}) == 1
    assert machines.calls() == {}
    database = open_database(machines.database_url)
    with database.reading() as connection:
        kept = Counter(connection.execute(select(TOKENS.c.sub).where(TOKENS.c.sub.like("d%-%"))).scalars())
        leases = connection.execute(select(LEASES.c.sub).where(LEASES.c.until > 0, LEASES.c.problem == "")).all()
    trail = [
        each.event for each in SqlAuditLog(database).walk(AuditFilter(tenant="acme")) if "erin" in each.event.actor
    ]
    database.close()

    assert set(kept) == day.asked
    assert leases == []
    assert sum(minted.values()) - sum(kept.values()) <= day.lost.total()
    assert 0 <= len(trail) - len(day.moved) <= day.unsure
    for before, after in pairwise(trail):
        assert after.before == before.after
