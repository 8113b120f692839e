"""Sign-in sessions: rows that can be revoked, named by a random value that only the browser holds."""

import hashlib
import secrets
import threading
from contextlib import suppress

from bridge.errors import StoreError
from bridge.model import Identity, Session
from bridge.ports import Clock, SessionStore
from bridge.services.noting import MOST_NOTED

LIFETIME_S = 8 * 3600
IDLE_S = 3600
TOUCH_EVERY_S = 60.0
"""A use is noted at most this often, and written a moment later: no request waits for it."""
PREFIX = "qbs_"
SWEEP_EVERY_S = 60


def digest(value: str) -> str:
    """Return what the store keeps of a random bearer value: enough to find it, nothing to use."""
    return hashlib.sha256(value.encode()).hexdigest()


class Sessions:
    """Open, find and end sessions. Every method but `close` may raise StoreError."""

    def __init__(self, store: SessionStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._sweep_at = 0.0
        self._used: dict[str, float] = {}
        self._guard = threading.Lock()

    def open(self, identity: Identity) -> str:
        """Start a session and return its value, for a cookie or for a page's memory."""
        now = self._clock()
        value = PREFIX + secrets.token_urlsafe(32)
        self._sweep(now)
        self._store.add(Session(digest(value), identity, now, now))
        return value

    def find(self, value: str, *, is_use: bool = True) -> Session | None:
        """Return the live session behind *value*, and note that it was used; what a page asks by itself is no use."""
        session = self._store.get(digest(value)) if value.startswith(PREFIX) else None
        if session is None:
            return None
        now, idle_s = self._clock(), self._idle_s(session)
        if now - session.created_at > LIFETIME_S or idle_s > IDLE_S:
            return None
        if is_use and idle_s >= TOUCH_EVERY_S:
            self._note_use(session, now)
        return session

    def end(self, value: str) -> None:
        self._store.remove(digest(value))

    def flush(self) -> None:
        """Write down which sessions were used. Raises StoreError: then it is tried again."""
        with self._guard:
            used = dict(self._used)
        if used:
            self._store.touch(used)
        with self._guard:
            for id_hash, at in used.items():
                if self._used.get(id_hash) == at:
                    del self._used[id_hash]

    def close(self) -> None:
        """Write down the rest; a store that is away loses it."""
        with suppress(StoreError):
            self.flush()

    def _idle_s(self, session: Session) -> float:
        return self._clock() - max(session.seen_at, self._used.get(session.id_hash, 0))

    def _note_use(self, session: Session, now: float) -> None:
        with self._guard:
            if session.id_hash in self._used or len(self._used) < MOST_NOTED:
                self._used[session.id_hash] = now

    def _sweep(self, now: float) -> None:
        """Remove what ended, once a minute, and on while there is more: no sign-in waits for all of a busy morning."""
        if now < self._sweep_at:
            return
        is_more = self._store.remove_older(created_before=now - LIFETIME_S, seen_before=now - IDLE_S)
        self._sweep_at = now if is_more else now + SWEEP_EVERY_S
