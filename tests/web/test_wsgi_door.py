"""`app.py`, as a server imports it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[2]


def imported(code: str = "import app", **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_mistake_is_told_and_ends_with_gunicorns_app_failed_to_load() -> None:
    done = imported(BRIDGE_IDENTITY="header", BRIDGE_SECRET_KEY="hush")

    assert done.returncode == 4
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "PUBLIC_URL", "TRUSTED_PROXIES"):
        assert f"BRIDGE_{name}" in done.stderr
    assert "hush" not in done.stderr
    assert "Traceback" not in done.stderr


def test_with_good_settings_there_is_an_application(tmp_path: Path) -> None:
    settings = {
        "BRIDGE_SECRET_KEY": "x" * 40,
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": "https://bridge.example.com",
        "BRIDGE_DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.db'}",
    }

    first = imported("import app; print(app.app.test_client().get('/healthz').text)", **settings)
    later = imported("import app, sys; print('alembic' in sys.modules)", **settings)

    assert (first.returncode, first.stdout) == (0, "ok\n"), first.stderr
    assert later.stdout == "False\n", "what only upgrades need takes no memory once they are done"


def test_while_the_database_is_away_the_server_may_try_again() -> None:
    """It stops as a whole at 4; the other workers must go on."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        done = imported(
            BRIDGE_SECRET_KEY="x" * 40,
            BRIDGE_ENCRYPTION_KEYS=Fernet.generate_key().decode(),
            BRIDGE_PUBLIC_URL="https://bridge.example.com",
            BRIDGE_DATABASE_URL=f"postgresql://bridge:hush@127.0.0.1:{nobody.getsockname()[1]}/bridge",
        )

    assert done.returncode == 75
    assert "refused" in done.stderr
    assert "hush" not in done.stderr
    assert "Traceback" not in done.stderr
