"""Flag providers of other people, as `BRIDGE_FLAGS=flagkit:...` finds them."""

import threading

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import GeneralError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

VARIANTS = {"off": "jwt", "pilots": "oauth"}


class Pilots(InMemoryProvider):
    """The SDK's own provider with a rule that another product keeps: some people of some tenants."""

    def __init__(self) -> None:
        self.people: set[tuple[str, str]] = set()
        super().__init__({"embed-path": InMemoryFlag("off", VARIANTS, context_evaluator=self._rule)})

    def _rule(self, _flag: object, context: EvaluationContext) -> FlagResolutionDetails[str]:
        attributes = context.attributes
        if (str(attributes["tenant"]), context.targeting_key or "") in self.people:
            return FlagResolutionDetails("oauth", variant="pilots", reason=Reason.TARGETING_MATCH)
        return FlagResolutionDetails("jwt", variant="off", reason=Reason.DEFAULT)


PILOTS = Pilots()
OVER = threading.Event()


def pilots() -> Pilots:
    """Return the one provider of this process, so that a test can turn it."""
    return PILOTS


class Away(InMemoryProvider):
    """A service that cannot be reached when the bridge starts."""

    def __init__(self) -> None:
        super().__init__({"embed-path": InMemoryFlag("pilots", VARIANTS)})

    def initialize(self, _context: EvaluationContext) -> None:
        raise GeneralError("no connection")


class Slow(Away):
    """A service that answers late when the bridge starts."""

    def initialize(self, _context: EvaluationContext) -> None:
        OVER.wait(20)


class Connecting(Away):
    """A service that needs a moment to connect, as they all do."""

    def initialize(self, _context: EvaluationContext) -> None:
        threading.Event().wait(0.1)


def not_a_provider() -> str:
    return "flags"


def broken() -> None:
    raise OSError("no such file")
