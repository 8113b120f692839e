"""The legacy JWT: signed here, traded once for a session at `POST /login/jwt-session`."""

import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from bridge.errors import ConfigError, SyncRefused, TenantRefused
from bridge.model import Subject, Tenant
from bridge.ports import Clock, SigningKeys

AUDIENCE = "qlik.api/login/jwt-session"
BACKDATE_S = 30
"""How far `nbf` lies in the past, so that a tenant with a slow clock does not find us early."""
LIFETIME_S = 60
"""How long a legacy JWT lives; Qlik allows at most 3600 s between `nbf` and `exp`."""
MAX_BYTES = 7_500
"""Proxies cut off headers at 8 KB; a JWT this long with its `Authorization: Bearer` still passes."""

UNUSABLE_KEY = (
    "The bridge cannot sign for this tenant. An operator must look at its keys: `qlik-bridge check` names them."
)


class Signer:
    """Sign legacy JWTs with the tenant's RSA keys (Qlik: implement JWT authorization)."""

    def __init__(self, keys: SigningKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def for_browser(self, tenant: Tenant, subject: Subject) -> str:
        """Return a JWT for the page to log in with, as long as it may be: browsers have their own limits."""
        return self._sign(subject, tenant.issuer, tenant.key_id, tenant.signing_key)

    def for_sync(self, tenant: Tenant, subject: Subject) -> str:
        """Return a JWT for our own backend login, by the sync identity provider where there is one.

        Raises SyncRefused when it would be too long for a header.
        """
        if tenant.sync_issuer and tenant.sync_key_id and tenant.sync_key:
            signed = self._sign(subject, tenant.sync_issuer, tenant.sync_key_id, tenant.sync_key)
        else:
            signed = self.for_browser(tenant, subject)
        if len(signed) > MAX_BYTES:
            raise SyncRefused(
                f"The JWT for this person has {len(signed)} bytes, more than the {MAX_BYTES} that pass as a header."
                f" Reduce their {len(subject.groups)} groups to those that Qlik Cloud needs."
            )
        return signed

    def _sign(self, subject: Subject, issuer: str, key_id: str, key_file: str) -> str:
        now = int(self._clock())
        claims = {
            "iss": issuer,
            "aud": AUDIENCE,
            "sub": subject.sub,
            "subType": "user",
            "name": subject.name,
            "email": subject.email,
            "email_verified": True,
            "groups": sorted(subject.groups),
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now - BACKDATE_S,
            "exp": now + LIFETIME_S,
        }
        return jwt.encode(claims, self._key(key_file), algorithm="RS256", headers={"kid": key_id})

    def _key(self, key_file: str) -> RSAPrivateKey:
        try:
            return self._keys.load(key_file)
        except ConfigError as error:
            raise TenantRefused(UNUSABLE_KEY, detail=error.message) from error
