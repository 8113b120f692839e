"""Until when this thread's work must end. Whatever may take long asks here how long it may."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from math import inf

PATIENCE_S = 15.0
"""How long somebody who asks for a token may keep the bridge asking tenants, and waiting for other workers."""
SPARE_S = 3.0
"""How long what came of it may take from there: to be kept, or to find an older token instead."""

_end: ContextVar[float] = ContextVar("end", default=inf)


def begin(seconds: float) -> Token[float]:
    """Let this thread's work end in so many seconds, or when it must anyway, until that is `over`."""
    return _end.set(min(_end.get(), time.monotonic() + seconds))


def over(token: Token[float]) -> None:
    _end.reset(token)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let what happens inside end in so many seconds, or when it must anyway."""
    token = begin(seconds)
    try:
        yield
    finally:
        over(token)


def left_s() -> float:
    """Return the seconds that are left; infinity where nobody waits."""
    return _end.get() - time.monotonic()


def at_most(seconds: float) -> float:
    """Return how long something may take that would take so many seconds by itself; none of them where time is up."""
    return max(0.0, min(seconds, left_s()))
