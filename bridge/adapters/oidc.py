"""The company's sign-in service: its discovery document and keys, read over HTTP and kept for a while."""

import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog
from requests import Session

from bridge.adapters.jwks import usable_keys
from bridge.adapters.wire import Patience, Wire, tamed
from bridge.errors import ConfigError, SignInUnavailable, TenantError
from bridge.ports import Clock
from bridge.texts import is_loopback

log = structlog.get_logger()

MAX_AGE_S = 3600.0
"""What is older is read again, so that a withdrawn key ends."""
PAUSE_S = 5.0
"""After a look, good or bad, nobody looks again for this long: a service that hangs must not hold every thread."""
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""By public keys alone: never `none`, and never a secret that the client knows too."""
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
OPTIONAL = ("userinfo_endpoint", "end_session_endpoint")

Document = Mapping[str, Any]


class OidcProvider:
    """Implements ports.SignInProvider by OpenID Connect Discovery 1.0 at *issuer*.

    What was known before stays while the service cannot be read; nothing known raises SignInUnavailable.
    """

    def __init__(self, issuer: str, clock: Clock, *, patience: Patience | None = None) -> None:
        self._issuer = issuer
        self._patience = patience or Patience(read_s=5.0, total_s=10.0)
        self._wire = Wire(self._patience)
        self._metadata = _Kept("configuration", self._read_metadata, clock)
        self._keys = _Kept("keys", self._read_keys, clock)

    def metadata(self) -> Document:
        """Return what is used of the discovery document; its endpoints are https, or http on loopback."""
        return self._metadata.get()

    def keys(self, *, fresh: bool = False) -> Document:
        """Return the JWKS, public signing keys alone; *fresh* asks for a look at it now."""
        return self._keys.get(max_age_s=0 if fresh else MAX_AGE_S)

    def tame(self, session: Session) -> Session:
        """Give somebody else's session our time limits, and no redirects, cookies or environment."""
        return tamed(session, self._patience)

    def check(self) -> None:
        """Raise ConfigError unless the service can be read and has keys."""
        try:
            usable = self.keys()["keys"]
        except SignInUnavailable as error:
            raise ConfigError([f"BRIDGE_OIDC_ISSUER={self._issuer} cannot be used: {error.detail}"]) from error
        if not usable:
            raise ConfigError([f"BRIDGE_OIDC_ISSUER={self._issuer} publishes no usable public key"])

    def _read_metadata(self) -> Document:
        # Some issuers end in a slash (Auth0), which their address of discovery then has no second time.
        document = self._read(f"{self._issuer.removesuffix('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self._issuer:
            raise ValueError("its issuer is another one; compare the two byte for byte, also a slash at the end")
        if unusable := [name for name in NEEDED if not _is_safe(document.get(name))]:
            raise ValueError(f"{', '.join(unusable)} is not an https address")
        supported = document.get("id_token_signing_alg_values_supported") or ["RS256"]
        usable = sorted(ALGORITHMS & set(map(str, supported)))
        if not usable:
            raise ValueError(f"it signs ID tokens by none of {', '.join(sorted(ALGORITHMS))}")
        return {
            "issuer": self._issuer,
            **{name: document[name] for name in (*NEEDED, *OPTIONAL) if _is_safe(document.get(name))},
            "id_token_signing_alg_values_supported": usable,
            "token_endpoint_auth_method": _way_to_prove(document.get("token_endpoint_auth_methods_supported")),
        }

    def _read_keys(self) -> Document:
        return {"keys": usable_keys(self._read(str(self.metadata()["jwks_uri"])))}

    def _read(self, address: str) -> Document:
        answer = self._wire.send("GET", address)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own word for it
            raise ValueError(f"status {answer.status}")
        document = answer.json()
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004 - what came is wrong, not the caller
        return document


class _Kept:
    """A document that is read when somebody needs it, and then kept."""

    def __init__(self, name: str, read: Callable[[], Document], clock: Clock) -> None:
        self._name = name
        self._read = read
        self._clock = clock
        self._guard = threading.Lock()
        self._document: Document | None = None
        self._read_at = self._looked_at = float("-inf")
        self._problem = "it was not read yet"

    def get(self, max_age_s: float = MAX_AGE_S) -> Document:
        """Return the document. One thread looks; those that can go on with what is known do not wait for it."""
        must_wait = self._document is None or max_age_s == 0
        if self._is_due(max_age_s) and self._guard.acquire(blocking=must_wait):
            try:
                if self._is_due(max_age_s):  # else another thread looked while this one waited
                    self._look()
            finally:
                self._guard.release()
        if self._document is None:
            raise SignInUnavailable(detail=self._problem, retry_after_s=PAUSE_S)
        return self._document

    def _is_due(self, max_age_s: float) -> bool:
        now = self._clock()
        is_old, may_look = (
            not 0 <= now - moment < wait_s  # a clock may have been set back
            for moment, wait_s in ((self._read_at, max_age_s), (self._looked_at, PAUSE_S))
        )
        return is_old and may_look

    def _look(self) -> None:
        try:
            self._document = self._read()
            self._read_at = self._clock()
        except (TenantError, SignInUnavailable, ValueError) as problem:
            self._problem = f"its {self._name}: {_words(problem)}"
            log.warning("sign_in_service_not_read", problem=self._problem)
        self._looked_at = self._clock()


def _words(problem: Exception) -> str:
    return str(problem) if isinstance(problem, ValueError) else getattr(problem, "detail", "") or type(problem).__name__


def _is_safe(address: object) -> bool:
    """Tell whether secrets and people may be sent to *address*."""
    if not isinstance(address, str):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    )


def _way_to_prove(supported: object) -> str:
    """Return how the client shows its secret: by header, the standard's default, unless only a field will do."""
    only_by_field = (
        isinstance(supported, list) and "client_secret_post" in supported and "client_secret_basic" not in supported
    )
    return "client_secret_post" if only_by_field else "client_secret_basic"
