"""The words of explanations: what each is made of, and the phrases that several use."""

from dataclasses import dataclass
from typing import Literal

from bridge.diagnosis import ADMINISTRATION

Place = Literal["plan", "doctor", "parity", "stragglers", "audit"]
"""A page of the console about the tenant."""

OAUTH = f"{ADMINISTRATION} > OAuth"
USERS = f"{ADMINISTRATION} > Users"
SPACES = "In Qlik Cloud, the app's space > Manage members"
APPLY = "`qlik-bridge tenants apply`"


@dataclass(frozen=True, slots=True)
class Cause:
    """One likely cause, what to change where, and the page of the console that shows whether it is this one."""

    why: str
    fix: str
    see: Place | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means (as in docs/reference/errors.md), what people notice, and its causes, the likeliest first."""

    meaning: str
    people: str
    causes: tuple[Cause, ...]


ON_THE_PAGE = "Their charts stay empty, and the page says why."
LATER = "Whoever has a token with life left goes on; others see empty charts until it is over."
NOTHING = "Nobody's charts: this concerns whoever called the API, a command or the console."
