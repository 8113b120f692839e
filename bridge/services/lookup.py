"""Look one person up at a tenant: what the bridge knows of them, on which path they are, and why."""

from dataclasses import dataclass

from bridge.decisions import Decision, NotedDecision
from bridge.model import IssuedToken, Subject, SubjectRecord, TenantState
from bridge.ports import DecisionStore, SubjectStore, TokenStore
from bridge.services.rollout import Rollouts


@dataclass(frozen=True, slots=True)
class Person:
    """A subject at a tenant; `record` None: nobody of that `sub` was ever there.

    `decision` is what they would get now, `noted` what they got last, where another flag provider decides.
    """

    sub: str
    record: SubjectRecord | None
    decision: Decision
    noted: NotedDecision | None
    token: IssuedToken | None


class Lookup:
    """Answer operators' questions about single people; asks nothing of the tenant."""

    def __init__(
        self, subjects: SubjectStore, tokens: TokenStore, decisions: DecisionStore, rollouts: Rollouts
    ) -> None:
        self._subjects = subjects
        self._tokens = tokens
        self._decisions = decisions
        self._rollouts = rollouts

    def person(self, state: TenantState, sub: str) -> Person:
        """Return what is known of *sub*; for a stranger, the path of somebody without groups. Raises StoreError."""
        record = self._subjects.get(state.tenant.slug, sub, fresh=True)
        subject = record.subject if record else Subject(sub, "", "", frozenset())
        token = self._tokens.get(state.tenant.token_key(sub))
        noted = self._decisions.get(state.tenant.slug, sub)
        return Person(sub, record, self._rollouts.decide(state, subject), noted, token)
