"""The sandbox's people, for the demo sign-in alone."""

from collections.abc import Sequence
from typing import Any

from bridge.adapters.wire import Patience, Wire
from bridge.errors import TenantError, TenantGarbled, TenantUnavailable
from bridge.model import Identity, Subject
from bridge.ports import Clock

STATE = "/_sandbox/state"
SOURCE = "demo"


class SandboxPeople:
    """Implements ports.People by asking the sandbox tenant at *origin*."""

    def __init__(self, origin: str, clock: Clock, *, patience: Patience | None = None) -> None:
        self._origin = origin
        self._clock = clock
        self._wire = Wire(patience)

    def all(self) -> Sequence[Identity]:
        now = self._clock()
        return [Identity(_subject(each), SOURCE, SOURCE, now) for each in _people(self._wire, self._origin)]


def is_sandbox(origin: str, *, patience: Patience | None = None) -> bool:
    """Tell whether a sandbox tenant answers there; never raises."""
    try:
        _people(Wire(patience), origin)
    except TenantError:
        return False
    return True


def _people(wire: Wire, origin: str) -> list[Any]:
    answer = wire.send("GET", f"{origin}{STATE}")
    if answer.status != 200:  # noqa: PLR2004 - HTTP's own word for it
        raise TenantUnavailable(detail=f"sandbox state: {answer.status}")
    try:
        people = answer.json()["people"]
    except (ValueError, KeyError, TypeError):
        people = None
    if not isinstance(people, list):
        raise TenantGarbled(detail="sandbox state: no people")
    return people


def _subject(person: Any) -> Subject:  # noqa: ANN401 - checked by use
    try:
        sub, name, email = (str(person[field]) for field in ("subject", "display_name", "email"))
        return Subject(sub, name, email, frozenset(str(group) for group in person["groups"]))
    except (KeyError, TypeError):
        raise TenantGarbled(detail="sandbox state: a person without subject, display_name, email or groups") from None
