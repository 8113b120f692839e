"""The portal's public keys, from a JWKS file or address (RFC 7517)."""

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from bridge.adapters.wire import MAX_BODY, Patience, Wire
from bridge.errors import ConfigError, SignInUnavailable, TenantError
from bridge.ports import Clock
from bridge.texts import is_loopback

log = structlog.get_logger()

ASYMMETRIC = frozenset({"RSA", "EC", "OKP"})
LOOK_EVERY_S = 60.0
LOOK_AGAIN_S = 5.0
"""The same while the source cannot be read."""
MAX_AGE_S = 3600.0
"""Known keys are looked at again after this time, so that a withdrawn one ends."""
UNREAD = "The portal's keys cannot be read, so nobody can say whether the assertion is good. Try again shortly."


class Jwks:
    """Implements ports.KeySet and ports.Probe.

    *source* is a file path, or an https address (http for loopback hosts alone, else ConfigError). A source that
    cannot be read is logged, and what was known before stays.
    """

    name = "assertion_keys"

    def __init__(self, source: str, clock: Clock, *, patience: Patience | None = None) -> None:
        self._source = _checked(source)
        self._clock = clock
        self._wire = Wire(patience)
        self._keys: Mapping[str, Mapping[str, Any]] = {}
        self._looked_at = float("-inf")
        self._is_unread = False
        self._guard = threading.Lock()

    def find(self, key_id: str) -> Mapping[str, Any] | None:
        """Return the JWK, looking at the source again, at most once a minute, when it is unknown.

        Raises SignInUnavailable where nobody can say, because the source cannot be read. One thread looks; those that
        know enough, or that waited in vain before, do not wait for it.
        """
        must_wait = key_id not in self._keys and not self._is_unread
        if self._is_due(key_id) and self._guard.acquire(blocking=must_wait):
            try:
                if self._is_due(key_id):  # else another thread looked while this one waited
                    self._look()
            finally:
                self._guard.release()
        found = self._keys.get(key_id)
        if found is None and self._is_unread:
            raise SignInUnavailable(UNREAD, detail="the portal's keys cannot be read", retry_after_s=LOOK_AGAIN_S)
        return found

    def check(self) -> None:
        """Raise ConfigError while no usable key is known."""
        with self._guard:
            if not self._keys and self._is_due(""):
                self._look()
        if not self._keys:
            raise ConfigError([f"BRIDGE_ASSERTION_JWKS={self._source} cannot be read, or holds no usable public key"])

    def _is_due(self, key_id: str) -> bool:
        wait_s = MAX_AGE_S if key_id in self._keys else LOOK_AGAIN_S if self._is_unread else LOOK_EVERY_S
        return not 0 <= self._clock() - self._looked_at < wait_s  # a clock may have been set back

    def _look(self) -> None:
        try:
            self._keys = {key["kid"]: key for key in usable_keys(json.loads(self._read())) if _has_id(key)}
            self._is_unread = False
        except (OSError, ValueError, RecursionError, TenantError) as problem:
            self._is_unread = True
            log.warning("key_set_not_read", source=self._source, problem=type(problem).__name__)
        self._looked_at = self._clock()

    def _read(self) -> bytes:
        if "://" not in self._source:
            with Path(self._source).open("rb") as file:
                return file.read(MAX_BODY)
        answer = self._wire.send("GET", self._source)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own word for it
            raise ValueError(f"status {answer.status}")
        return answer.body


def _checked(source: str) -> str:
    if "://" not in source:
        return source
    parts = urlsplit(source)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return source
    raise ConfigError(["BRIDGE_ASSERTION_JWKS must be a file or an https address (http for loopback hosts alone)"])


def usable_keys(document: object) -> Sequence[Mapping[str, Any]]:
    """Return the public signing keys of a JWKS: never a symmetric one, which would let anyone who reads it sign."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ValueError("no `keys`")  # noqa: TRY004 - the file is wrong, not the caller
    return [key for key in keys if _is_usable(key)]


def _is_usable(key: object) -> bool:
    return (
        isinstance(key, dict)
        and key.get("kty") in ASYMMETRIC
        and key.get("use", "sig") == "sig"
        and "d" not in key  # a private key that was published is nobody's any more
    )


def _has_id(key: Mapping[str, Any]) -> bool:
    return isinstance(key.get("kid"), str)
