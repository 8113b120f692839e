"""What is read of a sign-in service, how long it is kept, and a service that misbehaves."""

from typing import Any

import pytest
from fakes import FakeClock
from requests import Session
from scripted import Reply, ScriptedTenant

from bridge.adapters.oidc import MAX_AGE_S, PAUSE_S, OidcProvider
from bridge.adapters.wire import Patience
from bridge.errors import ConfigError, SignInUnavailable, TenantTimeout

DISCOVERY = "/.well-known/openid-configuration"
RSA = {"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB"}
EC = {"kty": "EC", "kid": "k2", "use": "sig", "crv": "P-256"}
QUICK = Patience(1, 0.3, 0.6)


def document(host: str, issuer: str = "", **changes: object) -> dict[str, Any]:
    return {
        "issuer": issuer or host,
        "authorization_endpoint": f"{host}/authorize",
        "token_endpoint": f"{host}/token",
        "jwks_uri": f"{host}/jwks",
        **changes,
    }


@pytest.fixture
def provider(scripted: ScriptedTenant, clock: FakeClock) -> OidcProvider:
    scripted.answers[DISCOVERY] = Reply(document=document(scripted.host))
    scripted.answers["/jwks"] = Reply(document={"keys": [RSA]})
    return OidcProvider(scripted.host, clock, patience=QUICK)


def kids(provider: OidcProvider, *, fresh: bool = False) -> list[str]:
    return [key["kid"] for key in provider.keys(fresh=fresh)["keys"]]


def test_nothing_is_read_before_it_is_needed_and_then_once_an_hour(
    provider: OidcProvider, scripted: ScriptedTenant, clock: FakeClock
) -> None:
    assert scripted.seen == []
    for _ in range(3):
        assert kids(provider) == ["k1"]
    assert scripted.paths() == [DISCOVERY, "/jwks"]
    clock.advance(MAX_AGE_S)
    kids(provider)
    assert len(scripted.seen) == 4


def test_an_unknown_key_is_looked_for_but_not_all_the_time(
    provider: OidcProvider, scripted: ScriptedTenant, clock: FakeClock
) -> None:
    assert kids(provider) == ["k1"]
    scripted.answers["/jwks"] = Reply(document={"keys": [EC]})
    assert kids(provider, fresh=True) == ["k1"]
    clock.advance(PAUSE_S)
    assert kids(provider) == ["k1"]
    assert kids(provider, fresh=True) == ["k2"]
    assert kids(provider, fresh=True) == ["k2"]
    assert scripted.paths().count("/jwks") == 2


def test_a_withdrawn_key_ends_within_an_hour(
    provider: OidcProvider, scripted: ScriptedTenant, clock: FakeClock
) -> None:
    kids(provider)
    scripted.answers["/jwks"] = Reply(document={"keys": [EC]})
    clock.advance(MAX_AGE_S)
    assert kids(provider) == ["k2"]


def test_a_clock_that_is_set_back_keeps_no_key_away(
    provider: OidcProvider, scripted: ScriptedTenant, clock: FakeClock
) -> None:
    kids(provider)
    scripted.answers["/jwks"] = Reply(document={"keys": [EC]})
    clock.advance(-86_400)
    assert kids(provider) == ["k2"]


def test_symmetric_and_encryption_keys_are_none(provider: OidcProvider, scripted: ScriptedTenant) -> None:
    keys = [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}, {**RSA, "kid": "b", "use": "enc"}, RSA]
    scripted.answers["/jwks"] = Reply(document={"keys": keys})
    assert kids(provider) == ["k1"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(302, headers=(("Location", "/elsewhere"),)),
        Reply(body=b"<html>"),
        Reply(document=[RSA]),
        Reply(document={"keys": "k1"}),
        Reply(body=b" " * 1_100_000),
        Reply(drop=True),
        Reply(document={"keys": [EC]}, hang=True),
    ],
)
def test_what_was_known_stays_while_the_service_misbehaves(
    provider: OidcProvider, scripted: ScriptedTenant, clock: FakeClock, reply: Reply
) -> None:
    kids(provider)
    scripted.answers["/jwks"] = scripted.answers[DISCOVERY] = reply
    clock.advance(MAX_AGE_S)
    assert kids(provider) == ["k1"]
    assert provider.metadata()["issuer"] == scripted.host
    assert "/elsewhere" not in scripted.paths()


def test_a_service_that_hangs_is_not_asked_by_everybody(
    provider: OidcProvider, scripted: ScriptedTenant, clock: FakeClock
) -> None:
    scripted.answers[DISCOVERY] = Reply(document={}, hang=True)
    for _ in range(3):
        with pytest.raises(SignInUnavailable) as raised:
            provider.metadata()
        assert raised.value.retry_after_s == PAUSE_S
    assert len(scripted.seen) == 1
    clock.advance(PAUSE_S)
    with pytest.raises(SignInUnavailable):
        provider.metadata()
    assert len(scripted.seen) == 2


def test_a_session_of_a_library_gets_our_time_limits(provider: OidcProvider, scripted: ScriptedTenant) -> None:
    scripted.answers["/token"] = Reply(document={}, hang=True)
    session = provider.tame(Session())
    with pytest.raises(TenantTimeout):
        session.post(f"{scripted.host}/token", data={"code": "c"})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"issuer": "https://evil.example"}, "byte for byte"),
        ({"issuer": None}, "byte for byte"),
        ({"token_endpoint": "http://evil.example/token"}, "token_endpoint is not an https address"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint is not"),
        ({"jwks_uri": ["https://a.example"]}, "jwks_uri is not"),
        ({"jwks_uri": "https://["}, "jwks_uri is not"),
    ],
)
def test_a_configuration_that_cannot_be_right_is_named(
    scripted: ScriptedTenant, clock: FakeClock, changes: dict[str, object], reason: str
) -> None:
    scripted.answers[DISCOVERY] = Reply(document=document(scripted.host) | changes)
    with pytest.raises(ConfigError, match=reason):
        OidcProvider(scripted.host, clock).check()


def test_only_public_key_algorithms_are_taken(scripted: ScriptedTenant, clock: FakeClock) -> None:
    named = ["none", "HS256", "RS256", "ES256"]
    scripted.answers[DISCOVERY] = Reply(
        document=document(scripted.host, id_token_signing_alg_values_supported=named, end_session_endpoint="ftp://x")
    )
    known = OidcProvider(scripted.host, clock).metadata()
    assert known["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]
    assert "end_session_endpoint" not in known


def test_a_service_that_signs_in_no_way_we_take_is_none(scripted: ScriptedTenant, clock: FakeClock) -> None:
    """Authlib takes an empty list for no list at all."""
    scripted.answers[DISCOVERY] = Reply(
        document=document(scripted.host, id_token_signing_alg_values_supported=["HS256", "none"])
    )
    with pytest.raises(ConfigError, match="signs ID tokens by none of"):
        OidcProvider(scripted.host, clock).check()


def test_an_issuer_may_end_in_a_slash(scripted: ScriptedTenant, clock: FakeClock) -> None:
    issuer = f"{scripted.host}/realms/one/"
    scripted.answers[f"/realms/one{DISCOVERY}"] = Reply(document=document(scripted.host, issuer))
    assert OidcProvider(issuer, clock).metadata()["issuer"] == issuer


def test_check_wants_a_key(provider: OidcProvider, scripted: ScriptedTenant, clock: FakeClock) -> None:
    provider.check()
    scripted.answers["/jwks"] = Reply(document={"keys": []})
    with pytest.raises(ConfigError, match="no usable public key"):
        OidcProvider(scripted.host, clock).check()
