"""What the tenant's answers say about its set-up; what has another form than Qlik's raises TenantGarbled."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from bridge.diagnosis import ClientFacts, ClientSecret, CspEntry, GroupSettings, JwtProvider, key_fingerprint
from bridge.errors import TenantGarbled

PEM = re.compile(r"-----BEGIN (CERTIFICATE|PUBLIC KEY)-----(.*?)-----END \1-----", re.DOTALL)
UNREADABLE = "unreadable"
"""The fingerprint of a key that we cannot read: it equals no key of ours."""

Found = Mapping[str, Any]


def jwt_provider(found: Found) -> JwtProvider:
    """Read a provider of protocol jwtAuth (Qlik: it holds one key)."""
    options = found.get("options")
    keys = options.get("staticKeys") if isinstance(options, dict) else None
    key = keys[0] if isinstance(keys, list) and keys and isinstance(keys[0], dict) else {}
    fingerprint, ends = _public_key(str(key.get("pem", "")))
    tolerance = found.get("clockToleranceSec")
    return JwtProvider(
        issuer=str(options.get("issuer", "")) if isinstance(options, dict) else "",
        key_id=str(key.get("kid", "")),
        is_active=found.get("active") is not False,
        fingerprint=fingerprint,
        tolerance_s=float(tolerance) if isinstance(tolerance, int | float) else 0.0,
        certificate_ends=ends,
    )


def _public_key(pem: str) -> tuple[str, float | None]:
    """Return the fingerprint and the end of a certificate or bare key, with or without line ends in it."""
    match = PEM.search(pem)
    try:
        der = base64.b64decode("".join(match[2].split()), validate=True) if match else b""
        if match and match[1] == "CERTIFICATE":
            certificate = x509.load_der_x509_certificate(der)
            return key_fingerprint(certificate.public_key()), certificate.not_valid_after_utc.timestamp()
        return key_fingerprint(load_der_public_key(der)), None
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return UNREADABLE, None


def client_facts(found: Found) -> ClientFacts:
    connection = found.get("connectionConfig")
    return ClientFacts(
        id=str(found.get("clientId", "")),
        name=str(found.get("clientName", "")),
        grants=texts("client", found, "allowedGrantTypes"),
        scopes=texts("client", found, "allowedScopes"),
        origins=texts("client", found, "allowedOrigins"),
        auth_methods=texts("client", found, "allowedAuthMethods"),
        consent=str(connection.get("consentMethod", "")).lower() if isinstance(connection, dict) else "",
        is_published=bool(found.get("publishedAt")),
        is_disabled=bool(found.get("disableTag") or found.get("deletedAt")),
        secrets=tuple(_secrets(found.get("clientSecrets"))),
        keys=dict(_keys(found.get("publicKeys"))),
    )


def _secrets(listed: object) -> Iterator[ClientSecret]:
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict):
            yield ClientSecret(str(each.get("hint", "")), _moment(each.get("createdAt")))


def _keys(listed: object) -> Iterator[tuple[str, str]]:
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict):
            yield str(each.get("kid", "")), _jwk_fingerprint(each)


def _jwk_fingerprint(jwk: Found) -> str:
    try:
        return key_fingerprint(_jwk_key(jwk))
    except (KeyError, TypeError, ValueError, binascii.Error):
        return UNREADABLE


def _jwk_key(jwk: Found) -> PublicKeyTypes:
    """Return the key of a JWK (Qlik: RSA, or EC on P-384)."""
    if jwk["kty"] == "RSA":
        return RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
    return EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), SECP384R1()).public_key()


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def group_settings(found: Found) -> GroupSettings:
    auto_create, sync_idp = found.get("autoCreateGroups"), found.get("syncIdpGroups")
    if not isinstance(auto_create, bool):
        raise TenantGarbled(detail="group settings: no autoCreateGroups")
    return GroupSettings(auto_create, sync_idp if isinstance(sync_idp, bool) else None)


def csp_entry(found: Found) -> CspEntry:
    return CspEntry(str(found.get("origin", "")), found.get("frameAncestors") is True)


def texts(call: str, found: Found, name: str) -> frozenset[str]:
    """Return a list of texts; one that is not there is empty."""
    listed = found.get(name) or []
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise TenantGarbled(detail=f"{call}: {name} is not a list of texts")
    return frozenset(listed)


def _moment(text: object) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None
