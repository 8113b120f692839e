"""Whether this thread may ask the database, or goes by the copies that the process has in memory."""

from contextvars import ContextVar, Token

_alone: ContextVar[bool] = ContextVar("memory_alone", default=False)


class NotInMemory(Exception):
    """There is no copy; who may ask the database finds out more."""


class memory_alone:  # noqa: N801 - reads as what holds inside
    """Ask nobody inside. A class, as each request pays for it."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token: Token[bool] = _alone.set(True)

    def __exit__(self, *_: object) -> None:
        _alone.reset(self._token)


def look_further() -> None:
    """Go on to the database. Raises NotInMemory where that is not wanted."""
    if _alone.get():
        raise NotInMemory
