"""Who is asking: a session, a signed assertion, or a trusted proxy's headers. Never a body or a query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NewType, NoReturn

import jwt
from flask import Response, request
from jwt.exceptions import InvalidJTIError, InvalidSubjectError

from bridge import deadline
from bridge.errors import NotAllowed, NotSignedIn
from bridge.model import Identity, TenantState
from bridge.services import operators, sessions
from bridge.settings import Settings
from bridge.telemetry import Step, timed
from bridge.web import cookies, csrf, current
from bridge.web.proxies import client_address, named_by_proxy
from bridge.web.subjects import checked_string, subject_of

ASSERTION = "assertion"
LEEWAY_S = 30
"""How far clocks may differ. The ledger remembers a used assertion that much longer, so no replay slips through."""
MAX_LIFE_S = 300
SIGN_OUTS = 10
"""How many in a minute use up a person's requests."""
SIGN_OUT_S = 8.0
"""How long signing out may wait for all tenants together: as long as for one call."""
REQUIRED = ("iss", "aud", "sub", "name", "email", "groups", "tenant", "iat", "exp", "jti")
LATEST = 2**35
"""No clock of ours gets here; larger numbers are mistakes."""
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
DEFAULT_ALGORITHMS: Mapping[object, str] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("EC", "P-521"): "ES512",
    ("OKP", "Ed25519"): "EdDSA",
}

Claims = NewType("Claims", Mapping[str, Any])
"""Claims of an assertion that was signed for us; times and contents are checked after that."""

