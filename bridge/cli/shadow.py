"""`qlik-bridge shadow plan SLUG`: what the first logins of stage `shadow` would create in a tenant, before they do."""

import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.bootstrap import Bridge
from bridge.cli.common import file_text, json_option, print_json, wired
from bridge.model import Identity
from bridge.services.parity_people import LeftOut
from bridge.services.shadow_plan import ShadowPlan

REST_S = 0.1
"""Between two questions: a tenant allows a thousand reads a minute, and pages read, too (Qlik: rate limiting)."""


@click.group()
def shadow() -> None:
    """Try the new path beside the old one."""


@shadow.command()
@click.argument("slug")
@click.option(
    "--subjects", type=click.Path(path_type=Path), required=True, help="Who will sign in: a CSV file, as for parity."
)
@json_option
def plan(*, slug: str, subjects: Path, as_json: bool) -> None:
    """Say which users and groups stage `shadow` would create in tenant SLUG, and which licences. Changes nothing."""
    bridge = wired()
    bridge.tenants.get(slug)
    people, left_out = bridge.roster.read(slug, file_text(subjects))
    found = _asked(bridge, slug, people)
    if as_json:
        left = [{"sub": each.sub, "why": each.why} for each in left_out]
        print_json({"slug": slug, "people": len(people), **found.document(), "left_out": left})
    else:
        _print(found, left_out)


def _asked(bridge: Bridge, slug: str, people: Sequence[Identity]) -> ShadowPlan:
    """Ask the tenant, with a progress bar where somebody watches."""
    groups = set().union(*(each.subject.groups for each in people))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(slug, total=len(people) + len(groups))

        def rest() -> None:
            progress.advance(task)
            time.sleep(REST_S)

        return bridge.shadow_plans.plan(bridge.tenants.get(slug).tenant, people, rest)


def _print(found: ShadowPlan, left_out: Sequence[LeftOut]) -> None:
    for sentence in found.sentences():
        click.echo(sentence)
    lists = {
        "New users": found.new_users,
        "Users that are not active": found.inactive_users,
        "New groups": found.new_groups,
        "Groups that are not idp groups": found.other_groups,
    }
    for title, names in lists.items():
        if names:
            click.echo(f"{title}: {', '.join(names)}")
    for each in left_out:
        click.echo(f"Left out: {each.sub}: {each.why}", err=True)
