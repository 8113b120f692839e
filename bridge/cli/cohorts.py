"""`qlik-bridge stage cohorts ...`: who moves first, a name at a time."""

import click

from bridge.cli.common import actor, json_option, reason_option, wired
from bridge.cli.states import print_state
from bridge.model import Cohorts
from bridge.plan import Order

subjects_option = click.option("--subject", "subjects", multiple=True, help="This subject. Repeatable.")
groups_option = click.option("--group", "groups", multiple=True, help="Members of this group. Repeatable.")
force_option = click.option("--force", is_flag=True, help="Pass by conditions of evidence; needs --reason.")


@click.group()
def cohorts() -> None:
    """Add people to those who move first, or take them out again."""


@cohorts.command()
@click.argument("slug")
@subjects_option
@groups_option
@force_option
@reason_option
@json_option
def add(
    *, slug: str, subjects: tuple[str, ...], groups: tuple[str, ...], force: bool, reason: str, as_json: bool
) -> None:
    """Let subjects and groups of tenant SLUG move first; those named before stay."""
    names = Cohorts(frozenset(subjects), frozenset(groups))
    print_state(wired().stages.recast(slug, Order(actor(), reason, force=force), add=names), as_json=as_json)


@cohorts.command()
@click.argument("slug")
@subjects_option
@groups_option
@reason_option
@json_option
def remove(*, slug: str, subjects: tuple[str, ...], groups: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Take subjects and groups out of those of tenant SLUG who move first."""
    names = Cohorts(frozenset(subjects), frozenset(groups))
    print_state(wired().stages.recast(slug, Order(actor(), reason), remove=names), as_json=as_json)
