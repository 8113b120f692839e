"""`qlik-bridge guardrails SLUG`: what each guardrail of a tenant sees now, and whether one holds it."""

import click

from bridge.cli.common import json_option, print_json, print_table, wired
from bridge.guarding import Reading
from bridge.services.guard_report import guard_report

COLUMNS = ["guardrail", "value", "threshold", "samples", "action", ""]


@click.command()
@click.argument("slug")
@json_option
def guardrails(*, slug: str, as_json: bool) -> None:
    """Show what the guardrails of tenant SLUG see now."""
    bridge = wired()
    report = guard_report(bridge.guardrails, bridge.notices, bridge.tenants.get(slug))
    document = report.document()
    if as_json:
        print_json(document)
        return
    click.echo(report.sentence())
    print_table(COLUMNS, map(_row, report.readings))
    if held := document["holding"]:
        click.echo("\n".join([f"A guardrail holds this tenant since {held['at']}: {held['reason']}.", *held["next"]]))


def _row(seen: Reading) -> list[str]:
    rule = seen.rule
    samples = f"{seen.samples} of {rule.minimum} {seen.kind.sample} in {rule.window_s} s"
    value = f"{seen.value:.3g} {seen.kind.unit}" if seen.samples else "-"
    return [seen.guardrail, value, f"{rule.threshold:g}", samples, rule.action, seen.standing.replace("_", " ")]
