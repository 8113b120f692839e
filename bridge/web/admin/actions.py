"""What the forms of a tenant's page do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.errors import BadRequest, Conflict
from bridge.model import Cohorts, TenantState
from bridge.plan import Order, read_steps
from bridge.services.stages import insist
from bridge.texts import lines
from bridge.web import current
from bridge.web.api.people import look_up, revoke
from bridge.web.api.plan import CohortChange
from bridge.web.api.proof import compare
from bridge.web.api.shapes import Because, Comparison
from bridge.web.bodies import parsed_form
from bridge.web.moves import StageMove
from bridge.web.operator import Operator

Done = str
"""The key of the sentence that says what was done; "" where the page itself shows it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it was sent. `seen` is the revision of the rollout that its page showed; None: it does not say."""

    slug: str
    who: Operator
    fields: Mapping[str, str]
    seen: int | None = None

    def order(self, seen: int | None = None) -> Order:
        """Return who wants it and why. Raises BadRequest without a reason."""
        reason = parsed_form(Because, {"reason": self.fields.get("reason", "")}).reason
        return Order(self.who.actor, reason, current.request_id(), self.fields.get("force") == "true", seen)

    def is_late(self, state: TenantState) -> bool:
        return self.seen not in {None, state.rollout.revision}


def _move(sent: Sent) -> Done:
    move = parsed_form(StageMove, sent.fields)
    sent.order()  # a program may leave the reason out, a person is asked for it
    move.carry_out(sent.slug, sent.who, seen=sent.seen)
    return ""


def _back(sent: Sent) -> Done:
    """Move back by one click: also when somebody else was faster, as long as it still leads back."""
    move, late = parsed_form(StageMove, sent.fields), False

    def change() -> TenantState:
        nonlocal late
        state = current.bridge().tenants.get(sent.slug, fresh=True)
        late = sent.is_late(state)
        if late and move.to.position >= state.rollout.stage.position:
            raise Conflict
        return move.carry_out(sent.slug, sent.who, seen=state.rollout.revision)

    insist(change)
    return "late" if late else ""


def _recast(sent: Sent) -> Done:
    """Add the names that were typed, or take out the one whose button was pressed."""
    kinds, fields = ("subjects", "groups"), sent.fields
    gone = {kind: [name] for kind in kinds if (name := fields.get(f"remove_{kind}", ""))}
    named = {} if gone else {kind: lines(fields.get(f"add_{kind}", "")) for kind in kinds}
    change = parsed_form(CohortChange, {"reason": fields.get("reason", ""), "add": named, "remove": gone})
    add = Cohorts(change.add.subjects, change.add.groups)
    remove = Cohorts(change.remove.subjects, change.remove.groups)
    current.bridge().stages.recast(sent.slug, sent.order(sent.seen), add=add, remove=remove)
    return ""


def _start_ramp(sent: Sent) -> Done:
    try:
        steps = read_steps(sent.fields.get("steps", ""))
    except ValueError as mistakes:
        raise BadRequest(f"This is no ramp: {mistakes}.") from None
    current.bridge().ramps.start(sent.slug, steps, sent.order(sent.seen))
    return ""


def _revoke(sent: Sent) -> Done:
    person = look_up(sent.slug, sent.fields.get("subject", ""))
    revoke(sent.slug, person.sub, sent.who.actor, sent.order().reason)
    return "revoked"


def _compare(sent: Sent) -> Done:
    wanted = parsed_form(Comparison, {name: sent.fields.get(name, "") for name in Comparison.model_fields})
    result = compare(sent.slug, wanted, sent.who)
    return "compared" if current.bridge().parity.result(sent.slug, result.sub) == result else "compared_not_kept"


def _service(name: str, method: str) -> Callable[[Sent], Done]:
    """Do what a service does for the version that the page showed."""

    def act(sent: Sent) -> Done:
        getattr(getattr(current.bridge(), name), method)(sent.slug, sent.order(sent.seen))
        return ""

    return act


def _at_once(name: str, method: str) -> Callable[[Sent], Done]:
    """Do what must not be refused because somebody else was faster: it is on the safe side."""

    def act(sent: Sent) -> Done:
        late = sent.is_late(current.bridge().tenants.get(sent.slug, fresh=True))
        getattr(getattr(current.bridge(), name), method)(sent.slug, sent.order())
        return "late" if late else ""

    return act


ACTIONS: Mapping[str, Callable[[Sent], Done]] = {
    "stage": _move,
    "back": _back,
    "cohorts": _recast,
    "ramp": _start_ramp,
    "pause": _at_once("ramps", "pause"),
    "resume": _service("ramps", "resume"),
    "stop": _service("ramps", "stop"),
    "kill": _at_once("kills", "kill"),
    "revive": _service("kills", "revive"),
    "revoke": _revoke,
    "compare": _compare,
}
ABOUT_A_PERSON = ("revoke", "compare")

DONE = {
    "created": "The tenant is there, in stage legacy: nothing changes for anybody. Examine it with the doctor next.",
    "late": "Done, although somebody else had changed this tenant since you opened the page. Look at the last changes.",
    "revoked": "Their token was ended. The next page that they open gets a new one.",
    "compared": "Compared just now; the result is below.",
    "compared_not_kept": "Compared just now, but not everything could be seen, so the result before it still stands.",
}
