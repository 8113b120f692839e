"""Every choice where Qlik's documentation is silent, as a named switch with its most defensible default."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any


def choice(default: int | str, *others: int | str, why: str) -> Any:  # noqa: ANN401 - a dataclass field has no other type
    return field(default=default, metadata={"allowed": [default, *others], "why": why})


def number(default: int, low: int, high: int, why: str) -> Any:  # noqa: ANN401 - a dataclass field has no other type
    return field(default=default, metadata={"low": low, "high": high, "why": why})


@dataclass(frozen=True)
class Switches:
    """One frozen set of choices; `POST /_sandbox/switches` replaces it."""

    # POST /login/jwt-session
    missing_claim_status: int = choice(400, 401, why="Status when a required JWT claim is missing.")
    claim_rule_status: int = choice(400, 401, why="Status when a claim breaks a rule (aud, subType, window, type).")
    replayed_jti_status: int = choice(401, 400, why="Status when a jti is used a second time.")
    jwt_refused_status: int = choice(401, 400, why="Status for a wrong issuer, kid, signature or time.")
    jwt_claims: str = choice("strict", "lax", why="Lax asks for iss, aud, sub, name and exp alone.")
    numeric_jti: str = choice("accept", "refuse", why="Whether a jti may be a JSON number.")
    jwt_algorithms: str = choice("rs256", "asymmetric", why="Signature algorithms that a login JWT may use.")
    clock_tolerance_s: int = number(0, 0, 3600, why="Clock tolerance of identity providers that name none.")
    csrf_cookie: str = choice("readable", "httponly", why="Whether page scripts can read the _csrfToken cookies.")
    session_inactivity_min: int = number(60, 1, 525600, why="Minutes without a call after which a session ends.")
    session_lifespan_min: int = number(1440, 1, 525600, why="Minutes after which any session ends.")
    session_signature: str = choice("required", "ignored", why="Whether eas.sid counts only with its eas.sid.sig.")
    disabled_login_status: int = choice(403, 401, why="Status of a JWT login by a disabled user.")
    invited_login: str = choice("activate", "refuse", why="What a JWT login does to an invited user.")
    absent_groups: str = choice("leave", "clear", why="What a JWT without a groups claim does to memberships.")
    groups_without_autocreate: str = choice(
        "link", "ignore", why="With autoCreateGroups off: link groups that exist, or ignore the claim."
    )
    later_login_profile: str = choice("update", "keep", why="Whether a later login changes name and email.")
    subject_across_idps: str = choice(
        "same", "separate", why="Whether one subject from two JWT identity providers is one user."
    )
    max_jwt_bytes: int = number(8192, 0, 1_000_000, why="Longest login JWT before a 431; 0 means no limit.")

    # OAuth
    impersonate_unknown_status: int = choice(401, 400, 403, 404, why="Status for impersonating an unknown user.")
    impersonate_invited: str = choice("allow", "refuse", why="Whether a user who never logged in is impersonable.")
    foreign_scope_status: int = choice(400, 401, 403, why="Status when a scope is not on the client.")
    grant_not_enabled_status: int = choice(400, 401, why="Status when the grant is not enabled on the client.")
    consent_required_status: int = choice(403, 400, why="Status when the client's consent is not trusted.")
    wrong_secret_status: int = choice(401, 400, why="Status for a wrong client secret.")
    unknown_client_status: int = choice(400, 401, why="Status for an unknown client id.")
    bad_origin_status: int = choice(400, 401, 403, why="Status of OAUTH-29 in a token exchange.")
    max_tokens_per_user: int = number(0, 0, 100_000, why="Live access tokens a user may have; 0 means no limit.")
    access_token_s: int = number(21600, 1, 86400, why="Seconds that an access token lives.")
    exchanged_token_s: int = number(60, 1, 21600, why="Seconds that an exchanged token lives.")
    token_response: str = choice(
        "full", "no_expires_in", "no_expires_at", why="Which expiry fields a token answer carries."
    )
    tokens_of_disabled: str = choice("die", "live", why="What happens to the tokens of a user who gets disabled.")
    tokens_of_rotated_secret: str = choice("live", "die", why="What happens to tokens when a secret is rotated.")
    revoke_client_auth: str = choice("none", "required", why="Whether /oauth/revoke asks for client credentials.")
    revoke_unknown_status: int = choice(200, 400, why="Status for revoking an unknown token.")

    # Engine
    group_mode: int = choice(0, 1, 2, why="Groups that Section Access uses: idp (0), custom (1) or both (2).")
    default_session: str = choice(
        "shared", "own", why="Whether a person's websockets to one app share a session unless they name an identity."
    )
    webresource_opens_engine: str = choice(
        "yes", "no", why="Whether a token exchanged for web resources opens the engine, as a frame needs it."
    )

    # Limits
    tier1_per_minute: int = number(1000, 1, 1_000_000, why="Tier 1 calls a minute.")
    tier2_per_minute: int = number(100, 1, 1_000_000, why="Tier 2 calls a minute.")
    special_per_minute: int = number(200, 1, 1_000_000, why="Calls a minute of users and groups actions/filter.")
    audits_per_minute: int = number(1000, 1, 1_000_000, why="Calls a minute of audits.")
    tier_window_s: int = number(300, 1, 3600, why="Sliding window; its budget is the limit a minute times its length.")
    rate_identity: str = choice(
        "separate", "shared", why="Login counts by address and tokens by client, or all unsigned calls together."
    )
    tenant_rate_limit: str = choice("on", "off", why="Whether the limit of all users together holds as well.")
    failed_requests_count: str = choice("yes", "no", why="Whether refused requests use up the limit.")

    # Browsers
    bearer_cors: str = choice("listed", "any", why="Which origins may read answers to Bearer calls.")
    cors_allow_headers: str = choice("listed", "requested", why="Allow the documented headers, or whatever is asked.")
    csrf_error_body: str = choice("both", "top_level", "errors", why="Where CSRF-TOKEN-2 stands in the body.")
    framed_login: str = choice(
        "shown", "refused", why="Whether the sign-in page shows in frames of listed sites, or in no frame."
    )
    logout_answer: str = choice("redirect", "no_content", why="How /logout answers.")

    # REST
    me_redirect: str = choice("relative", "absolute", "none", why="How /users/me and /tenants/me redirect.")
    everyone_group: str = choice(
        "hidden", "idp", "untyped", why="How com.qlik.Everyone stands in a user's assignedGroups."
    )
    users_post_active: str = choice("accept", "refuse", why="Whether POST /users takes status active.")
    users_post_status: str = choice("invited", "active", why="Status of a user created without one.")
    idp_groups_patch: str = choice("refuse", "allow", why="Whether PATCH assignedGroups may name idp groups.")
    assigned_groups_replace: str = choice("custom", "all", why="Which memberships a replace takes away.")
    audit_exchange_grant: str = choice(
        "token-exchange",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        why="How audits call the grant of a token exchange.",
    )
    partial_patch: int = choice(207, 400, why="A PATCH that fails in part: keep the rest (207), or nothing (400).")


class BadSwitch(ValueError):
    """An unknown switch or value; the message lists what is allowed."""


def changed(switches: Switches, wanted: dict[str, object]) -> Switches:
    """Return the switches with `wanted` applied, all or nothing."""
    known = {entry.name: entry for entry in fields(Switches)}
    for name, value in wanted.items():
        if name not in known:
            raise BadSwitch(f"unknown switch {name!r}; there are: {', '.join(sorted(known))}")
        if not _allows(known[name].metadata, value):
            raise BadSwitch(f"{name} cannot be {value!r}; allowed: {_allowed(known[name].metadata)}")
    return replace(switches, **wanted)  # type: ignore[arg-type]  # each value was just checked against its field


def listing(switches: Switches) -> list[dict[str, object]]:
    return [
        {
            "name": entry.name,
            "value": getattr(switches, entry.name),
            "default": None if entry.default is MISSING else entry.default,
            "allowed": _allowed(entry.metadata),
            "what": entry.metadata["why"],
        }
        for entry in fields(switches)
    ]


def _allows(rule: Any, value: object) -> bool:  # noqa: ANN401 - a dataclass's metadata is untyped
    if isinstance(value, bool):
        return False
    if "allowed" in rule:
        return value in rule["allowed"]
    return isinstance(value, int) and bool(rule["low"] <= value <= rule["high"])


def _allowed(rule: Any) -> object:  # noqa: ANN401 - a dataclass's metadata is untyped
    return rule["allowed"] if "allowed" in rule else {"from": rule["low"], "to": rule["high"]}
