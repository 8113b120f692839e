"""Sign-in sessions: rows that can be revoked, named by a random value that only the browser holds."""

import hashlib
import secrets

from bridge.model import Identity, Session
from bridge.ports import Clock, SessionStore

LIFETIME_S = 8 * 3600
IDLE_S = 3600
TOUCH_EVERY_S = 60.0
"""`seen_at` is written at most this often, so that a page load writes nothing."""
PREFIX = "qbs_"
SWEEP_EVERY_S = 60


def digest(value: str) -> str:
    """Return what the store keeps of a random bearer value: enough to find it, nothing to use."""
    return hashlib.sha256(value.encode()).hexdigest()


class Sessions:
    """Open, find and close sessions. Every method may raise StoreError."""

    def __init__(self, store: SessionStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._sweep_at = 0.0

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
        now = self._clock()
        if session is None or now - session.created_at > LIFETIME_S or now - session.seen_at > IDLE_S:
            return None
        if is_use and now - session.seen_at >= TOUCH_EVERY_S:
            self._store.touch(session.id_hash, now)
        return session

    def close(self, value: str) -> None:
        self._store.remove(digest(value))

    def _sweep(self, now: float) -> None:
        """Remove what ended, once a minute, and on while there is more: no sign-in waits for all of a busy morning."""
        if now < self._sweep_at:
            return
        is_more = self._store.remove_older(created_before=now - LIFETIME_S, seen_before=now - IDLE_S)
        self._sweep_at = now if is_more else now + SWEEP_EVERY_S
