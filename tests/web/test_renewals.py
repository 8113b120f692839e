"""Pages say who is there, and cost no write with each request."""

import pytest
from webkit import DEMO, Web, web


@pytest.fixture
def site() -> Web:
    site = web(**DEMO)
    site.at("oauth")
    return site


def test_a_page_that_only_looks_for_news_keeps_its_token_renewed(site: Web) -> None:
    alice = site.visitor("alice")
    token = alice.access_token()
    site.bridge.renewals.flush()
    ends_at = site.clock() + 6 * 3600
    while site.clock() < ends_at - 900:
        site.clock.advance(600)
        assert alice.get("/t/acme/session").status_code == 200
        site.bridge.renewals.flush()
        site.bridge.renewals.run()

    site.qlik.calls.clear()
    newer = alice.access_token()
    assert newer.headers["Token-Id"] != token.headers["Token-Id"]
    assert site.qlik.calls == []


def test_being_seen_is_noted_in_memory(site: Web) -> None:
    alice = site.visitor("alice")
    assert alice.access_token().status_code == 200
    site.renewals.broken = True

    assert alice.access_token().status_code == 200
    assert alice.get("/t/acme/session").status_code == 200


def test_who_is_on_jwt_is_not_seen(site: Web) -> None:
    alice = site.visitor("alice")
    assert alice.access_token().status_code == 200
    site.at("shadow")
    site.bridge.renewals.flush()
    seen = dict(site.renewals.seen)
    site.clock.advance(1200)
    assert alice.get("/t/acme/session").get_json()["path"] == "jwt"
    site.bridge.renewals.flush()

    assert site.renewals.seen == seen
