"""How often a person may ask, and how often an address may send what is then refused. Each worker counts for itself."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from cachetools import TTLCache

from bridge.errors import NotSignedIn, SignInRefused, TooMany
from bridge.ports import Clock
from bridge.settings import Settings

MINUTE_S = 60
REMEMBERED = 20_000
"""Callers at once; of more, those whose minute began first are forgotten, so memory stays bounded."""


@dataclass(slots=True)
class _Minute:
    until: float
    spent: int = 0


class Allowance:
    """So many in a minute for each key; 0 is without end."""

    def __init__(self, a_minute: int, clock: Clock) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._minutes: TTLCache[Hashable, _Minute] = TTLCache(REMEMBERED, MINUTE_S, timer=clock)
        self._guard = threading.Lock()

    def spend(self, key: Hashable) -> None:
        """Count one more. Raises TooMany when nothing is left."""
        if self._a_minute:
            with self._guard:
                minute = self._of(key)
                self._check(key, minute)
                minute.spent += 1

    def charge(self, key: Hashable, share: int) -> None:
        """Count so large a share of a minute, spent already or not: this may not be refused, what follows may."""
        if self._a_minute:
            with self._guard:
                self._of(key).spent += max(1, self._a_minute // share)

    def check(self, key: Hashable) -> None:
        """Raise TooMany when nothing is left."""
        if self._a_minute:
            with self._guard:
                if minute := self._minutes.get(key):
                    self._check(key, minute)

    def _of(self, key: Hashable) -> _Minute:
        try:  # `get` would look twice, and each warm request pays for it
            return self._minutes[key]
        except KeyError:
            minute = self._minutes[key] = _Minute(self._clock() + MINUTE_S)
            return minute

    def _check(self, key: Hashable, minute: _Minute) -> None:
        if minute.spent < self._a_minute:
            return
        wait_s = minute.until - self._clock()
        if wait_s <= MINUTE_S:
            raise TooMany(retry_after_s=wait_s)
        minute.until, minute.spent = self._clock() + MINUTE_S, 0  # it began before the clock was set back
        self._minutes[key] = minute


@dataclass(frozen=True, slots=True)
class Allowances:
    """Of people: every request. Of addresses: refusals alone, because a whole company may arrive from one address."""

    subjects: Allowance = field()
    addresses: Allowance = field()

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Self:
        subjects = Allowance(settings.subject_requests_per_minute, clock)
        return cls(subjects, Allowance(settings.address_refusals_per_minute, clock))

    @contextmanager
    def for_proof(self, address: str) -> Iterator[None]:
        """Look at somebody's proof of who they are. Raises TooMany when too much of this address was refused."""
        self.addresses.check(address)
        try:
            yield
        except (NotSignedIn, SignInRefused):
            self.addresses.spend(address)
            raise
