"""The contract of ports.TokenStore, over every implementation."""

from dataclasses import replace

import pytest
from fakes import FakeClock
from stores import Stores

from bridge.model import IssuedToken, TokenKey

KEY = TokenKey("acme", "client", "alice", "user_default", "r1")


@pytest.fixture
def token(clock: FakeClock) -> IssuedToken:
    return IssuedToken(KEY, "id-1", "secret-value-1", "user_default", clock(), clock() + 21_600)


def test_a_kept_token_comes_back(stores: Stores, token: IssuedToken) -> None:
    assert stores.tokens.get(KEY) is None
    stores.tokens.put(token)
    assert stores.tokens.get(KEY) == token
    assert stores.tokens.get(replace(KEY, sub="Alice")) is None
    assert stores.tokens.get(replace(KEY, credential_revision="r2")) is None


def test_a_newer_token_replaces_an_older_one(stores: Stores, token: IssuedToken) -> None:
    newer = replace(token, token_id="id-2", value="secret-value-2")
    stores.tokens.put(token)
    stores.tokens.get(KEY)
    stores.tokens.put(newer)
    assert stores.tokens.get(KEY) == newer


def test_an_expired_token_is_gone(stores: Stores, token: IssuedToken, clock: FakeClock) -> None:
    stores.tokens.put(token)
    assert stores.tokens.get(KEY) == token
    clock.advance(21_600)
    assert stores.tokens.get(KEY) is None
    assert stores.tokens.doom() == []


def test_dropping_forgets_this_very_token(stores: Stores, token: IssuedToken) -> None:
    newer = replace(token, token_id="id-2", value="secret-value-2")
    stores.tokens.put(newer)
    stores.tokens.drop(token)
    assert stores.tokens.get(KEY) == newer
    stores.tokens.drop(newer)
    assert stores.tokens.get(KEY) is None


def test_doomed_tokens_are_out_of_use_until_dropped(stores: Stores, token: IssuedToken) -> None:
    stores.tokens.put(token)
    stores.tokens.get(KEY)
    assert stores.tokens.doom(tenant="acme", sub="alice") == [token]
    assert stores.tokens.get(KEY) is None
    assert stores.tokens.doom() == [token], "it was not dropped, so it is still to be revoked"
    stores.tokens.drop(token)
    assert stores.tokens.still_doomed() == []
    assert stores.tokens.doom() == []


def test_what_is_still_doomed_is_told_without_dooming_more(stores: Stores, token: IssuedToken) -> None:
    newer = replace(token, token_id="id-2", value="secret-value-2")
    stores.tokens.put(token)
    stores.tokens.doom()
    stores.tokens.put(newer)

    assert stores.tokens.still_doomed() == [token]
    assert stores.tokens.still_doomed(tenant="acme", sub="alice") == [token]
    assert stores.tokens.still_doomed(tenant="globex") == stores.tokens.still_doomed(sub="bob") == []
    assert stores.tokens.get(KEY) == newer


def test_a_successor_does_not_hide_a_doomed_token(stores: Stores, token: IssuedToken) -> None:
    newer = replace(token, token_id="id-2", value="secret-value-2")
    stores.tokens.put(token)
    stores.tokens.doom()
    stores.tokens.put(newer)
    assert stores.tokens.get(KEY) == newer
    assert sorted(each.token_id for each in stores.tokens.doom()) == ["id-1", "id-2"]


def test_dooming_takes_what_was_named_alone(stores: Stores, token: IssuedToken) -> None:
    subs = ("alice", "Alice", "o'neil\"\\")
    keys = [replace(KEY, tenant=tenant, sub=sub) for tenant in ("acme", "globex") for sub in subs]
    for number, key in enumerate(keys):
        stores.tokens.put(replace(token, key=key, token_id=f"id-{number}"))
    assert [each.key for each in stores.tokens.doom(tenant="globex", sub="o'neil\"\\")] == [keys[5]]
    assert {each.key for each in stores.tokens.doom(sub="alice")} == {keys[0], keys[3]}
    assert {each.key for each in stores.tokens.doom(tenant="acme")} == {keys[0], keys[1], keys[2]}
    assert stores.tokens.get(keys[4]) is not None
    assert len(stores.tokens.doom()) == 6


def test_no_repr_shows_the_value(token: IssuedToken) -> None:
    assert "secret-value" not in repr(token)
