"""Which steps led to an answer, as its Server-Timing says."""

import re

from webkit import Visitor, Web, problem
from werkzeug.test import TestResponse

from bridge.errors import TenantTimeout, TenantUnavailable

METRIC = re.compile(r'([a-z-]+)(;dur=\d+\.\d)?(;desc="[a-z_]+")?')


def steps(answer: TestResponse) -> list[str]:
    """Return the names of the steps, with the error code of each that failed; checks the form."""
    metrics = [METRIC.fullmatch(each) for each in answer.headers["Server-Timing"].split(", ")]
    return [found[1] + (found[3] or "") for found in metrics if found]


def test_the_first_token_took_a_login_and_a_mint_the_next_came_from_the_store(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")

    assert steps(alice.access_token()) == ["session", "jwt-login", "groups", "mint", "total"]
    second = alice.access_token()
    assert steps(second) == ["session", "kept", "total"]
    assert "kept, " in second.headers["Server-Timing"]


def test_a_rejected_token_is_checked(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    first = alice.access_token()

    kept = alice.access_token(**{"X-Rejected-Token": first.headers["Token-Id"]})
    demo.qlik.revoked.add(first.text)
    fresh = alice.access_token(**{"X-Rejected-Token": first.headers["Token-Id"]})

    assert steps(kept) == ["session", "check", "kept", "total"]
    assert steps(fresh) == ["session", 'check;desc="tenant_refused"', "mint", "total"]


def test_a_failed_step_names_its_error(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    demo.qlik.fail["mint"] = [TenantTimeout()]

    answer = alice.access_token()

    assert problem(answer) == (504, "tenant_timeout")
    assert steps(answer) == ["session", "jwt-login", "groups", 'mint;desc="tenant_timeout"', "total"]


def test_an_old_token_that_outlives_a_failed_mint_was_kept(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    alice.access_token()
    demo.clock.advance(21_600 - 300)
    alice = demo.visitor("alice")
    demo.qlik.fail["mint"] = [TenantUnavailable()]

    assert steps(alice.access_token())[-3:] == ['mint;desc="tenant_unavailable"', "kept", "total"]


def test_each_answer_has_its_own_steps_and_some_have_none(demo: Web, alice: Visitor) -> None:
    assert steps(alice.get("/t/acme/session")) == steps(alice.get("/t/acme/session")) == ["session", "total"]
    assert steps(demo.visitor().get("/t/acme/session")) == ['session;desc="not_signed_in"', "total"]
    assert "Server-Timing" not in alice.get("/t/acme/config").headers
