"""`qlik-bridge sync`: a night's work against a real sandbox, and the morning after."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from storykit import PATIENCE_S, PORTAL_ISSUER, ROOT, Portal, Tenant, World, portal_keys, wait_until

from bridge.bootstrap import Bridge
from bridge.cli import main
from bridge.cli.demo import demo_environment
from bridge.model import Stage
from bridge.services.stages import Move

LOGIN, MINT, WHO = "/login/jwt-session", "/oauth/token", "/api/v1/users/me"
THIRTY = [f"user-{number}" for number in range(30)]


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class Night:
    """A shell whose settings lead to the bridge of the morning."""

    def __init__(self, home: Path, environment: Mapping[str, str], acme: Tenant) -> None:
        self.home = home
        self.acme = acme
        self.environment = environment

    def words(self, *subs: str, options: tuple[str, ...]) -> list[str]:
        path = self.home / "people.csv"
        facts = ("somebody@example.com", "Finance;EMEA", time.time() - 60)
        with path.open("w", newline="") as output:
            writer = csv.writer(output)
            writer.writerow(("sub", "name", "email", "groups", "as_of"))
            writer.writerows((sub, sub.title(), *facts) for sub in subs)
        return ["sync", "acme", "--subjects", str(path), "--json", str(self.home / "report.json"), *options]

    def start(self, *subs: str) -> subprocess.Popen[bytes]:
        """Start the command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "bridge.cli", *self.words(*subs, options=("--prewarm",))],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def run(self, *subs: str, options: tuple[str, ...] = ("--prewarm",)) -> Outcome:
        """Run the command in this process."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["qlik-bridge", *self.words(*subs, options=options)])
            try:
                main()
            except SystemExit as ending:
                code = int(ending.code or 0)
        return Outcome(code, out.getvalue(), err.getvalue())

    def report(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads((self.home / "report.json").read_text())

    def calls(self) -> tuple[int, int]:
        """Return the logins and the mints so far."""
        return len(self.acme.calls(LOGIN)), len(self.acme.calls(MINT))

    def asked_for(self, path: str) -> Counter[tuple[str, int]]:
        """Return for whom that was called, and what the tenant answered."""
        calls = self.acme.control("GET", "calls").json()
        return Counter((call["user"], call["status"]) for call in calls if call["path"] == path)


@pytest.fixture
def make(
    make_product: Callable[..., Bridge],
    sandbox: tuple[Tenant, Tenant],
    serve: Callable[[Bridge], World],
    ports: dict[str, int],
    tmp_path: Path,
) -> Iterator[Callable[..., tuple[Night, Portal]]]:
    def start(stage: Stage = Stage.OAUTH, **settings: str) -> tuple[Night, Portal]:
        key, public = portal_keys()
        (tmp_path / "jwks.json").write_text(public)
        ours = demo_environment(tmp_path, ports) | {  # with its secrets, which are others each time
            "BRIDGE_IDENTITY": "assertion",
            "BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER,
            "BRIDGE_ASSERTION_JWKS": str(tmp_path / "jwks.json"),
            "BRIDGE_ADMIN_GROUPS": "assertion:bridge-admins",
            "BRIDGE_DEMO_PEOPLE": "",
            **settings,
        }
        bridge = make_product("assertion", **ours)
        order = list(Stage)
        for step in order[1 : order.index(stage) + 1]:
            bridge.stages.move("acme", Move(step, "test", "story", force=True))
        sandbox[0].forget_calls()
        kept = {name: value for name, value in ours.items() if value}
        return Night(tmp_path, kept, sandbox[0]), Portal(serve(bridge), bridge, key)

    yield start
    sandbox[0].control("POST", "reset")


def test_who_was_pre_warmed_costs_the_morning_no_call(make: Callable[..., tuple[Night, Portal]]) -> None:
    night, portal = make()

    done = night.run(*THIRTY, "dave")

    assert done.code == 1, done.err
    assert "30 synced, 0 still synced, 30 minted, 0 kept, 0 without token, 1 left out" in done.out
    assert "left out dave: subject_not_provisioned: Qlik Cloud does not accept this person." in done.err
    assert "31 people. The pre-warm lane has 59 calls a minute" in done.err
    assert [each["sub"] for each in night.report()["left_out"]] == ["dave"]
    assert night.asked_for(LOGIN) == Counter([*((sub, 200) for sub in THIRTY), ("dave", 403)])
    assert night.asked_for(MINT) == Counter([(sub, 200) for sub in THIRTY])
    spent = portal.bridge.budget.state(portal.bridge.tenants.get("acme").tenant)
    assert {lane.value: calls for lane, calls in spent.book.spent(spent.now).items() if calls} == {"pre_warm": 61}

    night.acme.forget_calls()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda sub: portal.token_for(sub, "Finance", "EMEA"), THIRTY))

    assert [answer.status_code for answer in answers] == [200] * 30
    assert night.acme.calls(LOGIN, MINT, WHO) == []
    assert portal.bridge.audit.latest(tenant="acme", limit=1)[0].action == "sync.run"


def test_after_ctrl_c_nobody_is_done_twice(make: Callable[..., tuple[Night, Portal]]) -> None:
    night, _ = make()
    night.acme.control("POST", "faults", {"endpoint": MINT, "latency_ms": 30, "times": 1000})
    process = night.start(*THIRTY)
    wait_until(lambda: night.calls()[1] >= 5, process, "sync")

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    assert b"Run the same command again." in err
    halfway = night.report()
    assert halfway["interrupted"]
    assert 5 <= len(halfway["people"]) < 30
    assert night.calls() == (len(halfway["people"]),) * 2, "who was begun was finished"

    again = night.run(*THIRTY)

    assert again.code == 0, again.err
    assert night.calls() == (30, 30)
    assert night.report()["summary"]["kept"] == len(halfway["people"])


def test_a_spent_lane_is_waited_for_and_said(make: Callable[..., tuple[Night, Portal]]) -> None:
    """Twenty calls in two seconds, of which fifteen are the lane's: twelve people need two windows."""
    settings = {"WINDOW_S": "2", "CALLS_PER_MINUTE": "600", "MARGIN_PERCENT": "0"}
    night, portal = make(**{f"BRIDGE_BUDGET_{name}": value for name, value in settings.items()})
    night.acme.control("POST", "switches", {"tier_window_s": 2, "tier2_per_minute": 600, "rate_identity": "shared"})

    done = night.run(*THIRTY[:12])

    assert done.code == 0, done.err
    assert "waits " in done.err
    assert "the pre-warm lane is spent" in done.err
    calls = [each for each in night.acme.control("GET", "calls").json() if each["path"] in {LOGIN, MINT}]
    assert [each["status"] for each in calls].count(429) == 0
    assert night.calls() == (12, 12)
    assert portal.token_for("user-1", "Finance", "EMEA").ok


