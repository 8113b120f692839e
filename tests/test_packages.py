"""Which packages are installed, from where, and under which terms: all that can be known without the network.

Whether one of them has a known hole is asked by `make audit`.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted(path.name for path in (ROOT / "requirements").glob("*.lock"))
NPM_LOCKS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("bridge", "tests")
    for path in (ROOT / folder).rglob("package-lock.json")
    if "node_modules" not in path.parts
)
NAME = re.compile(r"^[A-Za-z0-9._-]+")
PINNED = re.compile(r"[A-Za-z0-9._-]+(?:\[[a-z,]+\])?==(?P<version>[^\s;]+)")
ELSEWHERE = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host|\bgit\+|https?://|\bfile:| @ ")
"""How a lock file could name another place than the registry that its reader trusts."""
REGISTRY = "https://registry.npmjs.org/"
TOOLS = {"pip", "setuptools", "wheel", "uv", "qlik-bridge"}
"""What makes an environment, writes a lock, and ourselves."""
FREE = {"MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "ISC", "MPL-2.0", "LGPL-3.0-only"}
"""Terms under which a closed product may use a package as it is."""
CLASSIFIED = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def plain(requirement: str) -> str:
    found = NAME.match(requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def pinned(lock: str) -> dict[str, str]:
    """Return each package of a lock file with its whole entry."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements" / lock).read_text().strip())
    return {plain(entry): entry for entry in entries}


def version(entry: str) -> str:
    found = PINNED.match(entry)
    assert found, entry
    return found["version"]


def installed() -> dict[str, Distribution]:
    return {plain(each.metadata["Name"]): each for each in distributions()}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_its_hash(lock: str) -> None:
    for entry in pinned(lock).values():
        assert PINNED.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_place_of_its_own(lock: str) -> None:
    assert ELSEWHERE.findall((ROOT / "requirements" / lock).read_text()) == []


@pytest.mark.parametrize("lock", NPM_LOCKS)
def test_every_npm_package_has_its_hash_and_comes_from_the_registry(lock: str) -> None:
    packages = {name: each for name, each in json.loads((ROOT / lock).read_text())["packages"].items() if name}

    assert packages
    assert {name for name, each in packages.items() if not each.get("integrity", "").startswith("sha512-")} == set()
    assert {name for name, each in packages.items() if not each.get("resolved", REGISTRY).startswith(REGISTRY)} == set()


def test_the_locks_hold_whatever_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, dev = pinned("runtime.lock"), pinned("dev.lock")

    assert {plain(each) for each in project["project"]["dependencies"]} <= set(runtime)
    assert {plain(each) for each in project["dependency-groups"]["dev"]} <= set(dev)
    assert runtime.items() <= dev.items()  # what is tested is what runs


def test_packages_are_installed_by_their_hashes_alone() -> None:
    files = [ROOT / "Makefile", *ROOT.glob("tests/**/setup.sh"), *ROOT.glob("deploy/Dockerfile")]
    whole = [path.read_text().replace("\\\n", " ") for path in files]
    installs = [line for text in whole for line in text.splitlines() if "--requirement" in line]

    assert len(installs) >= 4
    assert [line for line in installs if "--require-hashes" not in line] == []


def test_what_is_installed_is_what_is_locked() -> None:
    """An older version that stayed behind would be tested, and another one run."""
    locked = {(name, version(entry)) for lock in LOCKS for name, entry in pinned(lock).items()}
    found = {(name, each.version) for name, each in installed().items() if name not in TOOLS}

    assert found - locked == set()


def test_what_is_installed_fits_together() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def terms(package: Distribution) -> str:
    """Return the licence that a package names, by its SPDX expression where it does."""
    told = package.metadata.get_all
    if text := told("License-Expression"):
        return str(text[0])
    named = [each.rpartition(" :: ")[2] for each in told("Classifier") or () if each.startswith("License ::")]
    return " AND ".join(CLASSIFIED.get(each, each) for each in named) or " AND ".join(told("License") or ())


def is_free(expression: str) -> bool:
    while inner := re.search(r"\(([^()]*)\)", expression):
        expression = expression.replace(inner[0], "MIT" if is_free(inner[1]) else "none")
    return any(set(each.split(" AND ")) <= FREE for each in expression.split(" OR "))


def in_use() -> Iterator[tuple[str, Distribution]]:
    """Yield what runs in production and is installed here; markers leave some out."""
    return ((name, each) for name, each in installed().items() if name in pinned("runtime.lock"))


def test_what_runs_is_free_to_use() -> None:
    known = {name: terms(each) for name, each in in_use()}

    assert len(known) > 20
    assert {name: each for name, each in known.items() if not is_free(each)} == {}


@pytest.mark.parametrize("expression", ["GPL-3.0-only", "MIT AND GPL-3.0-only", "MIT AND (GPL-3.0-only OR None)", ""])
def test_other_terms_are_seen(expression: str) -> None:
    assert not is_free(expression)
    assert is_free(f"{expression} OR MIT")


def test_the_audit_calls_nothing_sound_that_it_could_not_ask_about() -> None:
    """Without `--strict` pip-audit finds no holes where it finds no answers."""
    asks = [line for line in (ROOT / "Makefile").read_text().splitlines() if "bin/pip-audit" in line]

    assert asks
    assert all("--strict" in line for line in asks)
