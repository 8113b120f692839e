"""`qlik-bridge stage ramp ...`: let percentages rise by themselves."""

import click

from bridge.cli.common import actor, json_option, reason_option, wired
from bridge.cli.states import print_state
from bridge.errors import BadRequest
from bridge.plan import Order, read_steps


@click.group()
def ramp() -> None:
    """Let the percentage of a tenant in stage `rollout` rise by itself."""


@ramp.command()
@click.argument("slug")
@click.argument("steps")
@click.option("--force", is_flag=True, help="Pass by conditions of evidence for the first step; needs --reason.")
@reason_option
@json_option
def start(*, slug: str, steps: str, force: bool, reason: str, as_json: bool) -> None:
    """Start a ramp for tenant SLUG; STEPS are written like "5 % for 1 h, 25 % for 1 day, 100 %"."""
    try:
        read = read_steps(steps)
    except ValueError as mistakes:
        raise BadRequest(f"This is no ramp: {mistakes}.") from None
    print_state(wired().ramps.start(slug, read, Order(actor(), reason, force=force)), as_json=as_json)


@ramp.command()
@click.argument("slug")
@reason_option
@json_option
def pause(*, slug: str, reason: str, as_json: bool) -> None:
    """Hold the ramp of tenant SLUG at its present percentage."""
    print_state(wired().ramps.pause(slug, Order(actor(), reason)), as_json=as_json)


@ramp.command()
@click.argument("slug")
@reason_option
@json_option
def resume(*, slug: str, reason: str, as_json: bool) -> None:
    """Go on with the ramp of tenant SLUG."""
    print_state(wired().ramps.resume(slug, Order(actor(), reason)), as_json=as_json)


@ramp.command()
@click.argument("slug")
@reason_option
@json_option
def stop(*, slug: str, reason: str, as_json: bool) -> None:
    """Forget the ramp of tenant SLUG; the percentage stays."""
    print_state(wired().ramps.stop(slug, Order(actor(), reason)), as_json=as_json)
