"""No request makes the tenant stumble: every route answers odd bodies and queries with less than a 500."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sandbox.kit import Sandbox

ODD: list[object] = [None, True, 7, 10**400, "x", "\ud800", [], {}, [{}], [[]], {"x": []}, [None]]
NAMES = (
    "grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "user_lookup",
    "subject_token", "purpose", "token", "subject", "name", "email", "status", "assignedRoles", "filter", "type",
    "providerType", "description", "assigneeId", "roles", "op", "path", "value", "endpoint", "offset_s", "groups",
)  # fmt: skip
READS = ("/api/v1/identity-providers", "/api/v1/oauth-clients", "/api/v1/web-integrations", "/api/v1/csp-origins")
ROUTES = [
    ("POST", "/oauth/token"),
    ("POST", "/oauth/revoke"),
    ("POST", "/api/v1/users"),
    ("POST", "/api/v1/users/actions/filter"),
    ("POST", "/api/v1/groups"),
    ("POST", "/api/v1/groups/actions/filter"),
    ("PATCH", "/api/v1/groups/settings"),
    ("PATCH", "/api/v1/users/USER"),
    ("POST", "/api/v1/spaces"),
    ("POST", "/api/v1/spaces/SPACE/assignments"),
    ("POST", "/_sandbox/faults"),
    ("POST", "/_sandbox/clock"),
    ("PATCH", "/_sandbox/people/alice"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_odd_bodies(acme: Sandbox, method: str, path: str) -> None:
    acme.switch(tier2_per_minute=10**6, special_per_minute=10**6)
    user = next(acme.tenant.users()).id
    path = path.replace("USER", user).replace("SPACE", next(iter(acme.tenant.memory.spaces)))
    good = {
        "client_id": acme.issuing.client_id,
        "client_secret": acme.issuing.client_secret,
        "subject": "s",
        "name": "n",
    }
    good |= {"op": "replace", "path": "/assignedGroups", "type": "user", "assigneeId": user, "endpoint": "/x"}
    for odd in ODD:
        changed = [{**good, name: odd} for name in NAMES]
        for sent in [odd, *changed, *([entry] for entry in changed)]:
            assert acme.api(method, path, json=sent).status_code < 500, sent
        acme.call("DELETE", "/_sandbox/faults")


@pytest.mark.parametrize(
    "path",
    ["/api/v1/users", "/api/v1/groups", "/api/v1/spaces", "/api/v1/oauth-tokens", "/api/v1/audits", "/login", *READS],
)
def test_odd_queries(acme: Sandbox, path: str) -> None:
    odd = ["", " ", "x", "%", "\x00", "9" * 5000, "a eq 'b'", "http://[", "é"]
    for name in (
        "filter",
        "limit",
        "next",
        "prev",
        "page",
        "sort",
        "fields",
        "returnto",
        "totalResults",
        "userId",
        "eventTime",
        "active",
        "startingAfter",
    ):
        for value in odd:
            assert acme.api("GET", path, query_string={name: value}).status_code < 500, (name, value)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic", "Basic x", "Basic Og==", "Bearer \xff.a.b"]
)
def test_odd_credentials(acme: Sandbox, authorization: str) -> None:
    for method, path in (("POST", "/login/jwt-session"), ("POST", "/oauth/token"), ("GET", "/api/v1/users/me")):
        answer = acme.call(
            method, path, headers={"Authorization": authorization}, json={"grant_type": "client_credentials"}
        )
        assert 400 <= answer.status_code < 500
