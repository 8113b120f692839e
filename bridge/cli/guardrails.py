"""`qlik-bridge guardrails SLUG`: what each guardrail of a tenant sees now, and whether one holds it."""

import click

from bridge.cli.common import json_option, print_json, print_table, wired
from bridge.guarding import Reading
from bridge.trail import event_document

COLUMNS = ["guardrail", "value", "threshold", "samples", "action", ""]


@click.command()
@click.argument("slug")
@json_option
def guardrails(*, slug: str, as_json: bool) -> None:
    """Show what the guardrails of tenant SLUG see now."""
    rails = wired().guardrails
    readings, held = rails.readings(slug), rails.holding(slug)
    if as_json:
        seen = [each.document() | {"crossed": each.is_crossed} for each in readings]
        print_json({"slug": slug, "guardrails": seen, "holding": event_document(held) if held else None})
        return
    print_table(COLUMNS, map(_row, readings))
    if held:
        click.echo(f"A guardrail holds this tenant: {held.reason}. Find the cause, then move on.")


def _row(seen: Reading) -> list[str]:
    rule = seen.rule
    samples = f"{seen.samples} of {rule.minimum} {seen.kind.sample} in {rule.window_s} s"
    value = f"{seen.value:.3g} {seen.kind.unit}" if seen.samples else "-"
    return [seen.guardrail, value, f"{rule.threshold:g}", samples, rule.action, "crossed" if seen.is_crossed else ""]
