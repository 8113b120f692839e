"""`qlik-bridge doctor ...`: what is wrong with a tenant's set-up, why, and what to do."""

import json
from collections.abc import Iterator

import click

from bridge.cli.common import json_option, wired
from bridge.diagnosis import Diagnosis, Finding, Light
from bridge.errors import EXIT_REFUSED, EXIT_UPSTREAM
from bridge.telemetry import redact

COLOURS = {Light.GREEN: "green", Light.AMBER: "yellow", Light.RED: "red", Light.NOT_CHECKED: "bright_black"}
WIDTH = max(len(light.value) for light in Light)


@click.command()
@click.argument("slug")
@click.option("--probe", metavar="SUBJECT", help="Log this person in and mint a token for them, for real.")
@json_option
def doctor(*, slug: str, probe: str | None, as_json: bool) -> None:
    """Examine tenant SLUG. Exit 1 when a line is red, 3 when the tenant is away. The output is safe to paste."""
    diagnosis = wired().doctor.examine(slug, probe)
    if as_json:
        click.echo(redact(json.dumps(diagnosis.document(), indent=2, ensure_ascii=False)))
    else:
        for line in _lines(diagnosis):
            click.echo(line)
    raise SystemExit(_exit_code(diagnosis))


def _exit_code(diagnosis: Diagnosis) -> int:
    if diagnosis.is_away:
        return EXIT_UPSTREAM
    return EXIT_REFUSED if diagnosis.light is Light.RED else 0


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    for finding in diagnosis.findings:
        yield _line(finding)
        if finding.fix:
            yield f"{'':{WIDTH}}    -> {redact(finding.fix)}"
    counts = ", ".join(f"{len(diagnosis.of(light))} {light.value}" for light in Light if diagnosis.of(light))
    yield f"{diagnosis.tenant}: {counts}."


def _line(finding: Finding) -> str:
    light = click.style(f"{finding.light.value:{WIDTH}}", fg=COLOURS[finding.light])
    return f"{light}  {finding.about}: {redact(finding.cause)}"
