"""What every command shares: the wired product, who is typing, and how to print."""

import getpass
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bridge.bootstrap import Bridge, build
from bridge.settings import read_settings
from bridge.telemetry import configure_logging

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def wired() -> Bridge:
    """Return the product as the environment describes it. Raises ConfigError, StoreError."""
    settings = read_settings(os.environ)
    configure_logging("warning")
    return build(settings)


def actor() -> str:
    """Return who goes into the audit for a command."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user id without a name
        return f"cli:{os.getuid()}"


def print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(soft_wrap=True).print(table)
