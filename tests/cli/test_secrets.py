"""`qlik-bridge secrets ...`: the change of an encryption key, as an operator types it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clikit import EXAMPLE, Run
from cryptography.fernet import Fernet

from bridge.adapters.sql import SqlTokens, open_database
from bridge.adapters.vault import Vault
from bridge.model import IssuedToken, TokenKey

KEYS = "BRIDGE_ENCRYPTION_KEYS"
ROOT = Path(__file__).parents[2]


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


DIES = """
import os, signal, sys
from bridge.adapters.sql import sealing
from bridge.cli import main

sealing.BATCH, replaced, done = 10, sealing._replaced, []

def until_it_dies(*row):
    done.append(row)
    if len(done) == 25:
        os.kill(os.getpid(), signal.SIGKILL)
    return replaced(*row)

sealing._replaced = until_it_dies
sys.argv = ["qlik-bridge", "secrets", "rotate"]
main()
"""


def test_a_run_that_was_killed_outright_is_gone_on_with(
    applied: Run, new: str, encryption_key: str, settings: dict[str, str]
) -> None:
    """Two batches of ten are whole, and of the third nothing is."""
    database = open_database(settings["BRIDGE_DATABASE_URL"])
    tokens = SqlTokens(database, Vault([encryption_key]), time.time)
    for number in range(30):
        key = TokenKey("acme", "client", f"person-{number}", "user_default", "r1")
        now = time.time()
        tokens.put(IssuedToken(key, f"id-{number}", f"value-{number}", "user_default", now, now + 21_600))
    database.close()

    killed = subprocess.run([sys.executable, "-c", DIES], check=False, capture_output=True, cwd=ROOT, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert applied("secrets", "status", "--json").json()["values_by_key"] == [20, 11]

    done = applied("secrets", "rotate", "--json").json()
    assert (done["resealed"], done["dropped"], done["values_by_key"]) == (11, 0, [31, 0])
    kept = SqlTokens(open_database(settings["BRIDGE_DATABASE_URL"]), Vault([new]), time.time)
    found = kept.get(TokenKey("acme", "client", "person-29", "user_default", "r1"))
    assert found is not None
    assert found.value == "value-29"
