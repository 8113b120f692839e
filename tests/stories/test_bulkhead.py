"""One machine of 16 threads, and 64 people at once who have no token while the tenant hangs."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from storykit import PATIENCE_S, Tenant, running_bridge, wait_for

from bridge.bootstrap import build
from bridge.cli.demo import apply_states, demo_environment
from bridge.model import Identity, Stage, Subject
from bridge.services.stages import Move
from bridge.settings import read_settings

LOGIN, MINT = "/login/jwt-session", "/oauth/token"
CROWD, PLACES_OF_ONE = 64, 6
HANGS_MS = 5_000
EVERY_S = 0.1
"""So often asks who has a token: one person alone may not ask more often than a few times a second for long."""


@dataclass
class Crowd:
    """People with a session, and how often each was told to come back."""

    base: str
    bearers: dict[str, str]
    told: Counter[str] = field(default_factory=Counter)

    def ask(self, sub: str, tenant: str = "acme") -> requests.Response:
        header = {"Authorization": f"Bearer {self.bearers[sub]}"}
        return requests.post(f"{self.base}/t/{tenant}/access-token", headers=header, timeout=PATIENCE_S)

    def come(self, sub: str, tenant: str = "acme") -> requests.Response:
        """Ask, and come back as told, as a page does."""
        while (answer := self.ask(sub, tenant)).status_code == 503:
            assert answer.json()["error"] == "bridge_busy", answer.text
            self.told[sub] += 1
            time.sleep(int(answer.headers["Retry-After"]))
        return answer

    def metric(self, name: str) -> float:
        lines = requests.get(f"{self.base}/metrics", timeout=PATIENCE_S).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.fixture
def crowd(sandbox: tuple[Tenant, Tenant], ports: dict[str, int], tmp_path: Path) -> Iterator[Crowd]:
    acme, globex = sandbox
    for tenant in sandbox:
        tenant.control("POST", "reset")
        tenant.control("POST", "switches", {"tenant_rate_limit": "off"})
    environment = {name: value for name, value in demo_environment(tmp_path, ports).items() if value}
    bridge = build(read_settings(environment))
    apply_states(bridge, tmp_path, ports, {"acme": acme.state(), "globex": globex.state()})
    for slug in ("acme", "globex"):
        for stage in (Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH):
            bridge.stages.move(slug, Move(stage, "test", "story", force=True))
    names = ["warm", *(f"p{number}" for number in range(CROWD))]
    people = {sub: Subject(sub, sub.title(), f"{sub}@example.com", frozenset({"Finance"})) for sub in names}
    bearers = {sub: bridge.sessions.open(Identity(who, "demo", "demo", time.time())) for sub, who in people.items()}
    bridge.close()
    with running_bridge(ports["bridge"], environment, tmp_path / "bridge.log"):
        yield Crowd(environment["BRIDGE_PUBLIC_URL"], bearers)
    for tenant in sandbox:
        tenant.control("DELETE", "faults")


def hang(tenant: Tenant, times: int) -> None:
    tenant.forget_calls()
    tenant.control("POST", "faults", {"endpoint": LOGIN, "latency_ms": HANGS_MS, "times": times})


def test_who_has_a_token_is_served_at_once_and_the_others_in_the_end(
    crowd: Crowd, sandbox: tuple[Tenant, Tenant]
) -> None:
    acme, _ = sandbox
    assert crowd.come("warm").ok
    hang(acme, PLACES_OF_ONE)
    people = [sub for sub in crowd.bearers if sub != "warm"]
    waits = []
    with ThreadPoolExecutor(CROWD) as pool:
        started = time.monotonic()
        coming = [pool.submit(crowd.come, sub) for sub in people]
        wait_for(lambda: crowd.metric("bridge_bulkhead_taken") == PLACES_OF_ONE)
        while time.monotonic() < started + HANGS_MS / 1000:
            asked = time.monotonic()
            assert crowd.ask("warm").ok
            waits.append(time.monotonic() - asked)
            time.sleep(EVERY_S)
        answers = [each.result(PATIENCE_S) for each in as_completed(coming, PATIENCE_S)]

    assert Counter(answer.status_code for answer in answers) == {200: CROWD}
    assert max(waits) < HANGS_MS / 1000, "the longest answer waited for none of those who hung"
    assert len(waits) > 3
    assert crowd.told, "64 at once are more than may wait"
    assert Counter(acme.calls(LOGIN, MINT)) == {LOGIN: CROWD, MINT: CROWD}
    assert crowd.metric("bridge_bulkhead_refusals_total") == crowd.told.total()
    assert crowd.metric("bridge_bulkhead_taken") == 0


def test_a_tenant_that_hangs_leaves_first_tokens_to_the_others(crowd: Crowd, sandbox: tuple[Tenant, Tenant]) -> None:
    _, globex = sandbox
    hang(globex, PLACES_OF_ONE)
    with ThreadPoolExecutor(CROWD) as pool:
        stuck = [pool.submit(crowd.ask, f"p{number}", "globex") for number in range(CROWD)]
        wait_for(lambda: crowd.metric("bridge_bulkhead_refusals_total") >= CROWD - PLACES_OF_ONE)
        assert [crowd.ask(f"p{number}").status_code for number in range(3)] == [200] * 3
        assert sum(not each.done() for each in stuck) == PLACES_OF_ONE, "they hang still"
        outcomes = Counter(each.result(PATIENCE_S).status_code for each in stuck)

    assert outcomes == {200: PLACES_OF_ONE, 503: CROWD - PLACES_OF_ONE}
