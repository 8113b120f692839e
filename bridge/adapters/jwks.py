"""The portal's public keys, from a JWKS file or address (RFC 7517)."""

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from bridge.adapters.wire import MAX_BODY, Patience, Wire
from bridge.errors import ConfigError, TenantError
from bridge.ports import Clock
from bridge.texts import is_loopback

log = structlog.get_logger()

ASYMMETRIC = frozenset({"RSA", "EC", "OKP"})
LOOK_EVERY_S = 60.0
MAX_AGE_S = 3600.0
"""Known keys are looked at again after this time, so that a withdrawn one ends."""


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
        self._guard = threading.Lock()

    def find(self, key_id: str) -> Mapping[str, Any] | None:
        """Return the JWK, looking at the source again, at most once a minute, when it is unknown."""
        wait_s = MAX_AGE_S if key_id in self._keys else LOOK_EVERY_S
        if not self._is_due(wait_s):
            return self._keys.get(key_id)
        with self._guard:
            if self._is_due(wait_s):  # else another thread looked while this one waited
                self._look()
        return self._keys.get(key_id)

    def check(self) -> None:
        """Raise ConfigError while no usable key is known."""
        with self._guard:
            if not self._keys and self._is_due(LOOK_EVERY_S):
                self._look()
        if not self._keys:
            raise ConfigError([f"BRIDGE_ASSERTION_JWKS={self._source} cannot be read, or holds no usable public key"])

    def _is_due(self, wait_s: float) -> bool:
        return self._clock() - self._looked_at >= wait_s

    def _look(self) -> None:
        try:
            self._keys = {key["kid"]: key for key in usable_keys(json.loads(self._read())) if _has_id(key)}
        except (OSError, ValueError, RecursionError, TenantError) as problem:
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
