"""What is not documented fails the build, and so does what is documented but not there."""

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cryptography.fernet import Fernet
from flask import Flask

from bridge.bootstrap import build
from bridge.cli import cli
from bridge.errors import BridgeError, TenantError
from bridge.evidence import Ignore, ParityPlan, RowProbe
from bridge.guarding import Guardrails
from bridge.model import Content, OAuthClient, Tenant
from bridge.services.tenants import RolloutDocument, read_declared
from bridge.settings import Settings, read_settings
from bridge.telemetry import Metrics, Step
from bridge.web import create_app
from bridge.webhooks import Webhook

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
WITHOUT_A_TEST = ["the database and `BRIDGE_ENCRYPTION_KEYS`", "`BRIDGE_ENCRYPTION_KEYS` alone"]
"""What keys open is what keys are for."""
WEB_ONLY_CODES = {"not_found", "method_not_allowed", "internal_error"}


def documented(page: str) -> str:
    return (REFERENCE / page).read_text()


def first_cells(page: str) -> set[str]:
    """Return the code spans in the first column of every table of a page."""
    cells = [line.split("|")[1] for line in documented(page).splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def errors(root: type[BridgeError] = BridgeError) -> Iterator[type[BridgeError]]:
    for each in root.__subclasses__():
        yield each
        yield from errors(each)


def commands(group: click.Command = cli, path: str = "qlik-bridge") -> Iterator[str]:
    if not isinstance(group, click.Group):
        yield path
        return
    for name, command in group.commands.items():
        yield from commands(command, f"{path} {name}")


ALONE = {"BRIDGE_IDENTITY": "demo", "BRIDGE_DEMO_PEOPLE": "http://127.0.0.1:9"}
TOGETHER = {
    "BRIDGE_IDENTITY": "oidc",
    "BRIDGE_OIDC_ISSUER": "https://id.example.com",
    "BRIDGE_OIDC_CLIENT_ID": "qlik-bridge",
    "BRIDGE_OIDC_CLIENT_SECRET": "secret",
}


@pytest.fixture
def apps(tmp_path: Path) -> Iterator[list[Flask]]:
    """The demo, and a bridge that people sign in to: together they serve every route."""
    required = {
        "BRIDGE_SECRET_KEY": "x" * 32,
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": "http://localhost:8000",
        "BRIDGE_DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.db'}",
    }
    bridges = [build(read_settings(required | ways)) for ways in (ALONE, TOGETHER)]
    yield [create_app(bridge) for bridge in bridges]
    for bridge in bridges:
        bridge.close()


def test_every_setting_is_documented_and_no_other() -> None:
    assert first_cells("settings.md") == {f"BRIDGE_{name.upper()}" for name in Settings.model_fields}


def test_every_error_code_is_documented_and_no_other() -> None:
    codes = {each.code() for each in errors() if each != TenantError} - {"config_error"}

    assert first_cells("errors.md") == codes | WEB_ONLY_CODES
    assert "`config_error`" in documented("errors.md")


def test_every_command_is_documented_and_no_other() -> None:
    written = {re.sub(r"( \[?[A-Z]+\]?)+$", "", name) for name in first_cells("commands.md") if "qlik-bridge" in name}

    assert written == set(commands())


def test_every_audited_action_is_documented_and_no_other() -> None:
    """An action is a string in code that begins as a documented one does."""
    written = {name for name in first_cells("audit.md") if "." in name}
    rooms = "|".join(sorted({name.split(".")[0] for name in written}))
    sources = [
        path.read_text() for room in ("cli", "services", "web") for path in (ROOT / "bridge" / room).rglob("*.py")
    ]
    audited = {name for text in sources for name in re.findall(rf'"((?:{rooms})\.(?!html|json|csv)[a-z_]+)"', text)}

    assert written == audited


def test_every_metric_is_documented_and_no_other() -> None:
    exposed = {family.name + ("_total" if family.type == "counter" else "") for family in Metrics().registry.collect()}

    assert first_cells("metrics.md") == exposed


def test_every_route_is_documented_and_no_other(apps: list[Flask]) -> None:
    """Embed routes are written once, without the prefix under which they are mounted twice."""
    served = {
        f"{method} {rule.rule}"
        for app in apps
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    embeds = {name.replace("/t/<tenant>/", "") for name in served if "/t/<tenant>/" in name and name[-1] != "/"}
    aliases = {name.replace(" ", " /") for name in embeds}

    written = {name for name in first_cells("routes.md") if " " in name}
    assert written == embeds | {name for name in served - aliases if "/t/<tenant>/" not in name or name[-1] == "/"}


def test_every_step_is_documented_and_no_other() -> None:
    assert {name for name in first_cells("routes.md") if " " not in name} == set(Step)


def test_the_example_tenants_file_is_valid_and_shows_every_field() -> None:
    document = tomllib.loads(documented("tenants.example.toml"))
    declared = read_declared(document, lambda reference: "secret" * 3)  # noqa: ARG005 - any reference
    tenant = document["tenants"][0]
    clients = {**tenant["issuing_client"], **tenant["management_client"]}

    assert [each.tenant.slug for each in declared] == ["acme"]
    assert set(tenant) == set(Tenant.model_fields) | set(RolloutDocument.model_fields)
    assert set(tenant["content"]) == set(Content.model_fields)
    assert set(tenant["notify"]) == set(Webhook.model_fields)
    assert set(tenant["guardrails"]) == set(Guardrails.model_fields)
    assert declared[0].tenant.guardrails == Guardrails()
    assert set(tenant["parity"]) == set(ParityPlan.model_fields)
    assert set(tenant["parity"]["probes"][0]) == set(RowProbe.model_fields)
    assert set(tenant["parity"]["ignores"][0]) == set(Ignore.model_fields)
    assert set(clients) == set(OAuthClient.model_fields)


PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_name_only_settings_and_commands_that_exist(page: Path) -> None:
    settings = set(re.findall(r"\bBRIDGE_[A-Z_]+[A-Z]\b", page.read_text()))
    named = set(re.findall(r"qlik-bridge(?: [a-z]+)+", page.read_text()))
    unknown = {name for name in named if not any(f"{name} ".startswith(f"{command} ") for command in commands())}

    assert settings <= {f"BRIDGE_{name.upper()}" for name in Settings.model_fields}
    assert unknown == set()


def options(group: click.Command = cli) -> set[str]:
    if isinstance(group, click.Group):
        return set().union(*(options(command) for command in group.commands.values()))
    return {name for parameter in group.params for name in parameter.opts if name.startswith("--")}


def test_every_option_is_documented_and_no_other() -> None:
    written = set(re.findall(r"--[a-z][a-z-]+", documented("commands.md"))) - {"--help"}

    assert written == options()


def defined_in(path: Path) -> set[str]:
    return {
        node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def test_the_security_page_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "security.md").read_text())
    lost = [f"{file}::{name}" for file, name in named if name and name not in defined_in(ROOT / file)]

    assert len(named) > 50
    assert lost == []


def test_each_claim_of_the_security_page_has_its_test() -> None:
    rows = [line for line in (ROOT / "docs" / "security.md").read_text().splitlines() if line.startswith("| ")]
    bare = [row.split("|")[1].strip() for row in rows if "::" not in row and "(no test" not in row]

    assert bare == ["who", "---", "stolen", "---", *WITHOUT_A_TEST]


def test_decisions_stay_short() -> None:
    long = [page.name for page in (ROOT / "docs" / "decisions").glob("*.md") if len(page.read_text().splitlines()) > 40]

    assert long == []


def test_every_runtime_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[><=\[]", each)[0] for each in project["dependencies"]}
    page = (ROOT / "docs" / "decisions" / "002-dependencies.md").read_text()

    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", page)} == set()


def test_no_key_or_database_is_committed() -> None:
    if not (ROOT / ".git").exists():
        return
    files = subprocess.run(
        ["git", "ls-files", "keys", "*.pem", "*.key", "*.db", "instance"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    ).stdout.split()

    assert set(files) <= {"keys/README.md", "keys/.gitignore"}
