"""`qlik-bridge secrets ...`: the change of an encryption key, as an operator types it."""

import os

import pytest
from clikit import EXAMPLE, Run
from cryptography.fernet import Fernet

KEYS = "BRIDGE_ENCRYPTION_KEYS"


@pytest.fixture
def new(monkeypatch: pytest.MonkeyPatch, encryption_key: str) -> str:
    """Another key, put in front of the old one."""
    key = Fernet.generate_key().decode()
    monkeypatch.setenv(KEYS, f"{key},{encryption_key}")
    return key


def test_rotate_seals_everything_anew_and_says_that_the_old_key_may_go(
    applied: Run, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = applied("secrets", "status")
    assert "1 values need an old key" in before.out
    done = applied("secrets", "rotate", "--reason", "yearly")
    assert (done.code, done.err) == (0, "")
    assert "Sealed 1 values with the first key." in done.out
    assert "May go from BRIDGE_ENCRYPTION_KEYS, once every bridge runs with the first key in front: key 2." in done.out
    (event,) = applied("audit", "list", "--action", "secrets.rotate", "--json").json()
    assert (event["reason"], event["after"]["resealed"]) == ("yearly", 1)

    monkeypatch.setenv(KEYS, new)
    assert applied("check").code == 0
    assert applied("secrets", "status", "--json").json() == {
        "values_by_key": [1],
        "keys_that_may_go": [],
        "locked_tenants": [],
        "locked_tokens": [],
    }


def test_rotate_again_does_nothing(applied: Run, new: str) -> None:
    assert new in os.environ[KEYS]
    applied("secrets", "rotate")
    again = applied("secrets", "rotate", "--json").json()
    assert again == {
        "resealed": 0,
        "dropped": 0,
        "values_by_key": [1, 0],
        "keys_that_may_go": [2],
        "locked_tenants": [],
        "locked_tokens": [],
    }


def test_a_lost_key_is_named_with_the_tenant_and_applying_its_secrets_again_mends_it(
    applied: Run, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    monkeypatch.setenv(KEYS, Fernet.generate_key().decode())
    checked = applied("check")
    assert checked.code == 2
    assert "tenant acme: the secret of `issuing_client` is locked" in checked.err
    done = applied("secrets", "rotate")
    assert done.code == 1
    assert "Locked are the secrets of tenants acme." in done.err
    assert "set the secret again" in done.err

    mended = applied("tenants", "apply", str(EXAMPLE), "--yes")
    assert mended.code == 0
    assert "issuing_client.secret: (none) -> (secret)" in mended.out
    assert applied("check").code == 0
    assert applied("secrets", "rotate").code == 0
    said = "".join(outcome.out + outcome.err for outcome in (checked, done, mended))
    assert settings["ACME_ISSUING_SECRET"] not in said
    assert os.environ[KEYS] not in said
