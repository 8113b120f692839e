"""How an OAuth client of ours proves itself to the tenant: by its secret, or by a signed assertion."""

import uuid

from authlib.oauth2.rfc7523 import private_key_jwt_sign
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey

from bridge.errors import ConfigError, TenantRefused
from bridge.model import OAuthClient, Tenant
from bridge.ports import SigningKeys

ASSERTION_LIFE_S = 240
"""Qlik takes five minutes at most; less leaves room for a slow clock."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

UNUSABLE_KEY = "The bridge cannot prove itself to this tenant. An operator must look at its keys: `qlik-bridge check`."


def token_endpoint(tenant: Tenant) -> str:
    return f"{tenant.host}/oauth/token"


def proof(tenant: Tenant, client: OAuthClient, keys: SigningKeys, now: float) -> dict[str, str]:
    """Return the body fields that prove *client* (Qlik: OAuth private_key_jwt reference). Raises TenantRefused."""
    if client.secret is not None:
        return {"client_id": client.id, "client_secret": client.secret.get_secret_value()}
    assertion: str = private_key_jwt_sign(
        _signing_key(client, keys),
        client_id=client.id,
        token_endpoint=token_endpoint(tenant),
        alg="RS256",
        claims={"jti": str(uuid.uuid4())},  # a fresh dict each time: Authlib writes into it
        header={"typ": "JWT", "kid": client.key_id},
        issued_at=int(now),
        expires_in=ASSERTION_LIFE_S,
    )
    return {"client_id": client.id, "client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}


def _signing_key(client: OAuthClient, keys: SigningKeys) -> RSAKey:
    try:
        key = keys.load(client.key or "")
    except ConfigError as error:
        raise TenantRefused(UNUSABLE_KEY, detail=error.message) from error
    return RSAKey.import_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
