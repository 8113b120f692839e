"""How a tenant's budget stands, and how long people would wait in a rush."""

from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import Field

from bridge.budgeting import Lane
from bridge.services.rush import rushes
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import Shape
from bridge.web.bodies import parsed_query
from bridge.web.operator import reader

MOST_PEOPLE = 100_000
LONGEST_MIN = 1440
RUSH_MIN = 60.0

People = Annotated[int, Field(ge=1, le=MOST_PEOPLE)]
Minutes = Annotated[float, Field(ge=0, le=LONGEST_MIN, allow_inf_nan=False)]


class BudgetQuery(Shape):
    """How many people come within how many minutes; without people nothing is worked out."""

    people: People | None = None
    minutes: Minutes = RUSH_MIN


class LaneAnswer(Shape):
    """One lane. `share`: what it and those below it may spend in a window; `wait_s`: of the next person in it."""

    lane: Lane
    share: int
    spent: int
    refused: int
    wait_s: float


class RushAnswer(Shape):
    """How long people wait, in seconds, for so many `calls` each, when `kept_percent` of them have a token already."""

    calls: int
    kept_percent: int
    p50_s: int
    p95_s: int
    max_s: int


class BudgetAnswer(Shape):
    """What the window holds. `limit` is Qlik's, `budget` ours; `throttled` counts 429s, `frozen_s` is by tier."""

    tenant: str
    client: str
    window_s: float
    limit: int
    margin_percent: float
    budget: int
    spent: int
    left: int
    throttled: int
    frozen_s: dict[str, float]
    lanes: list[LaneAnswer]
    rush: list[RushAnswer] | None


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>/budget")(get_budget)


@described("Tell how the budget of calls stands", answer=BudgetAnswer, query=BudgetQuery)
def get_budget(slug: str) -> Response:
    reader(slug)
    query, budget = parsed_query(BudgetQuery), current.bridge().budget
    state = budget.state(current.tenant(slug).tenant)
    told = rushes(query.people, query.minutes, budget.limit) if query.people else None
    return jsonify(**state.document(), rush=None if told is None else [each.document() for each in told])
