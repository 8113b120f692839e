"""`qlik-bridge budget SLUG`: how the budget of calls stands, and how long people would wait in a rush."""

from math import ceil

import click

from bridge.budgeting import BudgetState
from bridge.cli.common import Between, json_option, print_json, print_table, wired
from bridge.services.rush import Rush, rushes

LANES = ["lane", "may spend", "spent", "sent away", "wait now"]
WAITS = ["each needs", "have a token", "half wait up to", "95 % up to", "the last"]
MINUTE_S = 60
SHORT_S = 90


@click.command()
@click.argument("slug")
@click.option("--people", type=click.IntRange(1, 1_000_000), help="Work out how long so many people would wait.")
@click.option("--minutes", type=Between(0, 1440), default=60.0, help="They come within so many; default 60.")
@json_option
def budget(*, slug: str, people: int | None, minutes: float, as_json: bool) -> None:
    """Show what is left of the logins and token calls of tenant SLUG, of all workers together."""
    bridge = wired()
    state = bridge.budget.state(bridge.tenants.get(slug).tenant)
    told = rushes(people, minutes, bridge.budget.limit) if people else None
    if as_json:
        print_json({**state.document(), "rush": None if told is None else [each.document() for each in told]})
        return
    _print_state(state)
    if told is not None:
        click.echo(f"\n{people:,} people within {minutes:g} minutes, from an unspent budget:")
        print_table(WAITS, map(_waits, told))


def _print_state(state: BudgetState) -> None:
    limit = state.book.limit
    click.echo(
        f"{state.left} of {limit.budget} calls left in {limit.window_s / MINUTE_S:g} min (Qlik answers {limit.calls};"
        f" {limit.margin_percent:g} % stay for browsers). {state.throttled} answers were 429."
    )
    if state.frozen_s:
        click.echo(f"The tenant asks us to wait: no login and no token for {_shown(state.frozen_s)}.")
    lanes = state.document()["lanes"]
    print_table(LANES, ([each["lane"].replace("pre_", "pre-").replace("_", " "), *_numbers(each)] for each in lanes))


def _numbers(lane: dict[str, float]) -> list[str]:
    return [*(str(lane[name]) for name in ("share", "spent", "refused")), _shown(lane["wait_s"])]


def _waits(told: Rush) -> list[str]:
    needs = "a login and a token" if told.calls > 1 else "a token"
    return [needs, f"{told.kept_percent} %", *map(_shown, (told.p50_s, told.p95_s, told.max_s))]


def _shown(seconds: float) -> str:
    if not seconds:
        return "none"
    return f"{ceil(seconds)} s" if seconds < SHORT_S else f"{ceil(seconds / MINUTE_S)} min"
