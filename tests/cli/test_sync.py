"""What `qlik-bridge sync` refuses before it asks a tenant, and what a long walk tells."""

import signal
from datetime import datetime
from pathlib import Path

import pytest
from clikit import EXAMPLE, Run
from fakes import FakeClock

from bridge.cli.walking import Patience, Walk
from bridge.errors import BudgetSpent, TenantThrottled, TenantUnavailable

LATE = datetime(2026, 11, 21, 23, 58)  # noqa: DTZ001 - as on the wall


@pytest.fixture
def people(tmp_path: Path) -> str:
    file = tmp_path / "people.csv"
    file.write_text("sub,name,email,groups,as_of\nalice,Alice,,Finance,2026-01-01T00:00:00Z\n")
    return str(file)


class TestCommand:
    def test_everybody_goes_with_prewarm(self, applied: Run, people: str) -> None:
        done = applied("sync", "acme", "--subjects", people, "--everybody")
        assert (done.code, "goes with --prewarm" in done.err) == (1, True)

    def test_tokens_need_an_issuing_client(self, applied: Run, people: str, tmp_path: Path) -> None:
        text = EXAMPLE.read_text()
        begin = text.index("[tenants.issuing_client]")
        end = text.index("[tenants.", begin + 1)
        (tmp_path / "without.toml").write_text(text[:begin] + text[end:])
        assert applied("tenants", "apply", str(tmp_path / "without.toml"), "--yes").code == 0

        done = applied("sync", "acme", "--subjects", people, "--prewarm")
        assert (done.code, "has no `issuing_client`" in done.err) == (1, True)

    def test_an_unknown_tenant_and_a_file_that_is_not_there(self, applied: Run, people: str) -> None:
        assert applied("sync", "nobody", "--subjects", people).code == 1
        assert applied("sync", "acme", "--subjects", "nowhere.csv").code == 2

    def test_a_report_that_cannot_be_written_is_refused_before_the_work(self, applied: Run, people: str) -> None:
        done = applied("sync", "acme", "--subjects", people, "--json", "/nowhere/report.json")
        assert (done.code, "cannot be written" in done.out) == (2, True)

    def test_a_file_with_nobody_to_do_says_why(self, applied: Run, tmp_path: Path) -> None:
        (tmp_path / "strangers.csv").write_text("sub\nalice\n")
        done = applied("sync", "acme", "--subjects", str(tmp_path / "strangers.csv"), "--json", "-")

        assert done.code == 1
        assert done.json()["summary"]["left_out"] == 1
        assert "left out alice: nobody of this subject ever signed in here" in done.err
        assert "acme is in stage legacy" in done.err
        (event,) = applied("audit", "list", "--action", "sync.run", "--json").json()
        assert (event["tenant"], event["after"]["tokens"]) == ("acme", "nobody")


class TestWalk:
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def walk(self, clock: FakeClock) -> Walk:
        return Walk("acme", 100, clock)

    def test_the_first_wait_is_told_at_once_and_others_once_a_minute(
        self, walk: Walk, clock: FakeClock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with walk.showing():
            walk.advance()
            walk.waiting(BudgetSpent(), 42.4)
            walk.waiting(BudgetSpent(), 5)
            clock.advance(60)
            walk.waiting(TenantThrottled(), 30)
            clock.advance(60)
            walk.waiting(TenantUnavailable(), 10)

        assert capsys.readouterr().err.splitlines() == [
            "acme: 1 of 100, waits 42 s: the pre-warm lane is spent",
            "acme: 1 of 100, waits 30 s: the tenant asks us to slow down",
            "acme: 1 of 100, waits 10 s: the tenant does not answer",
        ]

    def test_a_line_a_minute_tells_how_far_it_is(
        self, walk: Walk, clock: FakeClock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for _ in range(130):
            clock.advance(1)
            walk.advance()

        told = capsys.readouterr().err.splitlines()
        assert [line.split(",")[0] for line in told] == ["acme: 60 of 100", "acme: 120 of 100"]

    def test_the_rate_and_the_end(self, walk: Walk, clock: FakeClock) -> None:
        assert walk.rate_and_end() == ""
        for _ in range(10):
            clock.advance(2)
            walk.advance()

        assert walk.rate_and_end(lambda: LATE) == "30/min until 00:01"

    def test_a_lane_that_is_spent_in_a_burst_is_no_rate(self, walk: Walk, clock: FakeClock) -> None:
        for _ in range(50):
            clock.advance(0.2)
            walk.advance()
        walk.waiting(BudgetSpent(), 290)

        assert walk.rate_and_end(lambda: LATE) == "10/min until 00:03"

    def test_who_costs_nothing_makes_no_rate(self, walk: Walk, clock: FakeClock) -> None:
        for _ in range(60):
            walk.advance(is_free=True)
        assert walk.rate_and_end() == ""
        for _ in range(10):
            clock.advance(6)
            walk.advance()

        assert walk.rate_and_end(lambda: LATE) == "10/min until 00:01"

    def test_the_rate_is_that_of_the_last_ten_minutes(self, walk: Walk, clock: FakeClock) -> None:
        for _ in range(50):
            walk.advance()
        for _ in range(20):
            clock.advance(60)
            walk.advance()

        assert walk.rate_and_end(lambda: LATE).startswith("1/min")


class TestPatience:
    def test_what_stops_a_job_is_as_good_as_ctrl_c(self) -> None:
        before, patience = signal.getsignal(signal.SIGTERM), Patience()
        with patience.until_interrupted():
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                patience.sleep(600)
        assert signal.getsignal(signal.SIGTERM) is before

    def test_the_first_ctrl_c_ends_the_next_sleep_and_the_second_everything(self) -> None:
        before, patience = signal.getsignal(signal.SIGINT), Patience()
        with patience.until_interrupted():
            patience.sleep(0)
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                patience.sleep(600)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is before
