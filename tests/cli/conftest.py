"""The command line in this process, over a database of its own."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from clikit import EXAMPLE, Outcome, Run
from cryptography.fernet import Fernet
from doctorkit import RightSetUps

from bridge.cli import main


@pytest.fixture(scope="session")
def encryption_key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def settings(tmp_path: Path, encryption_key: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in [name for name in os.environ if name.startswith("BRIDGE_")]:
        monkeypatch.delenv(name)
    given = {
        "BRIDGE_SECRET_KEY": "s" * 40,
        "BRIDGE_ENCRYPTION_KEYS": encryption_key,
        "BRIDGE_PUBLIC_URL": "https://bridge.example.com",
        "BRIDGE_DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.db'}",
        "BRIDGE_KEYS_DIR": str(tmp_path / "keys"),
        "ACME_ISSUING_SECRET": "the-very-secret-of-acme",
        "ACME_WEBHOOK_SECRET": "the-webhook-secret-of-acme",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


@pytest.fixture(autouse=True)
def right_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no command ask the tenants of the example file, which may be somebody's, how they are set up: all is well.

    Nor a name server where they are.
    """
    monkeypatch.setattr("bridge.bootstrap.HttpTenantSetUp", RightSetUps)
    monkeypatch.setattr("bridge.adapters.reach.Reach.allows_now", lambda *_: True)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["qlik-bridge", *words])
        code = 0
        try:
            main()
        except SystemExit as ending:
            code = int(ending.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs one leaves its installation for the others: keys are slow to make."""
    return tmp_path_factory.mktemp("installation") / "applied"


@pytest.fixture
def applied(run: Run, settings: dict[str, str], installation: Path, tmp_path: Path) -> Run:
    """The example file, applied by the command line."""
    assert settings
    if not installation.exists():
        apply_example(run)
        shutil.copytree(tmp_path, installation)
    shutil.copytree(installation, tmp_path, dirs_exist_ok=True)
    return run


def apply_example(run: Run) -> None:
    for name in ("acme", "acme-sync", "acme-management"):
        assert run("keys", "new", name, "--bits", "2048").code == 0
    done = run("tenants", "apply", str(EXAMPLE), "--yes")
    assert done.code == 0, done.err


@pytest.fixture
def unproven(applied: Run, tmp_path: Path) -> Run:
    """Acme without the condition that people's parity is proven."""
    file = tmp_path / "unproven.toml"
    file.write_text(EXAMPLE.read_text().replace("subjects_needed = 5", "subjects_needed = 0"))
    assert applied("tenants", "apply", str(file), "--yes").code == 0
    return applied
