"""`qlik-bridge stage ...`: show and move the stage of a tenant."""

from collections.abc import Sequence
from typing import Any

import click

from bridge.cli.common import actor, end_revocation, json_option, print_json, print_table, wired
from bridge.cli.common import revoke_tokens as revoke
from bridge.errors import BadRequest
from bridge.model import Cohorts, Stage, TenantState
from bridge.services.stages import Move

reason_option = click.option("--reason", default="", help="Why; kept in the audit.")


@click.group()
def stage() -> None:
    """Show and move the stage of a tenant."""


@stage.command()
@click.argument("slug", required=False)
@json_option
def show(*, slug: str | None, as_json: bool) -> None:
    """Show the stage of one tenant, or of all."""
    bridge = wired()
    if slug:
        _print(bridge.tenants.get(slug), as_json=as_json)
        return
    states = list(bridge.tenants.all().values())
    if as_json:
        print_json([_document(state) for state in states])
    else:
        _print_table(states)


@stage.command()
@click.argument("slug")
@click.argument("to", type=click.Choice([each.value for each in Stage]))
@click.option(
    "--percent", type=click.FloatRange(0, 100), help="Share of subjects that get the OAuth path in `rollout`."
)
@click.option(
    "--subject", "subjects", multiple=True, help="This subject moves first. Repeatable; replaces all cohorts."
)
@click.option(
    "--group", "groups", multiple=True, help="Members of this group move first. Repeatable; replaces all cohorts."
)
@click.option("--no-cohorts", is_flag=True, help="Empty the cohorts.")
@click.option(
    "--force",
    is_flag=True,
    help="Skip conditions of evidence (there are none yet), never the order of stages; needs --reason.",
)
@reason_option
@json_option
def move(  # noqa: PLR0913 - one argument an option
    *,
    slug: str,
    to: str,
    percent: float | None,
    subjects: tuple[str, ...],
    groups: tuple[str, ...],
    no_cohorts: bool,
    force: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Move tenant SLUG to a stage: one step forward, or any number back. The same stage changes its rollout."""
    given = bool(subjects or groups or no_cohorts)
    cohorts = Cohorts(frozenset(subjects), frozenset(groups)) if given else None
    request = Move(Stage(to), actor(), reason, percent, cohorts, force)
    _print(wired().stages.move(slug, request), as_json=as_json)


@stage.command()
@click.argument("slug")
@click.option("--to", type=click.Choice([each.value for each in Stage]), help="Stage to go back to; default: one step.")
@click.option("--revoke-tokens", is_flag=True, help="Revoke the tenant's issued tokens too (one call each).")
@reason_option
@json_option
def rollback(*, slug: str, to: str | None, revoke_tokens: bool, reason: str, as_json: bool) -> None:
    """Move tenant SLUG back."""
    bridge = wired()
    now = bridge.tenants.get(slug).rollout.stage
    target = Stage(to) if to else list(Stage)[max(now.position - 1, 0)]
    if target.position >= now.position:
        raise BadRequest(f"{slug} is in stage {now}; {target} is no step back. Use `qlik-bridge stage move`.")
    state = bridge.stages.move(slug, Move(target, actor(), reason))
    _print(state, as_json=as_json)
    if target is Stage.ROLLOUT and (state.rollout.percentage or state.rollout.cohorts != Cohorts()):
        staying = f"{state.rollout.percentage:g} % of the people, and those named first, stay on the OAuth path"
        click.echo(f"{staying}; --to shadow takes everybody back.", err=True)
    if revoke_tokens:
        end_revocation(revoke(bridge, tenant=slug, subject=None, reason=reason), as_json=as_json)


def _document(state: TenantState) -> dict[str, Any]:
    return {"slug": state.tenant.slug, **state.rollout.document()}


def _print(state: TenantState, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(state))
    else:
        _print_table([state])


def _print_table(states: Sequence[TenantState]) -> None:
    columns = ["tenant", "stage", "percent", "subjects first", "groups first"]
    rows = [
        [each["slug"], each["stage"], f"{each['percent']:g}", *(", ".join(names) for names in each["cohorts"].values())]
        for each in map(_document, states)
    ]
    print_table(columns, rows)
