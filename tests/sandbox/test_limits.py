"""Rate tiers: who pays, when a tier is blocked, when it opens again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.kit import error

if TYPE_CHECKING:
    from sandbox.kit import Sandbox


def statuses(acme: Sandbox, number: int, token: str) -> list[int]:
    return [acme.api("GET", "/api/v1/users/actions/count", token).status_code for _ in range(number)]


def test_the_default_budgets_are_those_of_five_minutes(acme: Sandbox) -> None:
    acme.login("alice")
    answers = [acme.impersonate("alice").status_code for _ in range(501)]
    assert (answers.count(200), answers[500]) == (500, 429)


def test_a_429_says_when_and_blocks_the_whole_tier_of_that_user_alone(acme: Sandbox) -> None:
    alice, bob = acme.token("alice"), acme.token("bob")
    acme.switch(tier1_per_minute=1, tier_window_s=120, tenant_rate_limit="off")
    assert statuses(acme, 3, alice) == [200, 200, 429]
    answer = acme.api("GET", "/api/v1/items", alice)
    found = error(answer)
    assert (answer.status_code, found["code"], found["title"]) == (429, "HTTP-429", "API rate limit reached.")
    assert 118 <= int(answer.headers["Retry-After"]) <= 120
    assert answer.headers["Retry-After"] in found["detail"]
    assert acme.api("GET", "/api/v1/items", bob).status_code == 200
    assert acme.api("POST", "/api/v1/spaces", alice, json={"name": "tier 2"}).status_code == 201
    assert acme.impersonate("alice").status_code == 200


def test_it_opens_again_after_retry_after(acme: Sandbox) -> None:
    alice = acme.token("alice")
    acme.switch(tier1_per_minute=1, tier_window_s=60)
    assert statuses(acme, 2, alice) == [200, 429]
    acme.clock(61)
    assert statuses(acme, 2, alice) == [200, 429]


def test_logins_and_tokens_have_budgets_of_their_own(acme: Sandbox) -> None:
    acme.login("alice")
    acme.switch(tier2_per_minute=2, tier_window_s=60, tenant_rate_limit="off")
    logins = [acme.post_login(acme.sign(acme.claims())).status_code for _ in range(3)]
    tokens = [acme.impersonate("alice").status_code for _ in range(3)]
    assert (logins, tokens) == ([200, 429, 429], [200, 200, 429])


def test_revoking_spends_the_budget_of_the_tokens_client(acme: Sandbox) -> None:
    token = acme.token("alice")
    acme.switch(tier2_per_minute=1, tier_window_s=60, tenant_rate_limit="off")
    assert acme.impersonate("alice").status_code == 429
    answers = [acme.call("POST", "/oauth/revoke", json={"token": token}).status_code for _ in range(2)]
    assert answers == [429, 429]


def test_filter_actions_have_a_limit_of_their_own(acme: Sandbox) -> None:
    acme.switch(special_per_minute=1, tier_window_s=60, tenant_rate_limit="off")

    def status(kind: str) -> int:
        return acme.api("POST", f"/api/v1/{kind}/actions/filter", json={"filter": 'name eq "x"'}).status_code

    assert [status("users"), status("users"), status("groups")] == [200, 429, 200]


def test_the_controls_work_while_everything_is_blocked(acme: Sandbox) -> None:
    acme.switch(tier1_per_minute=1, tier_window_s=60)
    assert statuses(acme, 2, acme.token("alice"))[-1] == 429
    assert acme.call("GET", "/_sandbox/state").status_code == 200
    assert all(not call["path"].startswith("/_sandbox") for call in acme.call("GET", "/_sandbox/calls").json or [])


def test_new_limits_hold_at_once(acme: Sandbox) -> None:
    alice = acme.token("alice")
    acme.switch(tier1_per_minute=1, tier_window_s=60)
    assert statuses(acme, 2, alice) == [200, 429]
    acme.switch(tier1_per_minute=1000)
    assert statuses(acme, 1, alice) == [200]
