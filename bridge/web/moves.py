"""A stage move as operators write it, in JSON or in a form."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bridge.model import Cohorts, Stage, TenantState
from bridge.roles import Role
from bridge.services.stages import Move
from bridge.web import current
from bridge.web.operator import Operator
from bridge.web.written import MaybeReason, Named


class Names(BaseModel):
    """The people who move first."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    subjects: frozenset[Named] = frozenset()
    groups: frozenset[Named] = frozenset()


class StageMove(BaseModel):
    """Where to, and why. Percent or cohorts left out stay as they are; cohorts given replace the old ones whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    to: Stage
    reason: MaybeReason = ""
    percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    cohorts: Names | None = None
    force: bool = False

    def carry_out(self, slug: str, operator: Operator, *, seen: int | None = None) -> TenantState:
        """Return the tenant after the move; *seen* is the revision of the rollout that it was made for.

        Raises NotAllowed, StageRefused, BadRequest, UnknownTenant, Conflict.
        """
        operator.check(slug, Role.OPERATOR)
        stages = current.bridge().stages
        cohorts = Cohorts(self.cohorts.subjects, self.cohorts.groups) if self.cohorts else None
        move = Move(self.to, operator.actor, self.reason, self.percent, cohorts, self.force, current.request_id(), seen)
        state = stages.standing(slug, move.order)
        return state if self._holds(state, cohorts) else stages.move(slug, move)

    def _holds(self, state: TenantState, cohorts: Cohorts | None) -> bool:
        """Tell whether everything that is asked for is so already: a request that comes twice moves once."""
        now = state.rollout
        percentage = now.percentage if self.percent is None else self.percent
        asked = (self.to, percentage, cohorts or now.cohorts)
        return now.ramp is None and asked == (now.stage, now.percentage, now.cohorts)
