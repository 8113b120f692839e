"""`qlik-bridge stage ...`: show and move the stage of a tenant."""

import click

from bridge.cli.common import actor, json_option, print_json, print_table, wired
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
    _print([bridge.tenants.get(slug)] if slug else list(bridge.tenants.all().values()), as_json=as_json)


@stage.command()
@click.argument("slug")
@click.argument("to", type=click.Choice([each.value for each in Stage]))
@click.option(
    "--percent", type=click.FloatRange(0, 100), help="Share of subjects that get the OAuth path in `rollout`."
)
@click.option("--subject", "subjects", multiple=True, help="Cohort: this subject moves first. Repeatable.")
@click.option("--group", "groups", multiple=True, help="Cohort: members of this group move first. Repeatable.")
@click.option("--no-cohorts", is_flag=True, help="Empty the cohorts.")
@click.option("--force", is_flag=True, help="Move without evidence; needs --reason.")
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
    _print([wired().stages.move(slug, request)], as_json=as_json)


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
    _print([bridge.stages.move(slug, Move(target, actor(), reason))], as_json=as_json)
    if revoke_tokens:
        bridge.broker.revoke(tenant=slug)


def _print(states: list[TenantState], *, as_json: bool) -> None:
    documents = [{"slug": state.tenant.slug, **state.rollout.document()} for state in states]
    if as_json:
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    columns = ["tenant", "stage", "percent", "subjects first", "groups first"]
    rows = [
        [each["slug"], each["stage"], f"{each['percent']:g}", *(", ".join(names) for names in each["cohorts"].values())]
        for each in documents
    ]
    print_table(columns, rows)
