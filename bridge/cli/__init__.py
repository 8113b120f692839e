"""`qlik-bridge ...`: parse, call a service, print. Exit codes: 0 done, 1 refused, 2 misconfigured, 3 upstream."""

import json
import sys

import click

from bridge import __version__
from bridge.cli.audit import audit
from bridge.cli.budget import budget
from bridge.cli.check import check
from bridge.cli.convert import convert
from bridge.cli.demo import demo, sandbox
from bridge.cli.doctor import doctor
from bridge.cli.guardrails import guardrails
from bridge.cli.keys import keys
from bridge.cli.operators import operators
from bridge.cli.parity import parity
from bridge.cli.sealing import secrets
from bridge.cli.shadow import shadow
from bridge.cli.stages import stage
from bridge.cli.stragglers import stragglers
from bridge.cli.sync import sync
from bridge.cli.tenants import tenants
from bridge.cli.tokens import tokens
from bridge.errors import BridgeError, ConfigError, StageRefused
from bridge.telemetry import redact


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Move embedded Qlik Cloud analytics from JWT cookies to OAuth impersonation, tenant by tenant."""


COMMANDS = (
    *(
        audit,
        budget,
        check,
        convert,
        demo,
        doctor,
        guardrails,
        keys,
        operators,
        parity,
        sandbox,
        shadow,
        stage,
        stragglers,
    ),
    *(secrets, sync, tenants, tokens),
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line; turn every error into sentences and an exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BridgeError as error:
        _tell(error)
        sys.exit(error.exit_code)


def _tell(error: BridgeError) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": error.code(), "message": redact(error.message), **_parts(error)}))
        return
    for line in _lines(error):
        click.echo(redact(line), err=True)


def _parts(error: BridgeError) -> dict[str, object]:
    if isinstance(error, ConfigError):
        return {"mistakes": [redact(mistake) for mistake in error.mistakes]}
    if isinstance(error, StageRefused):
        return {"unmet": error.unmet_document()}
    return {}


def _lines(error: BridgeError) -> list[str]:
    if isinstance(error, ConfigError):
        return [f"{error.public}", *(f"  - {mistake}" for mistake in error.mistakes)]
    if isinstance(error, StageRefused):
        return [error.public, *(f"  - {each.condition}: {each.message}" for each in error.unmet)]
    return [error.message] + ([error.detail] if error.detail else [])