REASONS = (
    (jwt.InvalidAudienceError, "wrong audience; its aud must be the address of this bridge"),
    (jwt.InvalidIssuerError, "wrong issuer"),
    (jwt.InvalidAlgorithmError, "its algorithm is not that of its key"),
    (jwt.InvalidSignatureError, "bad signature"),
    (InvalidSubjectError, "sub is not a string"),
    (InvalidJTIError, "jti is not a string"),
    (jwt.InvalidKeyError, "its key cannot be used"),
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `anchor` is what their CSRF tokens hang on; `by_bearer` callers need none."""

    identity: Identity
    anchor: str
    by_bearer: bool

    def check_csrf(self) -> None:
        """Raise BadCsrf unless the request carries a bearer, which no browser adds by itself, or the right token."""
        if not self.by_bearer:
            csrf.check(self.anchor)


def caller() -> Caller:
    """Return who asks. Raises NotSignedIn, also where a bearer is wrong beside a good cookie."""
    with timed(Step.SESSION):
        if (value := bearer()) is not None:
            return _by_bearer(value)
        found = _by_proxy() or by_cookie()  # a proxy's live word counts more than a cookie that somebody left behind
        if found is None:
            raise NotSignedIn
        return found


def admitted(state: TenantState) -> Caller:
    """Return who asks. Raises NotSignedIn, or NotAllowed when the tenant does not admit them."""
    found = caller()
    current.note_person(found.identity)
    admit(state, found.identity)
    return found


def admit(state: TenantState, identity: Identity) -> None:
    """Raise NotAllowed before anything is asked of a tenant that does not admit this person, TooMany for too often."""
    check(state, identity)
    current.allowances().subjects.spend(person_at(state, identity))


def check(state: TenantState, identity: Identity) -> None:
    """Raise NotAllowed where the tenant does not admit this person."""
    if identity.tenant not in {None, state.tenant.slug}:
        raise NotAllowed("You are signed in for another tenant. Use an assertion that names this one.")
    if not state.tenant.admits_identity(identity):
        raise NotAllowed


def person_at(state: TenantState, identity: Identity) -> tuple[str, ...]:
    return state.tenant.slug, identity.source, identity.issuer, identity.subject.sub


def bearer() -> str | None:
    """Return the value behind `Authorization: Bearer`, None without one."""
    return bearer_in(request.headers.get("Authorization", ""))


def bearer_in(authorization: str) -> str | None:
    scheme, _, value = authorization.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


@timed(Step.SESSION)
def asserted() -> Identity:
    """Return the person of the assertion that the request carries, and use it up. Raises NotSignedIn."""
    value = bearer()
    if not value or value.startswith((sessions.PREFIX, operators.PREFIX)):
        raise NotSignedIn("Send an assertion as `Authorization: Bearer` to open a session.")
    return _from_assertion(value)


def _by_bearer(value: str) -> Caller:
    if value.startswith(operators.PREFIX):
        raise NotSignedIn("An operator token opens the operator API alone. Sign in as a person.")
    if not value.startswith(sessions.PREFIX):
        return Caller(_from_assertion(value), "", by_bearer=True)
    found = by_session(value, by_bearer=True, is_use=not is_quiet())
    if found is None:
        raise NotSignedIn("The session has ended or is not known. Open a new one.")
    return found


def by_cookie() -> Caller | None:
    """Return whose session the browser's cookie names, whatever else the request says."""
    value = cookies.session_value()
    return by_session(value, by_bearer=False, is_use=not is_quiet()) if value else None


def is_quiet() -> bool:
    """Tell whether an open page looks for news by itself: maybe nobody is there, so it keeps no session alive."""
    return request.method == "GET" and "quiet" in request.args


def end_session(answer: Response) -> None:
    """End the session by which the request came: a bearer's, or the cookie's."""
    if value := bearer():
        current.bridge().sessions.end(value)
    else:
        cookies.end_session(answer)


def sign_out(caller: Caller, answer: Response) -> None:
    """End the session here and the person's tokens at the tenants: a token outlives any cookie."""
    end_session(answer)
    end_tokens(current.tenants_for(caller.identity), caller.identity)


def end_tokens(states: Sequence[TenantState], identity: Identity) -> None:
    """End the person's tokens: all of them here, then at each tenant, of which none uses up the time of the next.

    The next token costs calls that all share, so each tenant with one to end counts as many requests.
    """
    broker, sub = current.bridge().broker, identity.subject.sub
    doomed = [(state, broker.doom(tenant=state.tenant.slug, sub=sub)) for state in states]
    wanted = [(state, tokens) for state, tokens in doomed if tokens]
    with deadline.within(SIGN_OUT_S):
        for done, (state, tokens) in enumerate(wanted):
            with deadline.within(deadline.left_s() / (len(wanted) - done)):
                broker.end(tokens)
            current.allowances().subjects.charge(person_at(state, identity), SIGN_OUTS)


def by_session(value: str, *, by_bearer: bool, is_use: bool) -> Caller | None:
    """Return whose session that is, if it lives and its way of signing in still counts."""
    bridge = current.bridge()
    session = bridge.sessions.find(value, is_use=is_use)
    if session is None or not _still_counts(bridge.settings, session.identity):
        return None
    return Caller(session.identity, session.id_hash, by_bearer=by_bearer)


def _still_counts(settings: Settings, identity: Identity) -> bool:
    """Tell whether people may still sign in as this one did: not if that way is off, or another service is asked."""
    is_other_service = identity.source == "oidc" and identity.issuer != settings.oidc_issuer
    return identity.source in settings.identity and not is_other_service


def _by_proxy() -> Caller | None:
    bridge = current.bridge()
    identity = named_by_proxy(bridge.settings, bridge.clock())
    return Caller(identity, f"header:{identity.subject.sub}", by_bearer=False) if identity else None


# --- assertions ------------------------------------------------------------------------------------------


def _from_assertion(value: str) -> Identity:
    """Return the person that an assertion vouches for, and use it up.

    Raises NotSignedIn, SignInUnavailable, TooMany, StoreError.
    """
    with current.allowances().for_proof(client_address(current.bridge().settings)):
        return _vouched(value)


def _vouched(value: str) -> Identity:
    bridge = current.bridge()
    if ASSERTION not in bridge.settings.identity:
        _refuse("assertions are not switched on here")
    claims = _verified(value)
    issued_at, until = _checked_times(claims, bridge.clock())
    try:
        subject = subject_of(**{name: claims[name] for name in ("sub", "name", "email", "groups")})
        tenant, jti = checked_string(claims["tenant"], "tenant"), checked_string(claims["jti"], "jti")
    except ValueError as problem:
        _refuse(str(problem))
    issuer = str(claims["iss"])
    if not bridge.ledger.claim(issuer, jti, until, now=bridge.clock()):
        _refuse("it was used before; make a new one for each request")
    return Identity(subject, ASSERTION, issuer, issued_at, tenant)


def _verified(value: str) -> Claims:
    """Return the claims once signature, issuer and audience hold; times go by the clock that we were given."""
    settings = current.bridge().settings
    key = _key(value)
    try:
        claims = jwt.decode(
            value,
            key,
            algorithms=[key.algorithm_name],
            audience=settings.public_url,
            issuer=settings.assertion_issuer,
            options={
                "require": list(REQUIRED),
                "verify_signature": True,
                "enforce_minimum_key_length": True,
                "verify_aud": True,
                "strict_aud": False,
                "verify_iss": True,
                "verify_sub": True,
                "verify_jti": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        _refuse(_reason(error))
    return Claims(claims)


def _key(value: str) -> jwt.PyJWK:
    """Return the key that the assertion names, bound to its own algorithm: the assertion has no say in that."""
    keys = current.bridge().assertion_keys
    try:
        key_id = jwt.get_unverified_header(value).get("kid")
    except jwt.PyJWTError as error:
        _refuse(_reason(error))
    if not key_id:
        _refuse("its header has no kid")
    jwk = keys.find(key_id) if keys else None
    if jwk is None:
        _refuse("its kid is not among the portal's keys")
    try:
        return jwt.PyJWK(dict(jwk), _algorithm(jwk))
    except jwt.PyJWTError as error:
        _refuse(_reason(error))


def _algorithm(jwk: Mapping[str, Any]) -> str:
    curve = None if jwk.get("kty") == "RSA" else jwk.get("crv")
    algorithm = jwk.get("alg") or DEFAULT_ALGORITHMS.get((jwk.get("kty"), curve))
    if algorithm not in ALGORITHMS:
        _refuse("its key is not of a kind that is accepted")
    return str(algorithm)


def _checked_times(claims: Claims, now: float) -> tuple[float, float]:
    """Return when the assertion was made, and until when it must be remembered as used."""
    issued_at, expires_at = _time(claims, "iat"), _time(claims, "exp")
    not_before = _time(claims, "nbf") if "nbf" in claims else issued_at
    if expires_at - issued_at > MAX_LIFE_S:
        _refuse(f"its lifetime is over {MAX_LIFE_S // 60} minutes")
    if expires_at <= now - LEEWAY_S:
        _refuse("it has expired")
    if max(issued_at, not_before) > now + LEEWAY_S:
        _refuse("it is not yet valid; compare the clocks")
    return issued_at, expires_at + LEEWAY_S


def _time(claims: Claims, name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        _refuse(f"{name} is not a time in unix seconds")
    return float(value)


def _reason(error: Exception) -> str:
    """Say what is wrong without quoting anything of the assertion."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the claim {error.claim} is missing"
    return next((reason for kind, reason in REASONS if isinstance(error, kind)), "it is not a signed JWT")


def _refuse(problem: str) -> NoReturn:
    raise NotSignedIn(f"The assertion is not valid: {problem}.") from None
