"""The audit on the command line: a table for people, lines of JSON for machines, of any length."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clikit import Run
from sqlalchemy import text

from bridge.adapters.sql import SqlAuditLog, open_database
from bridge.errors import StoreError
from bridge.trail import AuditEntry, AuditFilter

MORE = """WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many LIMIT 99990)
    INSERT INTO audit (at, actor, action, tenant, reason, request_id)
    SELECT n, 'cli:erin', 'stage.move', 'acme', 'because', '' FROM many"""


@pytest.fixture
def moved(applied: Run) -> Run:
    applied("stage", "move", "acme", "shadow", "--reason", "we begin, größer")
    applied("operators", "token", "new", "ci")
    return applied


def test_the_newest_events_are_listed(moved: Run) -> None:
    listed = moved("audit", "list")

    lines = listed.out.splitlines()
    assert lines[0].split()[:4] == ["id", "time", "actor", "action"]
    assert "operator_token.create" in lines[1]
    assert "stage: legacy -> shadow" in lines[2]
    assert "we begin, größer" in lines[2]


def test_filters_narrow_the_list_and_the_export(moved: Run) -> None:
    def actions(*options: str) -> list[str]:
        found = [json.loads(line)["action"] for line in moved("audit", "export", *options).out.splitlines()]
        listed = [each["action"] for each in moved("audit", "list", "--json", *options).json()]
        assert found == listed[::-1]
        return found

    assert actions() == ["tenant.create", "stage.move", "operator_token.create"]
    assert actions("--tenant", "acme") == ["tenant.create", "stage.move"]
    assert actions("--action", "stage.move") == ["stage.move"]
    assert actions("--actor", "cli:nobody") == []
    assert actions("--until", "2020-01-01") == []
    assert len(actions("--since", "2020-01-01T00:00:00Z", "--until", "2199-12-31")) == 3


def test_an_exported_line_says_who_what_why_and_from_what_to_what(moved: Run) -> None:
    done = moved("audit", "export", "--action", "stage.move")

    line = json.loads(done.out)
    assert line.items() >= {"action": "stage.move", "tenant": "acme", "reason": "we begin, größer"}.items()
    assert (line["before"]["stage"], line["after"]["stage"]) == ("legacy", "shadow")
    assert set(line) == {"id", "at", "actor", "action", "tenant", "reason", "before", "after", "request_id"}
    assert done.err == "Exported 1 events.\n"


def test_an_export_to_a_file_is_private_and_whole(moved: Run, tmp_path: Path) -> None:
    done = moved("audit", "export", "--output", str(tmp_path / "audit.jsonl"))

    assert (done.code, done.out) == (0, "")
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 3
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    assert moved("audit", "export", "--output", str(tmp_path / "nowhere" / "audit.jsonl")).code == 1


def test_the_list_goes_on_where_a_page_ended(moved: Run) -> None:
    first = moved("audit", "list", "--limit", "2", "--json").json()
    rest = moved("audit", "list", "--before", str(first[-1]["id"]), "--json").json()

    assert [each["action"] for each in (*first, *rest)] == ["operator_token.create", "stage.move", "tenant.create"]


def test_an_export_that_breaks_off_leaves_the_old_file(
    moved: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an export would look like a whole one."""
    file = tmp_path / "audit.jsonl"
    file.write_text("yesterday's")
    walk = SqlAuditLog.walk

    def break_off(audit: SqlAuditLog, asked: AuditFilter) -> Iterator[AuditEntry]:
        yield next(walk(audit, asked))
        raise StoreError

    monkeypatch.setattr(SqlAuditLog, "walk", break_off)

    assert moved("audit", "export", "--output", str(file)).code == 3
    assert file.read_text() == "yesterday's"
    assert [each.name for each in tmp_path.glob("*") if each.name.startswith("tmp")] == []


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_time_that_is_none_is_wrong_usage(applied: Run, option: str) -> None:
    done = applied("audit", "list", option, "yesterday")

    assert done.code == 2
    assert "2026-11-01" in done.err


def exported(folder: Path) -> tuple[int, int]:
    """Return how many lines a process of its own wrote, and the most memory that it had, in kilobytes."""
    with (folder / "lines").open("wb") as output:
        command = [sys.executable, "-m", "bridge.cli", "audit", "export"]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    with (folder / "lines").open("rb") as lines:
        return sum(1 for _ in lines), used.ru_maxrss


def test_a_hundred_thousand_events_need_no_more_memory_than_a_few(
    moved: Run, settings: dict[str, str], tmp_path: Path
) -> None:
    few = exported(tmp_path)
    database = open_database(settings["BRIDGE_DATABASE_URL"])
    with database.writing() as connection:
        connection.execute(text(MORE))
    many = exported(tmp_path)

    assert (few[0], many[0]) == (3, 99_993)
    assert many[1] - few[1] < 20_000
    assert len(moved("audit", "list", "--json").json()) == 50
