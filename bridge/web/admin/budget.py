"""The budgets of all tenants, the fullest first, and a morning worked out."""

from dataclasses import dataclass

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from pydantic import ValidationError

from bridge.budgeting import BudgetState, Lane
from bridge.model import TenantState
from bridge.services.rush import rushes
from bridge.texts import iso
from bridge.web import current
from bridge.web.admin.frame import page
from bridge.web.api.budget import LONGEST_MIN, MOST_PEOPLE, BudgetQuery
from bridge.web.api.tenants import visible
from bridge.web.operator import operator

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A tenant and how its budget stands."""

    state: TenantState
    budget: BudgetState

    @property
    def frozen_until(self) -> str:
        """Return when the tenant lets us log in and mint again, or nothing."""
        return iso(self.budget.frozen[2]) if self.budget.frozen_s else ""

    @property
    def wait_s(self) -> float:
        return self.budget.wait_s(Lane.PAGE_OPEN)

    @property
    def weight(self) -> tuple[float, int, int]:
        return self.budget.frozen_s, self.budget.throttled, self.budget.used_percent


def install(blueprint: Blueprint) -> None:
    blueprint.get("/budget")(get_budget)


def get_budget() -> ResponseReturnValue:
    """Show the fullest budgets, and what `people` and `minutes` of the address would do to an empty one."""
    who, bridge = operator(), current.bridge()
    states = visible(who)
    budgets = bridge.budget.states([state.tenant for state in states])
    rows = sorted(map(Row, states, budgets), key=lambda row: row.weight, reverse=True)
    asked = _asked()
    return page(
        "console_budget.html",
        who,
        rows=rows[:SHOWN],
        found=len(rows),
        limit=bridge.budget.limit,
        lanes=list(Lane),
        asked=asked,
        rushes=rushes(asked.people, asked.minutes, bridge.budget.limit) if asked.people else (),
        most_people=MOST_PEOPLE,
        longest_min=LONGEST_MIN,
    )


def _asked() -> BudgetQuery:
    """Return what the address asks for; what makes no sense in it counts as not asked."""
    given = {name: value for name, value in request.args.items() if name in BudgetQuery.model_fields}
    try:
        return BudgetQuery.model_validate(given)
    except ValidationError:
        return BudgetQuery()
