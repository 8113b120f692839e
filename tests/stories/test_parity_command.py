"""`qlik-bridge parity` as an operator types it, against a real sandbox."""

import csv
import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import pytest
from storykit import Tenant, change_tenant

from bridge.bootstrap import Bridge
from bridge.cli import main
from bridge.cli.demo import demo_environment
from bridge.errors import BudgetSpent, SyncRefused
from bridge.evidence import ParityPlan, ParityResult, RowProbe
from bridge.model import Content, Identity, Stage, Subject
from bridge.services.parity import Parity
from bridge.services.stages import Move

RETAIL = str(uuid5(NAMESPACE_URL, "acme/Retail sales"))
SALES = RowProbe(name="sales by product", app_id=RETAIL, dimension="Product", measure="Sum(Sales)")
FAST = ("--per-minute", "6000")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def bridge(
    make_product: Callable[..., Bridge],
    sandbox: tuple[Tenant, Tenant],
    ports: dict[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bridge:
    """Acme in shadow with a probe, and a shell whose settings lead to the same bridge."""
    environment = demo_environment(tmp_path, ports)
    ours = {name: value for name, value in environment.items() if name.startswith("BRIDGE_")}
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    product = make_product(**ours)
    change_tenant(product, "acme", content=Content(), parity=ParityPlan(probes=(SALES,), max_apps=1))
    product.stages.move("acme", Move(Stage.SHADOW, "test"))
    sandbox[0].forget_calls()
    return product


@pytest.fixture
def run(bridge: Bridge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: object) -> Outcome:
        bridge.close()
        monkeypatch.setattr(sys, "argv", ["qlik-bridge", "parity", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as ending:
            code = int(ending.code or 0)
        return Outcome(code, *capsys.readouterr())

    return command


@pytest.fixture
def people(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: Iterable[str]) -> Path:
        file = tmp_path / "people.csv"
        with file.open("w", newline="") as output:
            csv.writer(output).writerows([("sub", "name", "email", "groups", "as_of"), *rows])
        return file

    return write


def row(sub: str, groups: str, as_of: float | None = None) -> tuple[str, ...]:
    return (sub, sub.title(), f"{sub}@example.com", groups, str(as_of or time.time() - 60))


SOME = (row("alice", "Finance;EMEA"), row("bob", "Sales;AMER"), row("carol", ""))


def report(file: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads(file.read_text())


def test_two_hundred_equal_people_give_no_false_alarm(
    run: Run, people: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "BRIDGE_BUDGET_CALLS_PER_MINUTE", "1000"
    )  # the 400 calls fit into the sandbox's own limit of 500
    mixes = ("Finance;EMEA", "Sales;AMER", "", "bridge-admins", "Finance;Sales;AMER", "EMEA")
    file = people(*(row(f"user-{number}", mixes[number % len(mixes)]) for number in range(200)))

    done = run("acme", "--subjects", file, "--json", tmp_path / "report.json", *FAST)

    assert done.code == 0, done.err
    found = report(tmp_path / "report.json")
    assert found["summary"] == {"proven": 200, "mismatch": 0, "unproven": 0, "left_out": 0}
    assert found["differences"] == []


def test_a_difference_is_told_everywhere_and_ends_with_1(
    run: Run, people: Callable[..., Path], sandbox: tuple[Tenant, Tenant], tmp_path: Path
) -> None:
    file = people(*SOME)
    assert run("acme", "--subjects", file, *FAST).code == 0
    sandbox[0].control("POST", "switches", {"group_mode": 1})

    page, document = tmp_path / "report.html", tmp_path / "report.json"
    done = run("acme", "--subjects", file, "--report", page, "--json", document, *FAST)

    assert done.code == 1
    assert "1 proven, 2 mismatch" in done.out
    assert "3 rows fewer than by JWT" in done.out
    assert [each["subjects"] for each in report(document)["differences"]] == [["alice"], ["bob"]]
    assert "2 of 3 people would have another access by OAuth" in page.read_text()


def test_why_somebody_is_not_proven_is_told_without_a_report(
    run: Run, bridge: Bridge, people: Callable[..., Path]
) -> None:
    bridge.stages.move("acme", Move(Stage.ROLLOUT, "test", percentage=100, force=True, reason="test"))

    done = run("acme", "--subjects", people(*SOME), *FAST)

    assert "0 proven, 0 mismatch, 3 unproven" in done.out
    assert "roles, spaces, apps, sheets, objects, rows  all " in done.out
    assert "take one with `qlik-bridge parity --baseline`" in done.out


def test_the_report_stands_alone_and_escapes_names(
    run: Run, bridge: Bridge, people: Callable[..., Path], tmp_path: Path
) -> None:
    change_tenant(bridge, "acme", name="<script>alert(1)</script> & Co")
    page = tmp_path / "report.html"

    assert run("acme", "--subjects", people(*SOME), "--report", page, *FAST).code == 0

    text = page.read_text()
    assert "All 3 people compared have the same access" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co" in text
    assert re.findall(r"<script|https?://|@import|url\(|src=|href=", text) == []
    assert ("prefers-color-scheme: dark" in text, "@media print" in text) == (True, True)


def test_an_interrupted_run_goes_on_where_it_was(
    run: Run, people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, sandbox: tuple[Tenant, Tenant]
) -> None:
    file, compared = people(*SOME), list[str]()
    compare = Parity.compare

    def counting(self: Parity, slug: str, identity: Identity, *, run: float = 0) -> ParityResult:
        if len(compared) == 2:
            compared.append("Ctrl-C")
            raise KeyboardInterrupt
        compared.append(identity.subject.sub)
        return compare(self, slug, identity, run=run)

    monkeypatch.setattr(Parity, "compare", counting)
    interrupted = run("acme", "--subjects", file, *FAST)
    resumed = run("acme", "--subjects", file, "--resume", *FAST)

    assert interrupted.code == 130
    assert "Interrupted after 2 of 3. Go on with --resume." in interrupted.err
    assert (resumed.code, compared) == (0, ["alice", "bob", "Ctrl-C", "carol"])
    assert "3 proven" in resumed.out
    assert len(sandbox[0].calls("/oauth/token")) == 3


def test_it_says_when_the_budget_sets_the_pace(
    run: Run, people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object, **__: object) -> ParityResult:
        raise SyncRefused

    monkeypatch.setattr(Parity, "compare", refusing)

    done = run("acme", "--subjects", people(*(row(f"user-{number}", "") for number in range(101))), *FAST)

    said = "--per-minute 6000 holds for 100 new people; the budget lets about 20 a minute through after them."
    assert said + " All 101: about 5 min." in done.err
    assert "holds for" not in run("acme", "--subjects", people(row("alice", "")), *FAST).err


def test_a_run_that_pages_starve_ends_and_can_be_resumed(
    run: Run, people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spent(*_: object, **__: object) -> ParityResult:
        raise BudgetSpent(retry_after_s=30, lane="shadow")

    monkeypatch.setattr(Parity, "compare", spent)
    monkeypatch.setattr(sys.modules["bridge.services.parity_runs"], "PATIENCE_S", 0)

    done = run("acme", "--subjects", people(*SOME), *FAST)

    assert done.code == 3
    assert "Interrupted after 0 of 3. Go on with --resume." in done.err
    assert "the budget had no call left for this run" in done.err


def test_files_are_tried_out_before_anybody_is_asked(
    run: Run, people: Callable[..., Path], sandbox: tuple[Tenant, Tenant], tmp_path: Path
) -> None:
    nowhere, fresh = tmp_path / "nowhere" / "report.html", tmp_path / "report.json"

    done = run("acme", "--subjects", people(*SOME), "--report", nowhere, "--json", fresh, *FAST)

    assert done.code == 2
    assert f"{nowhere} cannot be written: No such file or directory" in done.out
    assert sandbox[0].calls("/login/jwt-session", "/oauth/token") == []
    assert not fresh.exists()


def test_a_file_that_is_full_takes_nothing_else_with_it(run: Run, people: Callable[..., Path], tmp_path: Path) -> None:
    document = tmp_path / "report.json"

    done = run("acme", "--subjects", people(*SOME), "--report", "/dev/full", "--json", document, *FAST)

    assert (done.code, "3 proven" in done.out) == (2, True)
    assert "/dev/full cannot be written: No space left on device" in done.out
    assert report(document)["summary"]["proven"] == 3


def test_a_run_does_not_go_on_with_what_was_made_under_other_probes(
    run: Run, people: Callable[..., Path], bridge: Bridge
) -> None:
    file = people(*SOME[:2])
    assert run("acme", "--subjects", file, *FAST).code == 0
    ignores = [{"area": "spaces", "item": "Playground", "reason": "nobody embeds it"}]
    change_tenant(bridge, "acme", parity=ParityPlan.model_validate({"max_apps": 1, "ignores": ignores}))
    before = {sub: result.compared_at for sub in ("alice", "bob") if (result := bridge.parity.result("acme", sub))}

    assert run("acme", "--subjects", file, "--resume", *FAST).code == 0

    after = {sub: result.compared_at for sub in ("alice", "bob") if (result := bridge.parity.result("acme", sub))}
    assert all(after[sub] > before[sub] for sub in ("alice", "bob"))


def test_guardrails_see_a_mismatch_while_the_run_goes_on(
    run: Run,
    people: Callable[..., Path],
    bridge: Bridge,
    sandbox: tuple[Tenant, Tenant],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, seen, compare = people(*SOME), list[int](), Parity.compare
    assert run("acme", "--subjects", file, *FAST).code == 0
    sandbox[0].control("POST", "switches", {"group_mode": 1})
    monkeypatch.setattr(sys.modules["bridge.cli.parity"], "TELL_EVERY_S", 0)
    before = compared_by_guardrails(bridge)

    def looking(self: Parity, slug: str, identity: Identity, *, run: float = 0) -> ParityResult:
        seen.append(compared_by_guardrails(bridge) - before)
        return compare(self, slug, identity, run=run)

    monkeypatch.setattr(Parity, "compare", looking)
    run("acme", "--subjects", file, *FAST)

    assert seen == [0, 1, 2]


def compared_by_guardrails(bridge: Bridge) -> int:
    found = {each.guardrail: each for each in bridge.guardrails.readings("acme")}
    return round((found["parity_mismatches"].value or 0) / 100 * found["parity_mismatches"].samples)


def test_older_rows_are_skipped_and_said(
    run: Run, bridge: Bridge, people: Callable[..., Path], sandbox: tuple[Tenant, Tenant]
) -> None:
    newer = Subject("alice", "Alice", "alice@example.com", frozenset({"Finance"}))
    bridge.parity.compare("acme", Identity(newer, "demo", "demo", time.time() - 10))

    done = run("acme", "--subjects", people(row("alice", "Finance;EMEA"), ("bob", "", "", "", "")), *FAST)

    assert done.code == 0
    assert "left out alice: the file's facts are older than what the portal said since" in done.err
    assert "left out bob: nobody of this subject ever signed in here" in done.err
    assert [user["subject"] for user in sandbox[0].state()["users"] if user["subject"] in {"alice", "bob"}] == ["alice"]


def test_mistakes_in_the_file_are_told_together(run: Run, people: Callable[..., Path]) -> None:
    tomorrow = row("carol", "", time.time() + 86_400)
    nameless = ("dora", "", "", "Finance", "2026-01-01T00:00:00Z")
    file = people(row("alice", ""), row("alice", ""), row("bob", "[1]"), tomorrow, nameless, ("", "", "", "", ""))

    done = run("acme", "--subjects", file)

    assert done.code == 2
    said = ("alice is there twice", "JSON list", "in the future", "`name` and `as_of`", "`sub` is empty")
    assert [part in done.err for part in said] == [True] * 5


def test_baselines_are_taken_alone(run: Run, people: Callable[..., Path], sandbox: tuple[Tenant, Tenant]) -> None:
    done = run("acme", "--subjects", people(*SOME, row("dave", "Sales")), "--baseline", *FAST)

    assert (done.code, "Took 3 JWT baselines, left out 1." in done.out) == (0, True)
    assert "left out dave: subject_not_provisioned" in done.err
    assert sandbox[0].calls("/oauth/token") == []


def test_what_is_known_is_told_without_asking_the_tenant(
    run: Run, people: Callable[..., Path], sandbox: tuple[Tenant, Tenant]
) -> None:
    run("acme", "--subjects", people(*SOME), *FAST)
    sandbox[0].forget_calls()

    done = run("acme", "--json", "-")

    assert (done.code, json.loads(done.out)["summary"]["proven"]) == (0, 3)
    assert sandbox[0].calls("/login/jwt-session", "/oauth/token", "/api/v1/spaces") == []


def test_a_throttled_tenant_is_waited_for(
    run: Run, people: Callable[..., Path], sandbox: tuple[Tenant, Tenant]
) -> None:
    throttle = {"endpoint": "/api/v1/spaces", "status": 429, "retry_after": 1, "times": 1}
    sandbox[0].control("POST", "faults", throttle)

    done = run("acme", "--subjects", people(SOME[0]), *FAST)

    assert (done.code, "1 proven" in done.out) == (0, True)


def test_runs_are_in_the_audit(run: Run, bridge: Bridge, people: Callable[..., Path]) -> None:
    run("acme", "--subjects", people(*SOME), *FAST)

    event = bridge.audit.latest(tenant="acme", limit=1)[0]
    assert (event.action, event.actor.partition(":")[0]) == ("parity.run", "cli")
    assert event.after == {"proven": 3, "mismatch": 0, "unproven": 0, "left_out": 0}
