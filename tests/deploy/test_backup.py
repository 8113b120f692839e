"""A copy made as the how-to says, while the bridge runs, is a bridge: same people, same tokens, same audit."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from serverkit import Installation, tool
from storykit import ROOT

HOW_TO = (ROOT / "docs" / "how-to" / "run-in-production.md").read_text()
PEOPLE = [f"person-{number}" for number in range(5)]


def postgresql_program(name: str) -> str:
    """Return the path of a program beside the server's own."""
    return str(max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))


@pytest.fixture(scope="module")
def postgresql(postgresql_url: str) -> str:
    """A database of one's own, beside those of other tests."""
    command = [postgresql_program("createdb"), f"--maintenance-db={postgresql_url}", "to_back_up"]
    subprocess.run(command, check=True, timeout=60)
    return postgresql_url.replace("/postgres", "/to_back_up")


def sqlite_copy(bridge: Installation, home: Path) -> str:
    copy = home / "bridge.db"
    command = f"VACUUM INTO '{copy}'"
    assert "sqlite3 /var/lib/qlik-bridge/bridge.db \"VACUUM INTO '" in HOW_TO
    subprocess.run([tool("sqlite3", "sqlite3"), str(bridge.home / "bridge.db"), command], check=True, timeout=60)
    return f"sqlite:///{copy}"


def postgresql_copy(bridge: Installation, home: Path) -> str:
    url = bridge.environment["BRIDGE_DATABASE_URL"]
    elsewhere = url.replace("/to_back_up", "/restored")
    dump = str(home / "bridge.dump")
    assert "pg_dump --format=custom --file=" in HOW_TO
    assert "pg_restore --exit-on-error --no-owner --dbname=" in HOW_TO
    for command in (
        ["pg_dump", "--format=custom", f"--file={dump}", f"--dbname={url}"],
        ["createdb", f"--maintenance-db={url}", "restored"],
        ["pg_restore", "--exit-on-error", "--no-owner", f"--dbname={elsewhere}", dump],
    ):
        subprocess.run([postgresql_program(command[0]), *command[1:]], check=True, timeout=60)
    return elsewhere


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_restored_copy_goes_on_where_the_backup_was_made(
    install: Callable[..., Installation], request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    bridge = install(request.getfixturevalue("postgresql") if kind == "postgresql" else "")
    running = bridge.start()
    tokens = [bridge.token(running, who).text for who in PEOPLE]
    copy = {"sqlite": sqlite_copy, "postgresql": postgresql_copy}[kind](bridge, tmp_path)
    assert bridge.token(running, "after the backup").ok
    assert running.stop() == 0
    shutil.copytree(bridge.home / "keys", tmp_path / "keys")
    bridge.acme.forget_calls()

    restored = bridge.start(BRIDGE_DATABASE_URL=copy, BRIDGE_KEYS_DIR=str(tmp_path / "keys"))

    assert [bridge.token(restored, who).text for who in PEOPLE] == tokens
    assert bridge.acme.calls("/oauth/token", "/login/jwt-session") == []
    assert bridge.token(restored, "after the backup").ok, "who came later is logged in and minted for anew"
    assert len(bridge.acme.calls("/oauth/token")) == 1


def test_without_its_encryption_key_a_copy_says_what_is_missing(install: Callable[..., Installation]) -> None:
    bridge = install()
    bridge.environment["BRIDGE_ENCRYPTION_KEYS"] = Fernet.generate_key().decode()

    done = bridge.run(tool("qlik-bridge", "make install"), "check")

    assert done.returncode != 0
    assert "No key of BRIDGE_ENCRYPTION_KEYS opens it: put the key back" in done.stderr
