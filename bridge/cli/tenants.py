"""`qlik-bridge tenants ...`: apply a file, list and show what is applied."""

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path

import click

from bridge.bootstrap import Bridge
from bridge.cli.common import actor, json_option, print_json, print_table, wired
from bridge.errors import EXIT_REFUSED, ConfigError
from bridge.services.tenants import Change, Declared, Difference, read_declared


@click.group()
def tenants() -> None:
    """Declare tenants, and see what is declared."""


@tenants.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Apply without asking.")
@json_option
def apply(*, file: Path, yes: bool, as_json: bool) -> None:
    """Show what FILE (tenants.toml) would change, ask, then change it."""
    declared = declared_in(file)
    bridge = wired()
    changes = bridge.declared.plan(declared)
    if as_json:
        print_json([_document(change) for change in changes])
    else:
        _print_plan(changes)
    if all(change.is_empty for change in changes):
        return
    if not yes and not click.confirm("Apply?", err=as_json):
        click.echo("Nothing was applied.", err=True)
        raise SystemExit(EXIT_REFUSED)
    bridge.declared.apply(changes, actor=actor())
    if not as_json:
        click.echo("Applied.")


@tenants.command("list")
@json_option
def list_tenants(*, as_json: bool) -> None:
    """List the tenants."""
    states = wired().tenants.all().values()
    rows = [[each.tenant.slug, each.tenant.name, each.tenant.host, each.rollout.stage.value] for each in states]
    if as_json:
        print_json([dict(zip(("slug", "name", "host", "stage"), row, strict=True)) for row in rows])
    else:
        print_table(["tenant", "name", "host", "stage"], rows)


@tenants.command()
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="The same: it is always JSON.")
def show(*, slug: str, as_json: bool) -> None:
    """Show tenant SLUG as JSON, secrets masked."""
    del as_json
    state = wired().tenants.get(slug)
    print_json({**state.tenant.shown_document(), **state.rollout.document()})


def apply_file(bridge: Bridge, file: Path, *, actor: str) -> None:
    """Apply *file* without asking, as the demo does."""
    bridge.declared.apply(bridge.declared.plan(declared_in(file)), actor=actor)


def declared_in(file: Path) -> list[Declared]:
    """Return the tenants of a file. Raises ConfigError with every mistake."""
    return read_declared(_parsed(file), lambda reference: resolve_secret(reference, file.parent))


def _parsed(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigError([f"{file} cannot be read: {error.strerror}"]) from None
    except ValueError as error:  # tomllib's own error is one, and so are those of encodings and numbers
        raise ConfigError([f"{file} is not valid TOML: {error}"]) from None
    except RecursionError:
        raise ConfigError([f"{file} is not valid TOML: nested too deep"]) from None


def resolve_secret(reference: str, folder: Path) -> str:
    """Return the secret behind `env:NAME` or `file:PATH` (relative to the tenants file). Raises ValueError."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        secret = os.environ.get(place, "")
    else:
        try:
            secret = (folder / place).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{reference} cannot be read: {type(error).__name__}") from None
    if not secret:
        raise ValueError(f"{reference} is empty or not set")
    return secret


def _print_plan(changes: Sequence[Change]) -> None:
    for change in changes:
        slug = change.declared.tenant.slug
        word = "create" if change.is_new else "no change" if change.is_empty else "change"
        click.echo(f"{slug}: {word}")
        for each in change.differences:
            click.echo(f"    {each.field}: {_shown(each.after)}" if change.is_new else _changed_line(each))
        if change.note:
            click.echo(f"    note: {change.note}")


def _changed_line(difference: Difference) -> str:
    return f"    {difference.field}: {_shown(difference.before)} -> {_shown(difference.after)}"


def _shown(value: object) -> str:
    return "(none)" if value in (None, "") else str(value)


def _document(change: Change) -> dict[str, object]:
    return {
        "slug": change.declared.tenant.slug,
        "change": "create" if change.is_new else "none" if change.is_empty else "update",
        "fields": {each.field: {"before": each.before, "after": each.after} for each in change.differences},
        "note": change.note,
    }
