"""`qlik-bridge stragglers`: who still uses the JWT path, and whether it is safe to close it."""

import click

from bridge.cli.common import json_option, print_json, print_table, wired
from bridge.trail import Evidence, StragglerReport, Verdict

WORDS = {Verdict.SAFE: "Safe", Verdict.NOT_SAFE: "Not safe", Verdict.CANNOT_TELL: "Cannot tell"}
SOURCES = {"bridge": "the bridge's notes", "tenant": "the tenant's events"}


@click.command()
@click.argument("slug")
@click.option("--since", "days", type=click.IntRange(1, 90), help="Look back so many days; default: `quiet_days`.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Name so many uses.")
@json_option
def stragglers(*, slug: str, days: int | None, limit: int, as_json: bool) -> None:
    """Show who still uses the JWT path of tenant SLUG, from where, and whether it is safe to retire."""
    bridge = wired()
    report = bridge.retirements.report(bridge.tenants.get(slug).tenant, days=days, limit=limit)
    if as_json:
        print_json(report.document())
    else:
        _print(report)


def _print(report: StragglerReport) -> None:
    click.echo(f"Safe to retire {report.retirement.tenant}? {WORDS[report.retirement.verdict]}.")
    for each in report.retirement.evidence:
        click.echo(_line(each))
    if report.origins:
        click.echo()
        print_table(
            ["page origin", "subjects", "first seen", "last seen"],
            [list(each.document().values()) for each in report.origins],
        )
        click.echo()
        print_table(
            ["subject", "page origin", "browser", "first seen", "last seen", "hours"],
            [list(each.document().values()) for each in report.uses],
        )


def _line(evidence: Evidence) -> str:
    return f"  - {WORDS[evidence.verdict]}, by {SOURCES[evidence.source]}: {evidence.why}"
