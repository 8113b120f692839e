"""What every command shares: the wired product, who is typing, and how to print."""

import getpass
import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.bootstrap import Bridge, build
from bridge.errors import ConfigError
from bridge.settings import read_settings
from bridge.telemetry import configure_logging

WIDE = 500
SHOWN = 20
"""So many of those who were left out are named."""

reason_option = click.option("--reason", default="", help="Why; kept in the audit.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


class Between(click.FloatRange):
    """A number from one bound to the other; `nan`, which is neither too small nor too large, is none."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def wired() -> Bridge:
    """Return the product as the environment describes it. Raises ConfigError, StoreError."""
    settings = read_settings(os.environ)
    configure_logging("warning")
    bridge = build(settings)
    click.get_current_context().call_on_close(bridge.close)
    return bridge


def actor() -> str:
    """Return who goes into the audit for a command."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user id without a name
        return f"cli:{os.getuid()}"


def print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print aligned columns; a cell is folded in a narrow terminal, and never cut off."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # brackets in it are no markup
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(table)


def check_writable(*files: Path | None) -> None:
    """Find out before anybody is asked: a run may take hours. Raises ConfigError."""
    problems = [problem for file in files if file and str(file) != "-" if (problem := _try_out(file))]
    if problems:
        raise ConfigError(problems)


def _try_out(file: Path) -> str:
    """Say why a file cannot be written. A pipe, which would be at its end afterwards, is not tried out."""
    is_new = not file.exists()
    if not is_new and not file.is_file() and not file.is_dir():
        return ""
    try:
        file.open("a").close()
    except OSError as error:
        return unwritable(file, error)
    if is_new:
        file.unlink()
    return ""


def unwritable(file: Path, error: OSError) -> str:
    return f"{file} cannot be written: {error.strerror}"


def write_text(file: Path, text: str) -> None:
    """Write a file, or to standard output where it is called `-`. Raises ConfigError."""
    if str(file) == "-":
        click.echo(text)
        return
    try:
        file.write_text(text)
    except OSError as error:
        raise ConfigError([unwritable(file, error)]) from None


def file_text(file: Path) -> str:
    """Return what a file says. Raises ConfigError."""
    try:
        return file.read_text()
    except OSError as error:
        raise ConfigError([f"{file} cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{file} is not UTF-8"]) from None
