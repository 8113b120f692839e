"""`qlik-bridge stage ...`: show and move the stage of a tenant."""

import click

from bridge.bootstrap import Bridge
from bridge.cli.cohorts import cohorts
from bridge.cli.common import Between, actor, json_option, print_json, reason_option, wired
from bridge.cli.ramps import ramp
from bridge.cli.revoking import finish
from bridge.cli.revoking import revoke_tokens as revoke
from bridge.cli.states import print_state, print_states
from bridge.errors import EXIT_REFUSED, BadRequest, UnmetCondition
from bridge.model import Cohorts, Rollout, Stage, TenantState
from bridge.plan import Order
from bridge.services.stages import Move

every_option = click.option("--all", "every", is_flag=True, help="Every tenant, those too that are yet to come.")


@click.group()
def stage() -> None:
    """Show and move the stage of a tenant."""


@stage.command()
@click.argument("slug", required=False)
@json_option
def show(*, slug: str | None, as_json: bool) -> None:
    """Show the stage of one tenant, or of all."""
    _show(wired(), slug, as_json=as_json)


@stage.command()
@click.argument("slug")
@click.argument("to", type=click.Choice([each.value for each in Stage]))
@click.option("--percent", type=Between(0, 100), help="Share of subjects that get the OAuth path in `rollout`.")
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
    help="Pass by conditions of evidence, never the order of stages; needs --reason.",
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
    first = Cohorts(frozenset(subjects), frozenset(groups)) if given else None
    request = Move(Stage(to), actor(), reason, percent, first, force)
    print_state(wired().stages.move(slug, request), as_json=as_json)


@stage.command()
@click.argument("slug")
@click.option(
    "--to", type=click.Choice([each.value for each in Stage]), help="Stage to look at; default: the next one."
)
@click.option("--percent", type=Between(0, 100), help="Percentage to look at.")
@json_option
def plan(*, slug: str, to: str | None, percent: float | None, as_json: bool) -> None:
    """Show what a move of tenant SLUG would do, and which conditions are unmet. Exit 1 when there are any."""
    found = wired().stages.plan(slug, Stage(to) if to else None, percent)
    if as_json:
        print_json(found.document())
    else:
        click.echo(f"{slug}: from {_brief(found.before)} to {_brief(found.after)}")
        for line in [*found.effects, *map(_condition, found.unmet)]:
            click.echo(f"  - {line}")
    if found.unmet:
        raise SystemExit(EXIT_REFUSED)


def _brief(rollout: Rollout) -> str:
    return rollout.stage + (f" at {rollout.percentage:g} %" if rollout.stage is Stage.ROLLOUT else "")


def _condition(unmet: UnmetCondition) -> str:
    return f"unmet, {unmet.condition}: {unmet.message}" + ("" if unmet.forceable else " (cannot be forced)")


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
    print_state(state, as_json=as_json)
    if target is Stage.ROLLOUT and (state.rollout.percentage or state.rollout.cohorts != Cohorts()):
        staying = f"{state.rollout.percentage:g} % of the people, and those named first, stay on the OAuth path"
        click.echo(f"{staying}; --to shadow takes everybody back.", err=True)
    if revoke_tokens:
        finish(revoke(bridge, tenant=slug, subject=None, reason=reason), as_json=as_json)


@stage.command()
@click.argument("slug", required=False)
@every_option
@reason_option
@json_option
def kill(*, slug: str | None, every: bool, reason: str, as_json: bool) -> None:
    """Take everybody of tenant SLUG (or of all) off the OAuth path at once. Stage and percentage stay."""
    _check_whom(slug, every=every)
    bridge, order = wired(), Order(actor(), reason)
    if slug:
        bridge.kills.kill(slug, order)
    else:
        bridge.kills.kill_all(order)
    states = _show(bridge, slug, as_json=as_json)
    if retired := [state.tenant.slug for state in states if state.kill and not state.is_killed]:
        there = "no JWT path to fall back on, and stays on the OAuth path: `qlik-bridge stage rollback` opens it again."
        click.echo(f"Retired: {', '.join(retired)}. A retired tenant has {there}", err=True)


@stage.command()
@click.argument("slug", required=False)
@every_option
@reason_option
@json_option
def revive(*, slug: str | None, every: bool, reason: str, as_json: bool) -> None:
    """Switch the kill switch of tenant SLUG (or the one of all tenants) off again."""
    _check_whom(slug, every=every)
    bridge, order = wired(), Order(actor(), reason)
    if slug:
        bridge.kills.revive(slug, order)
    else:
        bridge.kills.revive_all(order)
    states = _show(bridge, slug, as_json=as_json)
    if still := [state.tenant.slug for state in states if state.kill]:
        both = "The kill switch of one tenant and that of all tenants (--all) are two."
        click.echo(f"Still on for {', '.join(still)}. {both}", err=True)


def _check_whom(slug: str | None, *, every: bool) -> None:
    if (slug is None) is not every:
        raise click.UsageError("Name one tenant, or say --all.")


def _show(bridge: Bridge, slug: str | None, *, as_json: bool) -> list[TenantState]:
    states = list(bridge.tenants.all().values())
    if slug is None:
        print_states(states, as_json=as_json)
        return states
    state = bridge.tenants.get(slug)
    print_state(state, as_json=as_json)
    return [state]


stage.add_command(ramp)
stage.add_command(cohorts)
