"""`qlik-bridge parity SLUG`: prove that OAuth gives people what JWT gave them, and write it down."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import click

from bridge.bootstrap import Bridge
from bridge.budgeting import DEAREST
from bridge.cli.common import Between, actor, check_writable, file_text, print_table, unwritable, wired
from bridge.cli.parity_progress import bar, duration
from bridge.cli.parity_report import Report, as_html, as_json
from bridge.errors import EXIT_REFUSED, EXIT_UPSTREAM, BadRequest, BudgetSpent, ConfigError, StoreError
from bridge.evidence import Baseline, Outcome, ParityResult
from bridge.model import AuditEvent, Identity
from bridge.services.parity_people import LeftOut
from bridge.services.parity_runs import Pace, PacedRun

T = TypeVar("T")

STORED = 1_000_000
"""As good as all: a tenant has fewer people."""
SHOWN = 20
TELL_EVERY_S = 1.0


@click.command()
@click.argument("slug")
@click.option("--subjects", type=click.Path(path_type=Path), help="Whom to compare: a CSV file, see prove-parity.md.")
@click.option("--report", type=click.Path(path_type=Path), help="Write a report for people to this HTML file.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write JSON to this file; - prints it.")
@click.option("--baseline", is_flag=True, help="Take JWT baselines anew, and compare nothing.")
@click.option("--resume", is_flag=True, help="Go on with the newest run, after Ctrl-C.")
@click.option("--per-minute", type=Between(0.1, 6000), default=30.0, help="People a minute; default 30.")
def parity(
    *,
    slug: str,
    subjects: Path | None,
    report: Path | None,
    json_file: Path | None,
    baseline: bool,
    resume: bool,
    per_minute: float,
) -> None:
    """Compare what people of tenant SLUG get by OAuth with what JWT gave; without --subjects, tell what is known."""
    check_writable(report, json_file)
    bridge = wired()
    bridge.tenants.get(slug)
    if subjects is None:
        if baseline or resume:
            raise BadRequest("Say whom with --subjects people.csv.")
        found = Report(bridge, slug, 0, list(bridge.parity.latest(slug, limit=STORED)), [])
    else:
        people, left_out = bridge.roster.read(slug, file_text(subjects))
        pace = Pace(per_minute, limit=bridge.budget.limit, calls=1 if baseline else DEAREST)
        run = _Run(bridge, slug, people, pace)
        if baseline:
            run.take_baselines(left_out)
            return
        found = run.compare(left_out, resume=resume)
    if str(json_file) != "-":
        _tell(found)
    _write(found, report, json_file)
    _end(found)


class _Run:
    """One walk over the people of a file, with a progress bar."""

    def __init__(self, bridge: Bridge, slug: str, people: Sequence[Identity], pace: Pace) -> None:
        self._bridge = bridge
        self._slug = slug
        self._people = people
        self._pace = pace
        self._told_at = 0.0

    def take_baselines(self, left_out: Sequence[LeftOut]) -> None:
        taken: list[Baseline] = []
        outcome = self._walk(self._people, lambda each: self._bridge.parity.take_baseline(self._slug, each), taken)
        left = [*left_out, *outcome]
        self._audit("parity.baseline", {"taken": len(taken), "left_out": len(left)})
        click.echo(f"Took {len(taken)} JWT baselines, left out {len(left)}.")
        _print_left_out(left)
        if any(each.is_upstream for each in left):
            raise SystemExit(EXIT_UPSTREAM)

    def compare(self, left_out: Sequence[LeftOut], *, resume: bool) -> Report:
        run = (self._bridge.parity.latest_run(self._slug) if resume else None) or self._bridge.clock()
        results = self._done(run) if resume else []
        done = {each.sub for each in results}
        waiting = [each for each in self._people if each.subject.sub not in done]
        try:
            left = self._walk(waiting, lambda each: self._bridge.parity.compare(self._slug, each, run=run), results)
        except (KeyboardInterrupt, BudgetSpent):
            click.echo(f"\nInterrupted after {len(results)} of {len(self._people)}. Go on with --resume.", err=True)
            raise
        found = Report(self._bridge, self._slug, run, results, [*left_out, *left])
        self._audit("parity.run", found.summary())
        return found

    def _done(self, run: float) -> list[ParityResult]:
        """Return what this run compared already, of people whose facts, and on a basis, that are still the same."""
        basis = self._bridge.tenants.get(self._slug).tenant.parity_basis()
        stored = ((each, self._bridge.parity.result(self._slug, each.subject.sub)) for each in self._people)
        return [
            result
            for identity, result in stored
            if result and (result.run, result.fingerprint, result.basis) == (run, identity.subject.fingerprint(), basis)
        ]

    def _walk(self, people: Sequence[Identity], ask: Callable[[Identity], T], found: list[T]) -> list[LeftOut]:
        """Fill *found* as answers come, so that an interruption loses none; return who was left out."""
        left: list[LeftOut] = []
        self._tell_pace(len(people))
        with bar(self._slug, self._pace, done=len(found), total=len(self._people)) as shown:
            for each in PacedRun(ask, self._pace, lambda _why, seconds: shown.wait(seconds)).over(people):
                if isinstance(each, LeftOut):
                    left.append(each)
                else:
                    found.append(each)
                shown.advance()
                self._tell_guardrails()
        return left

    def _tell_pace(self, people: int) -> None:
        """Say it when the budget, not `--per-minute`, is what the run will wait for."""
        pace = self._pace
        if people > pace.at_once and pace.per_minute > pace.lasting:
            click.echo(
                f"--per-minute {pace.per_minute:g} holds for {pace.at_once} new people; the budget lets about"
                f" {pace.lasting:.0f} a minute through after them. All {people}: {duration(pace.left_s(0, people))}.",
                err=True,
            )

    def _tell_guardrails(self) -> None:
        """Write what was measured so far: a run may take hours, and a mismatch shall be acted on while it goes on."""
        if self._bridge.clock() - self._told_at >= TELL_EVERY_S:
            self._told_at = self._bridge.clock()
            with suppress(StoreError):  # it is counted; the next comparison says that the database is away
                self._bridge.measures.flush()

    def _audit(self, action: str, after: dict[str, int]) -> None:
        self._bridge.audit.append(AuditEvent(self._bridge.clock(), actor(), action, self._slug, "", None, after))


def _write(found: Report, report: Path | None, json_file: Path | None) -> None:
    """Write what can be written. Raises ConfigError with what cannot."""
    problems: list[str] = []
    for file, text in ((report, as_html), (json_file, as_json)):
        if str(file) == "-":
            click.echo(text(found))
        elif file is not None:
            try:
                file.write_text(text(found))
            except OSError as error:
                problems.append(unwritable(file, error))
    if problems:
        raise ConfigError(problems)


def _tell(found: Report) -> None:
    click.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.summary().items()))
    findings = [*found.differences(), *(found.gaps() if found.summary()[Outcome.UNPROVEN.value] else ())]
    if findings:
        rows = [[len(each.subjects), each.area, each.item or "all", each.verdict, each.why] for each in findings]
        print_table(["people", "what", "item", "verdict", "why"], rows[:SHOWN])
    if len(findings) > SHOWN:
        click.echo(f"... and {len(findings) - SHOWN} more, in the report")
    _print_left_out(found.left_out)


def _end(found: Report) -> None:
    """Exit 1 when a difference is open, 3 when the tenant left somebody uncompared."""
    if found.summary()[Outcome.MISMATCH.value]:
        raise SystemExit(EXIT_REFUSED)
    if any(each.is_upstream for each in found.left_out):
        raise SystemExit(EXIT_UPSTREAM)


def _print_left_out(left: Sequence[LeftOut]) -> None:
    for each in left[:SHOWN]:
        click.echo(f"left out {each.sub}: {each.why}", err=True)
    if len(left) > SHOWN:
        click.echo(f"... and {len(left) - SHOWN} more left out", err=True)
