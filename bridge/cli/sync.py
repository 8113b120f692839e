"""`qlik-bridge sync SLUG`: groups and tokens ahead of time, for everybody in a file."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import ceil, inf
from pathlib import Path
from typing import Any

import click

from bridge.bootstrap import Bridge
from bridge.cli.common import SHOWN, actor, check_writable, file_text, wired, write_text
from bridge.cli.walking import IN_A_ROW, Patience, Walk
from bridge.errors import EXIT_REFUSED, EXIT_UPSTREAM, BadRequest, StoreError
from bridge.model import AuditEvent, Identity, Stage
from bridge.services.parity_people import LeftOut
from bridge.services.parity_runs import Pace, PacedRun
from bridge.services.prewarm import Prepared, Tokens, minutes_at_most, per_minute, summary

NOT_ASKED = "the tenant did not answer for those before; run the command again"
TELL_EVERY_S = 1.0


@click.command()
@click.argument("slug")
@click.option(
    "--subjects",
    type=click.Path(path_type=Path),
    required=True,
    help="Whom to sync: a CSV file, see pre-warm.md.",
)
@click.option("--prewarm", is_flag=True, help="Get tokens too, for those who are on the path oauth now.")
@click.option("--everybody", is_flag=True, help="With --prewarm: for all in the file, on the night before a step.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write JSON to this file; - prints it.")
def sync(*, slug: str, subjects: Path, prewarm: bool, everybody: bool, json_file: Path | None) -> None:
    """Sync the groups of people of tenant SLUG ahead of time, and with --prewarm get their tokens.

    After Ctrl-C, or a failure, run the same command again: what is done, and still counts, is not done again.
    """
    if everybody and not prewarm:
        raise BadRequest("--everybody says who gets a token: it goes with --prewarm.")
    check_writable(json_file)
    bridge = wired()
    tokens = (Tokens.EVERYBODY if everybody else Tokens.MOVED) if prewarm else Tokens.NOBODY
    _check(bridge, slug, tokens)
    people, left_out = bridge.roster.read(slug, file_text(subjects))
    report = Report(slug, bridge.clock(), tokens, left_out=list(left_out))
    _tell_plan(bridge, report, len(people))
    try:
        _Run(bridge, report).over(people)
    except KeyboardInterrupt:
        report.interrupted = True
        click.echo(f"Interrupted after {len(report.done)} of {len(people)}. Run the same command again.", err=True)
        raise
    finally:
        _finish(bridge, report, json_file)
    _end(report)


@dataclass(slots=True)
class Report:
    """What a run did, person by person."""

    slug: str
    began_at: float
    tokens: Tokens
    done: list[Prepared] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    interrupted: bool = False

    def summary(self) -> dict[str, int]:
        return dict(summary(self.done, len(self.left_out)))

    def document(self, now: float) -> dict[str, Any]:
        return {
            "tenant": self.slug,
            "began_at": self.began_at,
            "ended_at": now,
            "tokens": self.tokens.value,
            "interrupted": self.interrupted,
            "summary": self.summary(),
            "people": [asdict(each) for each in self.done],
            "left_out": [asdict(each) for each in self.left_out],
        }


class _Run:
    """One walk over the people of a file."""

    def __init__(self, bridge: Bridge, report: Report) -> None:
        self._bridge = bridge
        self._report = report
        self._told_at = 0.0

    def over(self, people: Sequence[Identity]) -> None:
        """Fill the report as people are done, so that an interruption loses nobody."""
        patience, walk = Patience(), Walk(self._report.slug, len(people))
        run = PacedRun(self._prepare, Pace(inf, sleep=patience.sleep), walk.waiting)
        unanswered = 0
        with patience.until_interrupted(), walk.showing():
            for place, each in enumerate(run.over(people), 1):
                self._note(each)
                walk.advance(is_free=isinstance(each, Prepared) and each.is_free)
                unanswered = unanswered + 1 if isinstance(each, LeftOut) and each.is_upstream else 0
                if unanswered >= IN_A_ROW:
                    later = people[place:]
                    self._report.left_out += [LeftOut(one.subject.sub, NOT_ASKED, is_upstream=True) for one in later]
                    return

    def _prepare(self, identity: Identity) -> Prepared:
        return self._bridge.prewarm.prepare(self._report.slug, identity, self._report.tokens)

    def _note(self, each: Prepared | LeftOut) -> None:
        if isinstance(each, LeftOut):
            self._report.left_out.append(each)
        else:
            self._report.done.append(each)
        if self._bridge.clock() - self._told_at >= TELL_EVERY_S:
            self._told_at = self._bridge.clock()
            with suppress(StoreError):  # it is counted; the next person says that the database is away
                self._bridge.measures.flush()


def _check(bridge: Bridge, slug: str, tokens: Tokens) -> None:
    """Say what would be in vain."""
    state = bridge.tenants.get(slug)
    if tokens is not Tokens.NOBODY and state.tenant.issuing_client is None:
        raise BadRequest(f"{slug} has no `issuing_client`, so there are no tokens. Leave --prewarm out, or set it up.")
    if state.rollout.stage is Stage.LEGACY:
        click.echo(
            f"{slug} is in stage legacy: nothing needs a sync there yet, and a browser's own login makes it void.",
            err=True,
        )


def _tell_plan(bridge: Bridge, report: Report, people: int) -> None:
    limit = bridge.budget.limit
    minutes = ceil(minutes_at_most(people, report.tokens, limit))
    click.echo(
        f"{people:,} people. The pre-warm lane has {per_minute(limit):.0f} calls a minute: {minutes:,} min at most,"
        " unless pages need them.",
        err=True,
    )


def _finish(bridge: Bridge, report: Report, json_file: Path | None) -> None:
    """Write the report and the audit, of an interrupted run too; neither is lost where the other cannot be written."""
    try:
        _write(bridge, report, json_file)
    finally:
        after = {**report.summary(), "tokens": report.tokens.value}
        bridge.audit.append(AuditEvent(bridge.clock(), actor(), "sync.run", report.slug, "", None, after))


def _write(bridge: Bridge, report: Report, json_file: Path | None) -> None:
    if json_file is not None:
        write_text(json_file, json.dumps(report.document(bridge.clock()), indent=2, ensure_ascii=False))
    if str(json_file) != "-":
        click.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.summary().items()))
    for each in report.left_out[:SHOWN]:
        click.echo(f"left out {each.sub}: {each.why}", err=True)
    if len(report.left_out) > SHOWN:
        click.echo(f"... and {len(report.left_out) - SHOWN} more left out", err=True)


def _end(report: Report) -> None:
    """Exit 3 when the tenant did not answer for somebody, 1 when somebody was left out for another reason."""
    if any(each.is_upstream for each in report.left_out):
        raise SystemExit(EXIT_UPSTREAM)
    if report.left_out:
        raise SystemExit(EXIT_REFUSED)
