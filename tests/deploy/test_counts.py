"""What all workers count together is what the tenant counted, to the unit, on a day on which much goes wrong."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import requests
from serverkit import Installation, Server
from storykit import wait_for

LOGIN, WHO, MINT, REVOKE = "/login/jwt-session", "/api/v1/users/me", "/oauth/token", "/oauth/revoke"
PEOPLE = 24
UPSTREAM = re.compile(r'bridge_upstream_calls_total\{call="(\w+)",outcome="(\w+)",tenant="acme"\}')


@dataclass
class Day:
    """A bridge of several workers, its people, and what may go wrong for them."""

    bridge: Installation
    server: Server

    def ask(self, who: str, **headers: str) -> requests.Response:
        vouched = {**self.bridge.vouch(who), **headers}
        return requests.post(f"{self.server.base}/t/acme/access-token", headers=vouched, timeout=30)

    def sign_out(self, who: str) -> requests.Response:
        return requests.delete(f"{self.server.base}/t/acme/session", headers=self.bridge.vouch(who), timeout=30)

    def fault(self, endpoint: str, **how: object) -> None:
        self.bridge.acme.control("POST", "faults", {"endpoint": endpoint, **how})

    def seen_by_the_tenant(self) -> Mapping[str, Counter[int | None]]:
        """Return by path how often the tenant was called, by what it answered (None: it hung up)."""
        listed = self.bridge.acme.control("GET", "calls").json()
        return {
            path: Counter(call["status"] for call in listed if call["path"] == path)
            for path in (LOGIN, WHO, MINT, REVOKE)
        }

    def counted(self) -> Mapping[str, Counter[str]]:
        """Return by call how often the bridge says that it made it, by outcome."""
        found = [(UPSTREAM.fullmatch(name), value) for name, value in self.server.metrics().items()]
        calls: dict[str, Counter[str]] = {call: Counter() for call in ("log_in", "mint", "whoami", "revoke")}
        for match, value in found:
            if match and match[1] in calls:
                calls[match[1]][match[2]] += int(value)
        return calls


@pytest.fixture(scope="module")
def day(install: Callable[..., Installation]) -> Day:
    bridge = install()
    return Day(bridge, bridge.start())


def test_every_call_mint_and_429_is_counted_once(day: Day) -> None:
    people = [f"person-{number}" for number in range(PEOPLE)]
    with ThreadPoolExecutor(6) as crowd:  # no more than one worker has places for
        answers = list(crowd.map(day.ask, people * 2))
    assert {answer.status_code for answer in answers} == {200}

    day.fault(MINT, drop="after")
    assert day.ask("unlucky").ok, "one token is lost, the next one is theirs"
    day.fault(LOGIN, status=500)
    day.fault(LOGIN, drop="before")
    assert day.ask("patient").status_code == 503, "two tries, and none came through"
    assert day.ask("patient").ok
    assert day.ask(people[0], **{"X-Rejected-Token": answers[0].headers["Token-Id"]}).ok
    assert day.sign_out(people[1]).status_code == 204
    day.fault(WHO, status=429, retry_after=1)
    assert day.ask("curious").json()["error"] == "tenant_throttled"
    day.fault(MINT, status=429, retry_after=600)
    # the worker that did not sign them out may have their token for a quarter of a second
    wait_for(lambda: (answer := day.ask(people[1])).status_code != 200 or "kept" not in answer.headers["Server-Timing"])
    assert day.ask(people[1]).json()["error"] == "tenant_throttled"
    assert day.ask("late").json()["error"] == "tenant_throttled", "and the tenant heard nothing of that"

    theirs, ours = day.seen_by_the_tenant(), day.counted()
    lost = day.server.metrics()['bridge_mints_lost_total{tenant="acme"}']
    assert ours["log_in"].total() == theirs[LOGIN].total() == PEOPLE + 5
    assert ours["mint"].total() == theirs[MINT].total() == PEOPLE + 4
    assert ours["whoami"].total() + theirs[LOGIN][200] == theirs[WHO].total()
    assert ours["revoke"].total() == theirs[REVOKE].total() == 1
    assert ours["mint"]["ok"] + lost == theirs[MINT][200] == PEOPLE + 3
    assert lost == 1
    for call, path in (("log_in", WHO), ("mint", MINT)):
        assert ours[call]["tenant_throttled"] == theirs[path][429] == 1
