"""A PostgreSQL server of our own, for as long as it is needed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storykit import free_ports

MISSING = "PostgreSQL is not installed: apt-get install postgresql"


def tools() -> Path | None:
    """Return the folder of the newest server's programs, if one is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def postgresql(programs: Path, *options: str) -> Iterator[str]:
    """Start a server as user postgres (it refuses root), on a free port; yield the URL of its database."""
    folder = Path(tempfile.mkdtemp(prefix="bridge-pg-"))
    owner: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    if owner:
        shutil.chown(folder, **owner)
        owner["extra_groups"] = []

    def run(tool: str, *arguments: str) -> None:
        command = [str(programs / tool), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **owner)

    (port,) = free_ports(1)
    run("initdb", "-A", "trust", "-U", "bridge", "-E", "UTF8", "--no-sync")
    shape = ["listen_addresses=127.0.0.1", "max_connections=150", *options]
    settings = f"-p {port} -k {folder} " + " ".join(f"-c {each}" for each in shape)
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", settings, "start")
    try:
        yield f"postgresql://bridge@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
