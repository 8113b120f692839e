"""`qlik-bridge audit ...`: read the audit. No command changes it."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from bridge.cli.common import json_option, print_json, print_table, wired
from bridge.errors import BadRequest
from bridge.texts import iso, moment
from bridge.trail import AuditEntry, AuditFilter, Joined, differences

DAY_S = 86_400
SHORT = 40
"""How many characters of a value fit beside others."""

F = TypeVar("F", bound=Callable[..., Any])


class Moment(click.ParamType[float]):
    """A date or time, as unix seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's signature
        try:
            return moment(value)
        except ValueError as error:
            self.fail(f"{value} {error}", param, ctx)


def filters(command: F) -> F:
    """Add the options that narrow the audit."""
    for decorate in (
        click.option("--action", help="Exactly this action, such as stage.move."),
        click.option("--actor", help="Exactly this actor, such as cli:erin."),
        click.option("--until", type=Moment(), help="Before this date or time (UTC)."),
        click.option("--since", type=Moment(), help="From this date or time on (UTC)."),
        click.option("--tenant", help="Slug of the tenant."),
    ):
        command = decorate(command)
    return command


@click.group()
def audit() -> None:
    """Read the audit: who changed what, why, from what to what."""


@audit.command("list")
@filters
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.option("--before", type=click.IntRange(1), help="Those below this id: the page after one that ends there.")
@json_option
def list_events(*, limit: int, before: int | None, as_json: bool, **asked: Any) -> None:  # noqa: ANN401 - `filters`
    """List the newest events."""
    entries = wired().audit.page(AuditFilter(**asked), before=before, limit=limit)
    if as_json:
        print_json([entry.document() for entry in entries])
    else:
        print_table(["id", "time", "actor", "action", "tenant", "change", "reason"], map(_row, entries))


@audit.command()
@filters
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file, written whole or not at all.")
def export(*, output: Path | None, **asked: Any) -> None:  # noqa: ANN401 - the options of `filters`
    """Write every event as a line of JSON, oldest first."""
    entries = wired().audit.walk(AuditFilter(**asked))
    if output is None:
        count = _write(entries, sys.stdout)
    else:
        with _whole(output) as file:
            count = _write(entries, file)
    click.echo(f"Exported {count} events.", err=True)


@audit.command()
@click.argument("slug")
@click.option(
    "--since", "days", type=click.IntRange(1, 90), default=1, show_default=True, help="Look back so many days."
)
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Show so many in the table."
)
@json_option
def impersonations(*, slug: str, days: int, limit: int, as_json: bool) -> None:
    """Show each impersonation of tenant SLUG beside the tenant's own event of it."""
    bridge = wired()
    tenant = bridge.tenants.get(slug).tenant
    report = bridge.impersonations.report(tenant, since=bridge.clock() - days * DAY_S)
    if as_json:
        print_json(report.document())
        return
    counts = report.counts()
    click.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))
    if not report.whole:
        click.echo(f"There were too many events: none before {iso(report.read_since)} was read.")
    shown = [pair.document() for pair in reversed(report.pairs[-limit:])]
    columns = ["at", "joined", "subject", "user_id", "client_id", "token_id", "request_id", "event_id", "address"]
    print_table(columns, [[each[name] or "" for name in columns] for each in shown])
    for kind in (kind for kind in Joined if kind.why and counts[kind]):
        click.echo(f"{kind.replace('_', ' ')}: {kind.why}")


def _write(entries: Iterator[AuditEntry], file: IO[str]) -> int:
    count = 0
    for entry in entries:
        file.write(json.dumps(entry.document()) + "\n")
        count += 1
    file.flush()
    return count


@contextmanager
def _whole(path: Path) -> Iterator[IO[str]]:
    """Lend a file for its owner's eyes alone that takes the place of *path* at the end, if all went well."""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            try:
                yield file
                file.flush()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BadRequest(f"{path} cannot be written: {error.strerror}") from None


def _row(entry: AuditEntry) -> list[object]:
    shown = entry.document()
    change = "; ".join(f"{name}: {before} -> {after}" for name, before, after in differences(shown, SHORT))
    return [shown["id"], shown["at"], shown["actor"], shown["action"], shown["tenant"] or "", change, shown["reason"]]
