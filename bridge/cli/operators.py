"""`qlik-bridge operators ...`: tokens for operators' machines."""

from datetime import UTC, datetime

import click

from bridge.cli.common import actor, json_option, print_json, print_table, wired


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


@token.command("list")
@json_option
def list_tokens(*, as_json: bool) -> None:
    """List the names of operator tokens."""
    made = {name: datetime.fromtimestamp(at, UTC).isoformat() for name, at in wired().operators.names().items()}
    if as_json:
        print_json([{"name": name, "created": at} for name, at in made.items()])
    else:
        print_table(["name", "made"], list(made.items()))


@token.command()
@click.argument("name")
@json_option
def revoke(*, name: str, as_json: bool) -> None:
    """End every operator token called NAME, at once."""
    wired().operators.revoke(name, actor=actor())
    if as_json:
        print_json({"revoked": name})
    else:
        click.echo(f"Revoked {name}.")
