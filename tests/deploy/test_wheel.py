"""A wheel is whole: installed elsewhere, without the checkout, it serves pages, migrates and counts."""

import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from serverkit import Installation
from storykit import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy of what is committed or about to be, with the build backend that this environment has."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(ROOT)]
    subprocess.run(command, check=True, timeout=300, stderr=subprocess.DEVNULL)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A fresh environment with the wheel; its dependencies are those of the tests' own."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=True)
    (packages,) = home.glob("lib/python*/site-packages")
    command = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, timeout=300)
    (packages / "dependencies.pth").write_text(str(Path(requests.__file__).parents[1]))
    return str(home / "bin" / "python")


def test_every_template_is_packed_and_no_key_or_database(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {f"bridge/web/templates/{path.name}" for path in (ROOT / "templates").iterdir()}

    assert templates <= names
    assert "bridge/web/static/embed.js" in names
    assert [name for name in names if name.endswith((".pem", ".db", ".key")) or "node_modules" in name] == []


def test_an_installed_wheel_serves(
    install: Callable[..., Installation], python: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bridge = install()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    where = bridge.run(python, "-c", "import bridge; print(bridge.__file__)")
    assert str(Path(python).parents[1]) in where.stdout, where

    server = bridge.start(python=python, folder=elsewhere)

    page = requests.get(f"{server.base}/admin/nowhere", timeout=10)
    assert (page.status_code, "<!doctype html>" in page.text.lower()) == (404, True)
    assert bridge.token(server, "ada").ok
    assert bridge.run(python, "-m", "bridge.cli", "check").returncode == 0