def test_only_who_is_on_oauth_gets_a_token_unless_all_are_asked_for(make: Callable[..., tuple[Night, Portal]]) -> None:
    night, portal = make(Stage.SHADOW)

    assert night.run(*THIRTY[:3], options=()).code == 0
    assert night.calls() == (3, 0)
    assert night.run(*THIRTY[:3]).code == 0
    assert night.report()["summary"]["without_token"] == 3
    assert night.run(*THIRTY[:3], options=("--prewarm", "--everybody")).code == 0
    assert night.calls() == (3, 3)

    for step in (Stage.ROLLOUT, Stage.OAUTH):
        portal.bridge.stages.move("acme", Move(step, "test", "the step", force=True))
    night.acme.forget_calls()
    wait = time.monotonic() + PATIENCE_S
    while portal.token_for("user-1", "Finance", "EMEA").status_code != 200:
        assert time.monotonic() < wait
    assert night.acme.calls(LOGIN, MINT) == []


def test_groups_that_the_portal_took_away_do_not_come_back(make: Callable[..., tuple[Night, Portal]]) -> None:
    night, portal = make()
    assert portal.token_for("user-1", "Finance").ok, "just now, which is newer than the file"
    night.acme.forget_calls()

    done = night.run("user-1", "user-2")

    assert done.code == 1
    assert "left out user-1: the file's facts are older than what the portal said since" in done.err
    assert night.calls() == (1, 1)


def test_a_tenant_that_is_away_ends_the_run_and_names_everybody(make: Callable[..., tuple[Night, Portal]]) -> None:
    night, _ = make()
    night.acme.control("POST", "faults", {"endpoint": LOGIN, "status": 401, "times": 1000})

    done = night.run(*THIRTY)

    assert done.code == 3
    assert len(night.report()["left_out"]) == 30
    assert night.calls()[0] < 15
