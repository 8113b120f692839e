"""The rules for the JWT that `/login/jwt-session` takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import jwt

from bridge.sandbox.errors import ApiError

if TYPE_CHECKING:
    from bridge.sandbox.state import IdentityProvider
    from bridge.sandbox.tenant import Tenant

AUDIENCE = "qlik.api/login/jwt-session"
MAX_WINDOW_S = 3600
FAR_FUTURE = 10**12
STRICT = ("iss", "aud", "sub", "subType", "name", "email", "email_verified", "jti", "iat", "nbf", "exp")
LAX = ("iss", "aud", "sub", "name", "exp")
TEXTS = ("iss", "aud", "sub", "subType", "name", "email")
TIMES = ("iat", "nbf", "exp")
ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]

PYJWT_CHECKS = ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti")

Claims = dict[str, Any]


def verify(tenant: Tenant, token: str) -> tuple[IdentityProvider, Claims]:
    """Return the provider and the claims, or refuse. Checks run from trust to rules to time to replay."""
    provider = find_provider(tenant, token)
    claims = check_signature(tenant, token, provider)
    check_claims(tenant, claims)
    tolerance = provider.clock_tolerance_s
    if tolerance is None:
        tolerance = tenant.switches.clock_tolerance_s
    check_times(tenant, claims, tolerance)
    use_jti_once(tenant, provider, claims, tolerance)
    return provider, claims


def unverified(token: str) -> tuple[dict[str, Any], Claims]:
    """Read header and claims of a JWT without trusting either."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return {}, {}
    return parts["header"], parts["payload"]


def find_provider(tenant: Tenant, token: str) -> IdentityProvider:
    header, claims = unverified(token)
    wanted = (claims.get("iss"), header.get("kid"))
    for provider in tenant.identity_providers:
        if provider.active and (provider.issuer, provider.kid) == wanted:
            return provider
    raise _refused(tenant, "LOGIN-901", "No JWT identity provider has this iss and kid")


def check_signature(tenant: Tenant, token: str, provider: IdentityProvider) -> Claims:
    algorithms = ["RS256"] if tenant.switches.jwt_algorithms == "rs256" else ASYMMETRIC
    # Only the signature: PyJWT's claim checks know neither Qlik's rules nor this tenant's clock.
    only = {"verify_signature": True} | dict.fromkeys(PYJWT_CHECKS, False)
    try:
        return jwt.decode(token, provider.public_key, algorithms=algorithms, options=only)  # type: ignore[arg-type,unused-ignore]
    except jwt.PyJWTError:
        raise _refused(tenant, "LOGIN-902", "The signature does not verify") from None


def check_claims(tenant: Tenant, claims: Claims) -> None:
    switches = tenant.switches
    for name in STRICT if switches.jwt_claims == "strict" else LAX:
        if name not in claims:
            raise _invalid(switches.missing_claim_status, f"Missing required claim: {name}")
    for problem in _broken_rules(claims, numeric_jti=switches.numeric_jti == "accept"):
        raise _invalid(switches.claim_rule_status, problem)


def check_times(tenant: Tenant, claims: Claims, tolerance: int) -> None:
    now = tenant.now()
    if now > claims["exp"] + tolerance:
        raise _refused(tenant, "LOGIN-903", "The token is expired")
    if now < claims.get("nbf", 0) - tolerance:
        raise _refused(tenant, "LOGIN-904", "The token is not valid yet")


def use_jti_once(tenant: Tenant, provider: IdentityProvider, claims: Claims, tolerance: int) -> None:
    """Remember each jti until its JWT is expired anyway, per provider."""
    if "jti" not in claims:
        return
    seen, now = tenant.memory.seen_jtis, tenant.now()
    key = (provider.id, str(claims["jti"]))
    if seen.get(key, 0) >= now:
        raise ApiError(tenant.switches.replayed_jti_status, "LOGIN-905", "Unauthorized", "The jti was used before")
    if len(seen) % 1000 == 999:  # noqa: PLR2004 - tidy up now and then, not at each login
        for old in [entry for entry, until in seen.items() if until < now]:
            del seen[old]
    seen[key] = claims["exp"] + tolerance


def _broken_rules(claims: Claims, *, numeric_jti: bool) -> list[str]:
    """Say what is wrong with the claims that are there, the most basic fault first."""
    rules = [f"Claim {name} must be a string" for name in TEXTS if not isinstance(claims.get(name, ""), str)]
    rules += [f"Claim {name} must be a number" for name in TIMES if not _is_number(claims.get(name, 0))]
    if rules:
        return rules
    window = claims["exp"] - claims.get("nbf", claims.get("iat", claims["exp"]))
    broken = {
        "Claim sub must not be empty": not claims["sub"],
        f"Claim aud must be {AUDIENCE}": claims["aud"] != AUDIENCE,
        "Claim subType must be user": claims.get("subType", "user") != "user",
        "Claim email_verified must be a boolean": not isinstance(claims.get("email_verified", True), bool),
        "Claim jti must be a string": not _is_jti(claims.get("jti", ""), numeric=numeric_jti),
        "Claim groups must be a list of names": not _is_names(claims.get("groups", [])),
        f"exp - nbf must not exceed {MAX_WINDOW_S} s": window > MAX_WINDOW_S,
    }
    return [rule for rule, is_broken in broken.items() if is_broken]


def _is_number(value: object) -> bool:
    # The bound also refuses NaN and infinity, which Python's JSON lets through.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < FAR_FUTURE


def _is_jti(value: object, *, numeric: bool) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, str) or (numeric and is_number)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _invalid(status: int, problem: str) -> ApiError:
    """Qlik answers a missing claim with 400 INTERNAL-TOKEN-1, although its reference lists only 401."""
    return ApiError(status, "INTERNAL-TOKEN-1", "Invalid token request", f"JWT_LOGIN_VALIDATIONS {problem}")


def _refused(tenant: Tenant, code: str, detail: str) -> ApiError:
    return ApiError(tenant.switches.jwt_refused_status, code, "Unauthorized", detail)
