"""`qlik-bridge secrets ...`: which encryption keys are in use, and everything sealed anew with the first one."""

from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.bootstrap import Bridge
from bridge.cli.common import actor, json_option, print_json, print_table, reason_option, wired
from bridge.errors import EXIT_REFUSED
from bridge.sealing import LOCKED, Census, Resealed

SHOWN = 20
STILL_OLD = (
    "{} values are sealed with an old key still: some bridge runs that has it first in BRIDGE_ENCRYPTION_KEYS."
    " Restart every bridge with the new key first, then run `qlik-bridge secrets rotate` again."
)
MAY_GO = "May go from BRIDGE_ENCRYPTION_KEYS, once every bridge runs with the first key in front: key {}."


@click.group()
def secrets() -> None:
    """Change the key that secrets and tokens are sealed with."""


@secrets.command()
@json_option
def status(*, as_json: bool) -> None:
    """Count the stored values by the key that opens them. Changes nothing."""
    census = wired().resealing.census()
    if as_json:
        print_json(census.document())
        return
    _print(census)
    if census.old:
        click.echo(f"{census.old} values need an old key. `qlik-bridge secrets rotate` seals them with the first one.")


@secrets.command()
@reason_option
@json_option
def rotate(*, reason: str, as_json: bool) -> None:
    """Seal every stored value with the first of BRIDGE_ENCRYPTION_KEYS, beside running bridges; exit 1 if some remain.

    Interrupted, it goes on when it is run again.
    """
    done = _rotated(wired(), reason)
    if as_json:
        print_json(done.document())
    else:
        click.echo(f"Sealed {done.resealed} values with the first key." + _dropped(done))
        _print(done.now)
    if done.now.old:
        click.echo(STILL_OLD.format(done.now.old), err=True)
    if done.now.old or done.now.locked_tenants:
        raise SystemExit(EXIT_REFUSED)


def _rotated(bridge: Bridge, reason: str) -> Resealed:
    """Do it, with a progress bar where somebody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("values", total=bridge.resealing.store.count())
        return bridge.resealing.run(
            actor=actor(), reason=reason, step=lambda count: progress.advance(task, advance=count)
        )


def _dropped(done: Resealed) -> str:
    return f" Dropped {done.dropped} tokens that no key opens; they are minted anew." if done.dropped else ""


def _print(census: Census) -> None:
    rows = [[str(place), str(count)] for place, count in enumerate(census.by_key, 1)]
    print_table(["key", "values that it opens"], rows)
    if census.idle_keys:
        click.echo(MAY_GO.format(_listed([str(place + 1) for place in census.idle_keys])))
    if census.locked_tenants:
        click.echo(f"Locked are the secrets of tenants {_listed(census.locked_tenants)}. {LOCKED}", err=True)
    if census.locked_tokens:
        click.echo(f"Locked tokens, minted anew when they are asked for: {_listed(census.locked_tokens)}.", err=True)


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
