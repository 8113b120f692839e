"""`qlik-bridge doctor`: what it prints and how it exits."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge.cli import main
from bridge.diagnosis import Diagnosis, Finding, Light
from bridge.services.doctor import CHECKS

GREEN = Finding("reach", "Host", Light.GREEN, "It answers.")
AMBER = Finding("csp", "CSP origins", Light.AMBER, "No entry.", "Add one.")
RED = Finding("issuing_consent", "Consent", Light.RED, "Its consent is Required.", "Make it Trusted.")
OPEN = Finding("probe_login", "Login", Light.NOT_CHECKED, "Mend 'Consent' first.", because="issuing_consent")
LEAK = Finding("x", "X", Light.RED, "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln", "eas.sid=s3ss10n")


class Asked(SimpleNamespace):
    """A doctor that gives one answer."""

    def examine(self, slug: str, probe: str | None) -> Diagnosis:
        self.calls.append((slug, probe))
        return Diagnosis(slug, 1.0, tuple(self.findings), self.is_away)


def run(
    monkeypatch: pytest.MonkeyPatch, *words: str, findings: list[Finding], is_away: bool = False
) -> tuple[int, Asked]:
    asked = Asked(calls=[], findings=findings, is_away=is_away)
    monkeypatch.setattr(sys.modules["bridge.cli.doctor"], "wired", lambda: SimpleNamespace(doctor=asked))
    monkeypatch.setattr(sys, "argv", ["qlik-bridge", "doctor", *words])
    with pytest.raises(SystemExit) as ending:
        main()
    return int(ending.value.code or 0), asked


@pytest.mark.parametrize(
    ("findings", "is_away", "code"),
    [
        ([GREEN], False, 0),
        ([GREEN, AMBER, OPEN], False, 0),
        ([GREEN, RED, AMBER], False, 1),
        ([RED], True, 3),
        ([GREEN, OPEN], True, 3),
    ],
)
def test_the_exit_code_is_for_ci(
    monkeypatch: pytest.MonkeyPatch,
    findings: list[Finding],
    is_away: bool,  # noqa: FBT001 - pytest passes it by name
    code: int,
) -> None:
    assert run(monkeypatch, "acme", findings=findings, is_away=is_away)[0] == code
    assert run(monkeypatch, "acme", "--json", findings=findings, is_away=is_away)[0] == code


def test_each_line_has_its_light_cause_and_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, asked = run(monkeypatch, "acme", "--probe", "alice", findings=[GREEN, RED, OPEN])

    lines = capsys.readouterr().out.splitlines()
    assert asked.calls == [("acme", "alice")]
    assert lines == [
        "green        Host: It answers.",
        "red          Consent: Its consent is Required.",
        "               -> Make it Trusted.",
        "not checked  Login: Mend 'Consent' first.",
        "acme: 1 green, 1 red, 1 not checked.",
    ]


def test_json_holds_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "acme", "--json", findings=[RED])

    document = json.loads(capsys.readouterr().out)
    assert document["light"] == "red"
    assert document["findings"][0]["fix"] == "Make it Trusted."


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_what_looks_like_a_credential_is_masked_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    run(monkeypatch, "acme", *more, findings=[LEAK])

    out = capsys.readouterr().out
    assert "eyJ" not in out
    assert "s3ss10n" not in out


def test_the_page_for_people_tells_of_every_line_and_light() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "examine-a-tenant.md").read_text()
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert named == {check.name for check in CHECKS}
    assert {light.value for light in Light} <= {cell.strip() for cell in cells}
