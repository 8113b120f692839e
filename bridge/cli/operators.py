"""`qlik-bridge operators ...`: tokens for operators' machines."""

import click

from bridge.cli.common import actor, json_option, print_json, wired


@click.group()
def operators() -> None:
    """Let machines operate the bridge."""


@operators.group("token")
def token() -> None:
    """Bearer tokens for the JSON API."""


@token.command("new")
@click.argument("name")
@json_option
def new(*, name: str, as_json: bool) -> None:
    """Make an operator token called NAME. It is shown once; the bridge keeps a hash."""
    value = wired().operators.new_token(name, actor=actor())
    if as_json:
        print_json({"name": name, "token": value})
    else:
        click.echo(value)
        click.echo("Shown once. Send it as `Authorization: Bearer` to /api/v1.", err=True)
