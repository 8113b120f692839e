"""`qlik-bridge operators ...`: tokens for operators' machines."""

import click

from bridge.cli.common import actor, json_option, print_json, print_table, wired
from bridge.roles import Grant, Role
from bridge.texts import iso


@click.group()
def operators() -> None:
    """Let machines operate the bridge."""


@operators.group("token")
def token() -> None:
    """Bearer tokens for the JSON API."""


@token.command("new")
@click.argument("name")
@click.option("--role", type=click.Choice([each.value for each in Role]), default=Role.ADMIN.value, show_default=True)
@click.option("--tenant", help="The one tenant that it holds at; without it, all of them.")
@json_option
def new(*, name: str, role: str, tenant: str | None, as_json: bool) -> None:
    """Make an operator token called NAME, which no other has. It is shown once; the bridge keeps a hash."""
    bridge = wired()
    if tenant is not None:
        bridge.tenants.get(tenant)
    value = bridge.operators.new_token(name, actor=actor(), grant=Grant(Role(role), tenant))
    if as_json:
        print_json({"name": name, "token": value})
    else:
        click.echo(value)
        click.echo("Shown once. Send it as `Authorization: Bearer` to /api/v1.", err=True)


@token.command("list")
@json_option
def list_tokens(*, as_json: bool) -> None:
    """List operator tokens: their names and what they may do."""
    rows = [
        (each.name, iso(each.created_at), each.grant.role.value, each.grant.tenant)
        for each in wired().operators.tokens()
    ]
    if as_json:
        print_json([dict(zip(("name", "created", "role", "tenant"), row, strict=True)) for row in rows])
    else:
        print_table(["name", "made", "role", "tenant"], [(*row[:3], row[3] or "all") for row in rows])


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
