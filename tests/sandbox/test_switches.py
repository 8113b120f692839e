"""Every switch has an effect and is documented."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from bridge.sandbox import auth, sockets
from bridge.sandbox.errors import ApiError
from bridge.sandbox.switches import Switches
from sandbox.kit import ACCESS_TOKEN, EXCHANGE, IMPERSONATION, ORIGIN, PORTAL, group_names, with_cookies

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse

    from sandbox.kit import Sandbox

    Probe = Callable[[Sandbox], object]

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sandbox.md"
COUNT = "/api/v1/users/actions/count"
ME = "/api/v1/users/me"


def login(acme: Sandbox, **claims: Any) -> int:  # noqa: ANN401 - claims are JSON
    return acme.post_login(acme.sign(acme.claims(**claims))).status_code


def login_twice(acme: Sandbox) -> int:
    token = acme.sign(acme.claims())
    acme.post_login(token)
    return acme.post_login(token).status_code


def login_rs512(acme: Sandbox) -> int:
    return acme.post_login(acme.sign(acme.claims(), algorithm="RS512")).status_code


def login_late(acme: Sandbox) -> int:
    now = int(time.time())
    return login(acme, nbf=now - 90, exp=now - 60)


def csrf_cookie(acme: Sandbox) -> bool:
    return "HttpOnly" in acme.post_login(acme.sign(acme.claims())).headers.getlist("Set-Cookie")[2]


def session_after(minutes: int) -> Probe:
    def probe(acme: Sandbox) -> int:
        cookies = with_cookies(acme.login())
        for minute in range(0, minutes + 1, 50):
            acme.clock(minute * 60)
            status = acme.call("GET", ME, headers=cookies).status_code
        return status

    return probe


def idle(acme: Sandbox) -> int:
    cookies = with_cookies(acme.login())
    acme.clock(90 * 60)
    return acme.call("GET", ME, headers=cookies).status_code


def unsigned_session(acme: Sandbox) -> int:
    cookies = {"eas.sid": acme.login()["eas.sid"]}
    return acme.call("GET", ME, headers=with_cookies(cookies)).status_code


def invite(acme: Sandbox, **fields: object) -> TestResponse:
    return acme.api("POST", "/api/v1/users", json={"subject": "fred", **fields})


def invited_login(acme: Sandbox) -> int:
    invite(acme)
    return login(acme, subject="fred")


def groups_after(**claims: Any) -> Probe:  # noqa: ANN401 - claims are JSON
    def probe(acme: Sandbox) -> object:
        token = acme.token("alice")
        acme.tenant.memory.auto_create_groups = False
        acme.login("alice", **claims)
        return group_names(acme.me(token))

    return probe


def later_name(acme: Sandbox) -> object:
    token = acme.token("alice")
    acme.login("alice", name="Other")
    return acme.me(token)["name"]


def users_of_two_providers(acme: Sandbox) -> int:
    acme.login("alice")
    sync = acme.tenant.identity_providers[1].issuer
    acme.post_login(acme.sign(acme.claims("alice", iss=sync), provider=1))
    return sum(user.subject == "alice" for user in acme.tenant.users())


def impersonate_invited(acme: Sandbox) -> int:
    invite(acme)
    return acme.impersonate("fred").status_code


def untrusted(acme: Sandbox) -> int:
    acme.issuing.consent_method = "required"
    return acme.impersonate("alice").status_code


def wrong_secret(acme: Sandbox) -> int:
    return acme.post_token(IMPERSONATION, acme.issuing, client_secret="x").status_code


def unknown_client(acme: Sandbox) -> int:
    return acme.post_token(IMPERSONATION, acme.issuing, client_id="x").status_code


def exchange(acme: Sandbox, origin: str, purpose: str = "websocket") -> TestResponse:
    fields = {"grant_type": EXCHANGE, "client_id": acme.issuing.client_id, "subject_token": acme.token("alice")}
    fields |= {"subject_token_type": ACCESS_TOKEN, "purpose": purpose}
    return acme.call("POST", "/oauth/token", json=fields, headers={"Origin": origin})


def second_token(acme: Sandbox) -> int:
    acme.token("alice")
    return acme.impersonate("alice").status_code


def token_fields(acme: Sandbox) -> object:
    acme.login("alice")
    return sorted(name for name in acme.impersonate("alice").json or {} if name.startswith("expires"))


def lifetime(acme: Sandbox) -> object:
    acme.login("alice")
    return (acme.impersonate("alice").json or {})["expires_in"]


def token_of_disabled(acme: Sandbox) -> int:
    token = acme.token("alice")
    acme.call("PATCH", "/_sandbox/people/alice", json={"disabled": True})
    return acme.api("GET", ME, token).status_code


def token_of_rotated(acme: Sandbox) -> int:
    token = acme.token("alice")
    acme.call("POST", f"/_sandbox/clients/{acme.issuing.client_id}/secret")
    return acme.api("GET", ME, token).status_code


def revoke(acme: Sandbox) -> int:
    return acme.call("POST", "/oauth/revoke", json={"token": "x"}).status_code


def reads_until_429(acme: Sandbox) -> int:
    token = acme.token("alice")
    for number in range(40):
        if acme.api("GET", COUNT, token).status_code == 429:
            return number
    return 40


def logins_until_429(acme: Sandbox) -> int:
    return next((number for number in range(15) if login(acme) == 429), 15)


def filters_until_429(acme: Sandbox) -> int:
    sent = {"filter": 'name eq "x"'}
    acme.admin()
    path = "/api/v1/users/actions/filter"
    return next((n for n in range(40) if acme.api("POST", path, json=sent).status_code == 429), 40)


def audits_until_429(acme: Sandbox) -> int:
    acme.admin()
    return next((n for n in range(40) if acme.api("GET", "/api/v1/audits").status_code == 429), 40)


def audited_exchange(acme: Sandbox) -> object:
    exchange(acme, PORTAL)
    events = (acme.api("GET", "/api/v1/audits").json or {})["data"]
    return next(grant for event in events if (grant := event["data"].get("grantType", "")).endswith("token-exchange"))


def shared_budget(acme: Sandbox) -> list[int]:
    return [login(acme), acme.impersonate("alice").status_code]


def tenant_budget(acme: Sandbox) -> int:
    tokens = [acme.token(name) for name in ("alice", "bob", "carol")]
    acme.switch(tier1_per_minute=4, tier_window_s=60)
    return [acme.api("GET", COUNT, token).status_code for token in tokens * 5].count(200)


def failures_counted(acme: Sandbox) -> int:
    acme.switch(tier2_per_minute=2, tier_window_s=60)
    return [login(acme, aud="x") for _ in range(4)].count(429)


def foreign_cors(acme: Sandbox) -> str | None:
    headers = {"Origin": "https://other.example", "Authorization": "Bearer x"}
    return acme.call("GET", COUNT, headers=headers).headers.get("Access-Control-Allow-Origin")


def preflight(acme: Sandbox) -> bool:
    headers = {"Origin": PORTAL, "Access-Control-Request-Headers": "x-other"}
    return "x-other" in acme.call("OPTIONS", COUNT, headers=headers).headers["Access-Control-Allow-Headers"]


def csrf_body(acme: Sandbox) -> object:
    answer = acme.call("POST", "/api/v1/spaces", json={}, headers=with_cookies(acme.login()))
    return [name for name in ("code", "errors") if name in (answer.json or {})]


def me_location(acme: Sandbox) -> object:
    answer = acme.api("GET", ME, acme.token("alice"))
    return (answer.status_code, answer.headers.get("Location", "").startswith(ORIGIN))


def everyone(acme: Sandbox) -> object:
    groups = acme.me(acme.token("carol"))["assignedGroups"]
    return [group.get("providerType", "untyped") for group in groups if group["name"] == "com.qlik.Everyone"]


def patch_groups(acme: Sandbox, *operations: dict[str, Any]) -> tuple[int, list[str]]:
    token = acme.token("alice")
    acme.api("POST", "/api/v1/groups", json={"name": "Custom", "providerType": "custom"})
    answer = acme.api("PATCH", f"/api/v1/users/{acme.me(token)['id']}", json=list(operations))
    return answer.status_code, group_names(acme.me(token))


def replace_groups(name: str, kind: str) -> dict[str, Any]:
    return {"op": "replace", "path": "/assignedGroups", "value": [{"name": name, "providerType": kind}]}


def grant(acme: Sandbox) -> int:
    return acme.post_token("client_credentials", acme.issuing).status_code


def foreign_scope(acme: Sandbox) -> int:
    return acme.post_token(IMPERSONATION, acme.issuing, scope="admin_classic").status_code


def exchanged_lifetime(acme: Sandbox) -> object:
    return (exchange(acme, PORTAL).json or {})["expires_in"]


def section_access_groups(acme: Sandbox) -> list[str]:
    patch_groups(acme, replace_groups("Custom", "custom"))
    user = acme.tenant.user_by_subject("alice")
    assert user is not None
    return sorted(sockets.group_names(acme.tenant, user.id))


def sessions_of_two_websockets(acme: Sandbox) -> int:
    return len({sockets.session_name(acme.tenant, "") for _ in range(2)})


def open_with_webresource(acme: Sandbox) -> bool:
    token = (exchange(acme, PORTAL, purpose="webresource").json or {})["access_token"]
    with acme.http.application.test_request_context(f"/app/x?accessToken={token}"):
        try:
            return auth.identify_websocket().user.subject == "alice"
        except ApiError:
            return False


ALL = ["EMEA", "Finance"]
BAD_OPERATION = {"op": "replace", "path": "/x", "value": "x"}


# switch: (its other value, how to look, what is seen by default, what is seen then)
def login_framing(acme: Sandbox) -> object:
    return acme.call("GET", "/login").headers["Content-Security-Policy"]


PROBES: dict[str, tuple[int | str, Probe, object, object]] = {
    "missing_claim_status": (401, lambda a: login(a, jti=None), 400, 401),
    "claim_rule_status": (401, lambda a: login(a, aud="x"), 400, 401),
    "replayed_jti_status": (400, login_twice, 401, 400),
    "jwt_refused_status": (400, lambda a: login(a, iss="x"), 401, 400),
    "jwt_claims": ("lax", lambda a: login(a, jti=None, nbf=None, subType=None, email=None), 400, 200),
    "numeric_jti": ("refuse", lambda a: login(a, jti=7), 200, 400),
    "jwt_algorithms": ("asymmetric", login_rs512, 401, 200),
    "clock_tolerance_s": (120, login_late, 401, 200),
    "csrf_cookie": ("httponly", csrf_cookie, False, True),
    "session_inactivity_min": (120, idle, 401, 301),
    "session_lifespan_min": (100, session_after(150), 301, 401),
    "session_signature": ("ignored", unsigned_session, 401, 301),
    "disabled_login_status": (401, lambda a: login(a, subject="dave"), 403, 401),
    "invited_login": ("refuse", invited_login, 200, 403),
    "absent_groups": ("clear", groups_after(groups=None), ALL, []),
    "groups_without_autocreate": ("ignore", groups_after(groups=["EMEA", "New"]), ["EMEA"], ALL),
    "later_login_profile": ("keep", later_name, "Other", "Alice"),
    "subject_across_idps": ("separate", users_of_two_providers, 1, 2),
    "max_jwt_bytes": (100, login, 200, 431),
    "impersonate_unknown_status": (404, lambda a: a.impersonate("nobody").status_code, 401, 404),
    "impersonate_invited": ("refuse", impersonate_invited, 200, 401),
    "foreign_scope_status": (403, foreign_scope, 400, 403),
    "grant_not_enabled_status": (401, grant, 400, 401),
    "consent_required_status": (400, untrusted, 403, 400),
    "wrong_secret_status": (400, wrong_secret, 401, 400),
    "unknown_client_status": (401, unknown_client, 400, 401),
    "bad_origin_status": (403, lambda a: exchange(a, "https://evil.example").status_code, 400, 403),
    "max_tokens_per_user": (1, second_token, 200, 403),
    "access_token_s": (60, lifetime, 21600, 60),
    "exchanged_token_s": (5, exchanged_lifetime, 60, 5),
    "token_response": ("no_expires_in", token_fields, ["expires_at", "expires_in"], ["expires_at"]),
    "tokens_of_disabled": ("live", token_of_disabled, 401, 301),
    "tokens_of_rotated_secret": ("die", token_of_rotated, 301, 401),
    "revoke_client_auth": ("required", revoke, 200, 400),
    "revoke_unknown_status": (400, revoke, 200, 400),
    "group_mode": (1, section_access_groups, ALL, ["Custom"]),
    "default_session": ("own", sessions_of_two_websockets, 1, 2),
    "webresource_opens_engine": ("no", open_with_webresource, True, False),
    "tier1_per_minute": (2, reads_until_429, 40, 10),
    "tier2_per_minute": (2, logins_until_429, 15, 10),
    "special_per_minute": (2, filters_until_429, 40, 10),
    "audits_per_minute": (2, audits_until_429, 40, 10),
    "tier_window_s": (1, logins_until_429, 15, 1),
    "rate_identity": ("shared", shared_budget, [200, 200], [200, 429]),
    "tenant_rate_limit": ("off", tenant_budget, 10, 12),
    "failed_requests_count": ("no", failures_counted, 2, 0),
    "bearer_cors": ("any", foreign_cors, None, "https://other.example"),
    "cors_allow_headers": ("requested", preflight, False, True),
    "csrf_error_body": ("errors", csrf_body, ["code", "errors"], ["errors"]),
    "framed_login": ("refused", login_framing, f"frame-ancestors 'self' {PORTAL}", "frame-ancestors 'none'"),
    "logout_answer": ("no_content", lambda a: a.call("GET", "/logout").status_code, 302, 204),
    "me_redirect": ("absolute", me_location, (301, False), (301, True)),
    "everyone_group": ("idp", everyone, [], ["idp"]),
    "users_post_active": ("refuse", lambda a: invite(a, status="active").status_code, 201, 400),
    "users_post_status": ("active", lambda a: (invite(a).json or {})["status"], "invited", "active"),
    "idp_groups_patch": ("allow", lambda a: patch_groups(a, replace_groups("EMEA", "idp"))[0], 400, 204),
    "assigned_groups_replace": (
        "all",
        lambda a: patch_groups(a, replace_groups("Custom", "custom"))[1],
        ["Custom", *ALL],
        ["Custom"],
    ),
    "audit_exchange_grant": (EXCHANGE, audited_exchange, "token-exchange", EXCHANGE),
    "partial_patch": (
        400,
        lambda a: patch_groups(a, replace_groups("Custom", "custom"), BAD_OPERATION),
        (207, ["Custom", *ALL]),
        (400, ALL),
    ),
}
# What a probe needs beside its own switch, in both of its runs.
SETTING: dict[str, dict[str, int | str]] = {
    "tier_window_s": {"tier2_per_minute": 60},
    "rate_identity": {"tier2_per_minute": 1, "tier_window_s": 60, "tenant_rate_limit": "off"},
}


@pytest.mark.parametrize("name", PROBES)
def test_a_switch_has_an_effect(acme: Sandbox, name: str) -> None:
    other, probe, by_default, then = PROBES[name]
    acme.switch(**SETTING.get(name, {}))
    assert probe(acme) == by_default
    acme.reset()
    acme.switch(**SETTING.get(name, {}), **{name: other})
    assert probe(acme) == then


def test_the_other_values(acme: Sandbox) -> None:
    acme.switch(
        token_response="no_expires_at", me_redirect="none", everyone_group="hidden", csrf_error_body="top_level"
    )
    assert token_fields(acme) == ["expires_in"]
    assert me_location(acme) == (200, False)
    acme.switch(me_redirect="relative")
    assert everyone(acme) == []
    assert csrf_body(acme) == ["code"]


def test_rs512_with_a_secret_key_never_works(acme: Sandbox) -> None:
    acme.switch(jwt_algorithms="asymmetric")
    kid = acme.tenant.identity_providers[0].kid
    assert (
        acme.post_login(jwt.encode(acme.claims(), "x" * 64, algorithm="HS512", headers={"kid": kid})).status_code == 401
    )


def test_every_switch_is_probed_listed_and_documented(acme: Sandbox) -> None:
    names = {entry.name for entry in fields(Switches)}
    listed = acme.call("GET", "/_sandbox/switches").json
    assert isinstance(listed, list)
    assert set(PROBES) == names
    assert {entry["name"] for entry in listed} == names
    assert all(entry["value"] == entry["default"] and entry["allowed"] and entry["what"] for entry in listed)
    page = PAGE.read_text()
    for entry in listed:
        values = entry["allowed"]
        text = (
            ", ".join(f"`{value}`" for value in values)
            if isinstance(values, list)
            else "`{from}`-`{to}`".format(**values)
        )
        assert f"| `{entry['name']}` | `{entry['default']}` | {text} |" in page, entry["name"]
