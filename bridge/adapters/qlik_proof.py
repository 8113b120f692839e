"""How an OAuth client of ours proves itself to the tenant: by its secret, or by a signed assertion."""

import uuid

from authlib.oauth2.rfc7523 import private_key_jwt_sign
from joserfc.jwk import RSAKey

from bridge.adapters.qlik_answers import blame_the_clock
from bridge.errors import ConfigError, TenantRefused
from bridge.model import OAuthClient, Tenant
from bridge.ports import SigningKeys
from bridge.sealing import LOCKED

ASSERTION_LIFE_S = 240
"""Qlik takes five minutes at most; less leaves room for a slow clock."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

UNUSABLE_KEY = "The bridge cannot prove itself to this tenant. An operator must look at its keys: `qlik-bridge check`."

NOT_TAKEN = (
    "Qlik Cloud does not take the bridge's client: its {} was removed there, or the client was. An operator must give"
    " the bridge one that is valid there (`qlik-bridge tenants apply`, or the console); `qlik-bridge doctor` says more."
)


def token_endpoint(tenant: Tenant) -> str:
    return f"{tenant.host}/oauth/token"


def proof(tenant: Tenant, client: OAuthClient, keys: SigningKeys, now: float) -> dict[str, str]:
    """Return the body fields that prove *client* (Qlik: OAuth private_key_jwt reference). Raises TenantRefused."""
    if client.is_locked:
        detail = f"the secret of client {client.id} of tenant {tenant.slug} is locked"
        raise TenantRefused(f"The bridge's secret for this tenant is locked. {LOCKED}", detail=detail)
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


def blame_the_proof(refusal: TenantRefused, client: OAuthClient) -> TenantRefused:
    """Say what to do where the tenant refused *client* itself; a proof by key bears a time, so clocks come first."""
    if client.key and (blamed := blame_the_clock(refusal)) is not refusal:
        return blamed
    return refusal.saying(NOT_TAKEN.format("key" if client.key else "secret")) if refusal.is_of_the_client else refusal


def _signing_key(client: OAuthClient, keys: SigningKeys) -> RSAKey:
    try:
        key = keys.load(client.key or "")
    except ConfigError as error:
        raise TenantRefused(UNUSABLE_KEY, detail=error.message) from error
    return RSAKey.import_key(key)  # the object itself: to parse a PEM costs more than a hundred signatures
