"""The portal's public keys, from a file or an address."""

import json
from pathlib import Path

import pytest
from fakes import FakeClock
from scripted import Reply, ScriptedTenant

from bridge.adapters.jwks import LOOK_AGAIN_S, Jwks
from bridge.adapters.wire import Patience
from bridge.errors import ConfigError, SignInUnavailable

RSA = {"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB"}
EC = {"kty": "EC", "kid": "k2", "use": "sig", "crv": "P-256"}


def write(path: Path, *keys: object) -> None:
    path.write_text(json.dumps({"keys": keys}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "jwks.json", RSA)
    return tmp_path / "jwks.json"


def test_a_key_is_found_in_a_file(path: Path, clock: FakeClock) -> None:
    keys = Jwks(str(path), clock)
    assert keys.find("k1") == RSA
    assert keys.find("K1") is None


def test_it_is_ready_once_a_key_is_known(path: Path, tmp_path: Path, clock: FakeClock) -> None:
    Jwks(str(path), clock).check()
    (tmp_path / "empty.json").write_text('{"keys": []}')

    for unusable in ("empty.json", "nowhere.json"):
        with pytest.raises(ConfigError, match="BRIDGE_ASSERTION_JWKS"):
            Jwks(str(tmp_path / unusable), clock).check()


def test_an_unknown_key_is_looked_for_once_a_minute(scripted: ScriptedTenant, clock: FakeClock) -> None:
    scripted.answers["/jwks"] = Reply(document={"keys": [RSA]})
    keys = Jwks(f"{scripted.host}/jwks", clock)
    assert keys.find("k2") is None
    scripted.answers["/jwks"] = Reply(document={"keys": [RSA, EC]})
    for _ in range(3):
        assert keys.find("k2") is None
    assert len(scripted.seen) == 1
    clock.advance(60)
    assert keys.find("k2") == EC
    assert len(scripted.seen) == 2


def test_a_withdrawn_key_ends_within_an_hour(path: Path, clock: FakeClock) -> None:
    keys = Jwks(str(path), clock)
    assert keys.find("k1") == RSA
    write(path, EC)
    clock.advance(3599)
    assert keys.find("k1") == RSA
    clock.advance(1)
    assert keys.find("k1") is None


def test_only_public_signing_keys_are_returned(path: Path, clock: FakeClock) -> None:
    write(
        path,
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0"},
        {**RSA, "kid": "b", "d": "private"},
        {**RSA, "kid": "c", "use": "enc"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        "text",
        {"kty": "OKP", "kid": "e", "crv": "Ed25519"},
    )
    keys = Jwks(str(path), clock)
    assert [kid for kid in "abcde" if keys.find(kid)] == ["e"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(302, headers=(("Location", "/elsewhere"),)),
        Reply(body=b"<html>"),
        Reply(document=[RSA]),
        Reply(document={"keys": "k1"}),
        Reply(body=b"[" * 100_000),
        Reply(body=b" " * 1_100_000),
        Reply(drop=True),
        Reply(document={"keys": [RSA]}, hang=True),
    ],
)
def test_an_address_that_answers_badly_keeps_what_was_known(
    scripted: ScriptedTenant, clock: FakeClock, reply: Reply
) -> None:
    scripted.answers["/jwks"] = Reply(document={"keys": [RSA]})
    scripted.answers["/elsewhere"] = Reply(document={"keys": [EC]})
    keys = Jwks(f"{scripted.host}/jwks", clock, patience=Patience(1, 0.5, 1))
    assert keys.find("k1") == RSA
    scripted.answers["/jwks"] = reply
    clock.advance(3600)
    with pytest.raises(SignInUnavailable):
        keys.find("k2")
    assert keys.find("k1") == RSA
    assert "/elsewhere" not in scripted.paths()


def test_who_cannot_read_the_keys_says_so_and_looks_again_soon(scripted: ScriptedTenant, clock: FakeClock) -> None:
    scripted.answers["/jwks"] = Reply(500)
    keys = Jwks(f"{scripted.host}/jwks", clock)
    for _ in range(3):
        with pytest.raises(SignInUnavailable) as raised:
            keys.find("k1")
        assert raised.value.retry_after_s == LOOK_AGAIN_S
    assert len(scripted.seen) == 1, "nobody asks for each assertion anew"

    scripted.answers["/jwks"] = Reply(document={"keys": [RSA]})
    clock.advance(LOOK_AGAIN_S)
    assert keys.find("k1") == RSA
    assert keys.find("k2") is None, "this one is the portal's to answer for"


def test_while_one_looks_for_keys_in_vain_nobody_else_waits(scripted: ScriptedTenant, clock: FakeClock) -> None:
    scripted.answers["/jwks"] = Reply(500)
    keys = Jwks(f"{scripted.host}/jwks", clock)
    with pytest.raises(SignInUnavailable):
        keys.find("k1")
    clock.advance(LOOK_AGAIN_S)
    with keys._guard, pytest.raises(SignInUnavailable):
        keys.find("k1")


def test_a_clock_that_is_set_back_keeps_no_key_away(path: Path, clock: FakeClock) -> None:
    keys = Jwks(str(path), clock)
    assert keys.find("k1") == RSA
    write(path, EC)
    clock.advance(-86_400)
    assert keys.find("k2") == EC
    assert keys.find("k1") is None


def test_a_missing_file_has_no_keys(tmp_path: Path, clock: FakeClock) -> None:
    keys = Jwks(str(tmp_path / "none.json"), clock)
    with pytest.raises(SignInUnavailable):
        keys.find("k1")
    write(tmp_path / "none.json", RSA)
    clock.advance(LOOK_AGAIN_S)
    assert keys.find("k1") == RSA


@pytest.mark.parametrize("source", ["http://portal.example.com/jwks", "ftp://127.0.0.1/jwks", "file:///etc/passwd"])
def test_other_addresses_are_refused(source: str, clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="BRIDGE_ASSERTION_JWKS"):
        Jwks(source, clock)
    Jwks("https://portal.example.com/jwks", clock)
