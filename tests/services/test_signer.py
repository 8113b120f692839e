"""The legacy JWT, claim by claim."""

from collections.abc import Sequence
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from fakes import START, FakeClock, FakeKeys
from samples import subject, tenant

from bridge.errors import SyncRefused, TenantRefused
from bridge.model import Subject
from bridge.services.signer import AUDIENCE, MAX_BYTES, Signer

SYNC = {"sync_issuer": "issuer-sync", "sync_key_id": "kid-sync", "sync_key": "sync.pem"}


class CountedKeys(FakeKeys):
    def __init__(self, *, missing: Sequence[str] = ()) -> None:
        super().__init__(missing=missing)
        self.asked: list[str] = []

    def load(self, name: str) -> RSAPrivateKey:
        self.asked.append(name)
        return super().load(name)


@pytest.fixture
def keys() -> CountedKeys:
    return CountedKeys()


@pytest.fixture
def signer(keys: CountedKeys, clock: FakeClock) -> Signer:
    return Signer(keys, clock)


def claims(signed: str, keys: FakeKeys, key_file: str = "browser.pem") -> dict[str, Any]:
    """Check the signature with the tenant's public key; the times belong to the fake clock."""
    checked: dict[str, Any] = jwt.decode(
        signed,
        keys.load(key_file).public_key(),
        algorithms=["RS256"],
        audience=AUDIENCE,
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    return checked


def test_the_header_names_algorithm_key_and_type(signer: Signer) -> None:
    header = jwt.get_unverified_header(signer.for_browser(tenant(), subject()))

    assert header == {"alg": "RS256", "kid": "kid-acme", "typ": "JWT"}


def test_the_claims_are_the_documented_ones_and_no_others(signer: Signer, keys: CountedKeys) -> None:
    found = claims(signer.for_browser(tenant(), subject("alice", "Sales", "EMEA")), keys)

    assert len(found.pop("jti")) == 36
    assert found == {
        "iss": "issuer-acme",
        "aud": "qlik.api/login/jwt-session",
        "sub": "alice",
        "subType": "user",
        "name": "Name of alice",
        "email": "alice@example.com",
        "email_verified": True,
        "groups": ["EMEA", "Sales"],
        "iat": int(START),
        "nbf": int(START) - 30,
        "exp": int(START) + 60,
    }


def test_the_times_are_whole_seconds_that_a_tenant_accepts(signer: Signer, keys: CountedKeys, clock: FakeClock) -> None:
    clock.advance(0.75)

    found = claims(signer.for_browser(tenant(), subject()), keys)

    assert {type(found[name]) for name in ("iat", "nbf", "exp")} == {int}
    assert found["nbf"] < clock.now < found["exp"]
    assert found["exp"] - found["nbf"] <= 3600


def test_each_call_has_an_id_of_its_own(signer: Signer, keys: CountedKeys) -> None:
    ids = {claims(signer.for_browser(tenant(), subject()), keys)["jti"] for _ in range(20)}

    assert len(ids) == 20


def test_no_groups_are_an_empty_list_so_that_a_login_takes_the_old_ones_away(signer: Signer, keys: CountedKeys) -> None:
    assert claims(signer.for_browser(tenant(), subject("carol")), keys)["groups"] == []


@pytest.mark.parametrize("text", ["o'neil\"\\", "Zoë Ångström", "名前", "a b\u2028c", "</script>"])
def test_any_text_survives_signing(signer: Signer, keys: CountedKeys, text: str) -> None:
    person = Subject(text, text, text, frozenset({text}))

    found = claims(signer.for_browser(tenant(), person), keys)

    assert (found["sub"], found["name"], found["email"], found["groups"]) == (text, text, text, [text])


def test_a_missing_e_mail_address_is_empty_not_absent(signer: Signer, keys: CountedKeys) -> None:
    assert claims(signer.for_browser(tenant(), subject(email="")), keys)["email"] == ""


def test_a_sync_is_signed_by_its_own_identity_provider(signer: Signer, keys: CountedKeys) -> None:
    signed = signer.for_sync(tenant(**SYNC), subject())

    assert jwt.get_unverified_header(signed)["kid"] == "kid-sync"
    assert claims(signed, keys, "sync.pem")["iss"] == "issuer-sync"


def test_a_browser_never_gets_the_sync_identity_provider(signer: Signer, keys: CountedKeys) -> None:
    signed = signer.for_browser(tenant(**SYNC), subject())

    assert jwt.get_unverified_header(signed)["kid"] == "kid-acme"
    assert claims(signed, keys)["iss"] == "issuer-acme"


def test_without_one_a_sync_is_signed_like_a_browser_login(signer: Signer, keys: CountedKeys) -> None:
    signed = signer.for_sync(tenant(), subject())

    assert jwt.get_unverified_header(signed)["kid"] == "kid-acme"
    assert claims(signed, keys)["iss"] == "issuer-acme"


def test_the_key_object_is_asked_for_each_time_and_not_parsed(
    signer: Signer, keys: CountedKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replaced key file counts from the next signature on; what to keep is for the port to say."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a key was parsed")

    monkeypatch.setattr("cryptography.hazmat.primitives.serialization.load_pem_private_key", refuse)
    signer.for_browser(tenant(), subject())
    signer.for_browser(tenant(), subject())

    assert keys.asked == ["browser.pem", "browser.pem"]


def test_a_missing_key_is_a_matter_for_an_operator(clock: FakeClock) -> None:
    signer = Signer(FakeKeys(missing=["browser.pem"]), clock)

    with pytest.raises(TenantRefused, match="operator") as refused:
        signer.for_browser(tenant(), subject())

    assert "browser.pem" in refused.value.detail
    assert "browser.pem" not in refused.value.message


def test_three_hundred_short_groups_fit(signer: Signer, keys: CountedKeys) -> None:
    groups = [f"grp-{number:03}" for number in range(300)]

    signed = signer.for_sync(tenant(), subject("alice", *groups))

    assert claims(signed, keys)["groups"] == groups
    assert len(signed) <= MAX_BYTES


def test_too_many_groups_are_refused_with_both_sizes(signer: Signer) -> None:
    groups = [f"a group with a rather long name {number:03}" for number in range(300)]

    with pytest.raises(SyncRefused, match=r"has 1\d{4} bytes, more than the 7500 .* 300 groups") as refusal:
        signer.for_sync(tenant(), subject("alice", *groups))

    assert "eyJ" not in str(refusal.value)


def test_the_limit_itself_still_passes(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(signer.for_sync(tenant(), subject()))
    monkeypatch.setattr("bridge.services.signer.MAX_BYTES", size)

    assert len(signer.for_sync(tenant(), subject())) == size

    monkeypatch.setattr("bridge.services.signer.MAX_BYTES", size - 1)
    with pytest.raises(SyncRefused, match=str(size)):
        signer.for_sync(tenant(), subject())
