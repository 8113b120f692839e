"""The command line as an operator types it: output, exit codes, and what it leaves in the store."""

import contextlib
import io
import sqlite3
import sys
from pathlib import Path

import pytest
from clikit import EXAMPLE, Run
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


def test_check_lists_every_mistake_at_once(run: Run, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    monkeypatch.setenv("BRIDGE_SECRET_KEY", "short")
    monkeypatch.setenv("BRIDGE_PUBLIC_URL", "http://bridge.example.com/path")
    monkeypatch.setenv("BRIDGE_IDENTITY", "demo,header")
    monkeypatch.setenv("BRIDGE_TYPING_ERROR", "1")

    checked = run("check")

    assert checked.code == 2
    for named in ("SECRET_KEY", "PUBLIC_URL", "demo must stand alone", "TRUSTED_PROXIES", "TYPING_ERROR"):
        assert named in checked.err
    assert settings["BRIDGE_ENCRYPTION_KEYS"] not in checked.err + checked.out


def test_check_as_json_is_for_machines(run: Run, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    assert settings
    monkeypatch.setenv("BRIDGE_PUBLIC_URL", "nonsense://")

    checked = run("check", "--json")

    assert (checked.code, checked.json()["error"]) == (2, "config_error")
    assert len(checked.json()["mistakes"]) == 1


def test_check_of_a_good_set_up_prints_no_secret(applied: Run, settings: dict[str, str]) -> None:
    checked = applied("check")

    assert checked.code == 0, checked.err
    assert "acme" in checked.out
    for name in ("BRIDGE_SECRET_KEY", "BRIDGE_ENCRYPTION_KEYS", "ACME_ISSUING_SECRET"):
        assert settings[name] not in checked.out + checked.err


def test_check_names_a_missing_signing_key_and_an_unknown_default_tenant(
    applied: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "keys" / "acme.pem").unlink()
    monkeypatch.setenv("BRIDGE_DEFAULT_TENANT", "nowhere")

    checked = applied("check")

    assert checked.code == 2
    assert "acme.pem" in checked.err
    assert "nowhere" in checked.err


def test_check_names_what_it_cannot_read(
    run: Run, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], tmp_path: Path
) -> None:
    assert settings
    monkeypatch.setenv("BRIDGE_IDENTITY", "assertion")
    monkeypatch.setenv("BRIDGE_ASSERTION_ISSUER", "https://portal.example")
    monkeypatch.setenv("BRIDGE_ASSERTION_JWKS", str(tmp_path / "nowhere.json"))

    checked = run("check")

    assert checked.code == 2
    assert "BRIDGE_ASSERTION_JWKS" in checked.err
    assert "BRIDGE_KEYS_DIR" in checked.err


@pytest.mark.parametrize("bits", ["2048", "4096"])
def test_a_new_key_is_private_and_its_certificate_says_what_to_paste(
    run: Run, settings: dict[str, str], tmp_path: Path, bits: str
) -> None:
    assert settings
    made = run("keys", "new", "acme", "--bits", bits)
    key, certificate = tmp_path / "keys" / "acme.pem", tmp_path / "keys" / "acme.crt"
    parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    public = parsed.public_key()

    assert made.code == 0
    assert key.stat().st_mode & 0o777 == 0o600
    assert isinstance(public, RSAPublicKey)
    assert public.key_size == int(bits)
    assert certificate.read_text().strip() in made.out
    assert "PRIVATE" not in made.out
    assert 'signing_key = "acme.pem"' in made.out


def test_a_key_is_never_overwritten(run: Run, settings: dict[str, str], tmp_path: Path) -> None:
    assert settings
    run("keys", "new", "acme", "--bits", "2048")
    before = (tmp_path / "keys" / "acme.pem").read_bytes()

    again = run("keys", "new", "acme", "--bits", "2048")

    assert again.code == 2
    assert (tmp_path / "keys" / "acme.pem").read_bytes() == before


def test_keys_are_listed(applied: Run) -> None:
    listed = applied("keys", "list", "--json").json()

    assert [each["name"] for each in listed] == ["acme-management.pem", "acme-sync.pem", "acme.pem"]
    assert {each["bits"] for each in listed} == {2048}


def test_apply_shows_the_plan_and_does_nothing_without_a_yes(
    run: Run, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))

    planned = run("tenants", "apply", str(EXAMPLE))

    assert planned.code == 1
    assert "Nothing was applied" in planned.err
    assert "acme: create" in planned.out
    assert settings["ACME_ISSUING_SECRET"] not in planned.out
    assert run("tenants", "list", "--json").json() == []


def test_applying_twice_changes_nothing_and_a_difference_is_shown(applied: Run, tmp_path: Path) -> None:
    again = applied("tenants", "apply", str(EXAMPLE))
    changed = tmp_path / "tenants.toml"
    changed.write_text(EXAMPLE.read_text().replace("Acme Corporation", "Acme Incorporated"))
    planned = applied("tenants", "apply", str(changed), "--yes", "--json").json()

    assert (again.code, again.out) == (0, "acme: no change\n")
    assert planned[0]["fields"] == {"name": {"before": "Acme Corporation", "after": "Acme Incorporated"}}
    assert applied("tenants", "show", "acme").json()["name"] == "Acme Incorporated"


def test_a_bad_file_changes_nothing_and_lists_every_mistake(applied: Run, tmp_path: Path) -> None:
    broken = tmp_path / "tenants.toml"
    text = EXAMPLE.read_text()
    text = text.replace("https://acme.eu.qlikcloud.com", "http://user:pw@acme.eu.qlikcloud.com/path")
    text = text.replace('secret = "env:ACME_ISSUING_SECRET"', 'secret = "written down"')
    text = text.replace('group_strategy = "jwt"', 'group_strategy = "api"')
    broken.write_text(text.replace("sync_max_age_s", "sync_maximum_age_s"))

    refused = applied("tenants", "apply", str(broken), "--yes")

    assert refused.code == 2
    for named in ("host", "issuing_client.secret", "group_strategy", "sync_maximum_age_s"):
        assert named in refused.err
    assert "written down" not in refused.err
    assert "pw" not in refused.err


@pytest.mark.parametrize("content", [None, "not = [toml", "", "[[tenant]]\n"])
def test_a_file_that_is_none_says_so(run: Run, settings: dict[str, str], tmp_path: Path, content: str | None) -> None:
    assert settings
    file = tmp_path / "tenants.toml"
    if content is not None:
        file.write_text(content)

    assert run("tenants", "apply", str(file), "--yes").code == 2


def test_show_masks_secrets_and_an_unknown_tenant_is_refused(applied: Run, settings: dict[str, str]) -> None:
    shown = applied("tenants", "show", "acme")

    assert settings["ACME_ISSUING_SECRET"] not in shown.out
    assert settings["ACME_WEBHOOK_SECRET"] not in shown.out
    assert shown.json()["stage"] == "legacy"
    assert applied("tenants", "show", "nowhere").code == 1


def test_stages_move_one_step_and_back(unproven: Run) -> None:
    skipped = unproven("stage", "move", "acme", "oauth", "--json")
    unproven("stage", "move", "acme", "shadow", "--reason", "begin")
    rolled = unproven(
        "stage", "move", "acme", "rollout", "--percent", "25", "--subject", "ada", "--group", "Pilot", "--json"
    )
    changed = unproven("stage", "move", "acme", "rollout", "--percent", "50", "--json")
    back = unproven("stage", "rollback", "acme", "--reason", "slow", "--json")

    assert (skipped.code, [each["condition"] for each in skipped.json()["unmet"]]) == (1, ["next_stage"])
    assert rolled.json() == {
        "slug": "acme",
        "stage": "rollout",
        "percent": 25,
        "cohorts": {"subjects": ["ada"], "groups": ["Pilot"]},
        "ramp": None,
        "kill": None,
    }
    assert (changed.json()["percent"], changed.json()["cohorts"]["subjects"]) == (50, ["ada"])
    assert back.json()["stage"] == "shadow"
    assert unproven("stage", "show", "acme", "--json").json()["stage"] == "shadow"


def test_a_rollback_that_is_none_is_refused(applied: Run) -> None:
    assert applied("stage", "rollback", "acme").code == 1
    assert applied("stage", "rollback", "acme", "--to", "oauth").code == 1


def test_a_forced_move_needs_a_reason(applied: Run) -> None:
    refused = applied("stage", "move", "acme", "shadow", "--force")

    assert refused.code == 1
    assert "reason" in refused.err


def test_tokens_revoke_wants_to_know_which(applied: Run) -> None:
    assert applied("tokens", "revoke").code == 1
    assert applied("tokens", "revoke", "--tenant", "nowhere").code == 1
    assert applied("tokens", "revoke", "--tenant", "acme", "--json").json() == {
        "revoked": 0,
        "failed": 0,
        "left": 0,
        "why_left": None,
    }
    assert applied("tokens", "revoke", "--rest").out == "0 revoked, 0 failed, 0 left\n"


def test_operator_tokens_are_listed_and_revoked_by_name(applied: Run) -> None:
    for name in ("ci", "ops"):
        applied("operators", "token", "new", name)

    assert applied("operators", "token", "revoke", "ci").code == 0
    assert [each["name"] for each in applied("operators", "token", "list", "--json").json()] == ["ops"]
    assert "ops" in applied("operators", "token", "list").out
    assert applied("operators", "token", "revoke", "ci").code == 1


def test_a_step_back_to_a_full_rollout_says_that_nobody_moved(unproven: Run) -> None:
    for stage in ("shadow", "rollout", "oauth"):
        unproven("stage", "move", "acme", stage, "--percent", "100")

    back = unproven("stage", "rollback", "acme", "--revoke-tokens", "--json")

    assert (back.code, back.json()["stage"]) == (0, "rollout")
    assert "100 %" in back.err
    assert "--to shadow" in back.err


def test_several_tenants_are_a_list_and_one_that_was_named_is_not(applied: Run) -> None:
    assert isinstance(applied("stage", "show", "--json").json(), list)
    assert isinstance(applied("stage", "show", "acme", "--json").json(), dict)
    assert applied("stage", "show").out.splitlines()[1].startswith("acme ")


def test_fingerprints_are_shown_whole(applied: Run) -> None:
    fingerprint = applied("keys", "list", "--json").json()[0]["fingerprint"]

    assert len(fingerprint) > 60
    assert fingerprint in applied("keys", "list").out


def test_check_warns_of_a_tenant_that_nobody_can_reach(applied: Run) -> None:
    checked = applied("check")

    assert "acme admits assertion" in checked.err


def test_check_warns_of_a_host_that_is_not_called(applied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.adapters.reach.Reach.allows_now", lambda _, host: "qlikcloud" not in host)
    checked = applied("check")

    assert checked.code == 0
    assert "tenant acme: host is not called: it must be a public address" in checked.err
    assert "BRIDGE_PRIVATE_NETWORKS" in checked.err


def test_check_names_a_database_that_was_sealed_with_another_key(applied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_ENCRYPTION_KEYS", Fernet.generate_key().decode())

    checked = applied("check")

    assert checked.code == 2
    assert "BRIDGE_ENCRYPTION_KEYS" in checked.err


def test_an_operator_token_is_shown_once_and_stored_hashed(applied: Run, tmp_path: Path) -> None:
    value = applied("operators", "token", "new", "ci", "--json").json()["token"]
    database = b"".join(file.read_bytes() for file in tmp_path.glob("bridge.db*"))

    assert value.startswith("qbo_")
    assert value.encode() not in database


def test_a_database_that_cannot_be_is_a_mistake_in_the_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], tmp_path: Path
) -> None:
    assert settings
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRIDGE_DATABASE_URL", f"sqlite:///{tmp_path / 'file' / 'bridge.db'}")

    assert run("check").code == 2


def test_wrong_usage_exits_2(run: Run) -> None:
    assert run("stage", "move", "acme", "sideways").code == 2
    assert run("nonsense").code == 2


def test_version_and_help(run: Run) -> None:
    assert run("--version").code == 0
    assert "tenants" in run("--help").out


def altered(settings: dict[str, str], statement: str) -> None:
    with contextlib.closing(sqlite3.connect(settings["BRIDGE_DATABASE_URL"].removeprefix("sqlite:///"))) as file, file:
        file.execute(statement)
        file.execute("UPDATE revision SET counter = counter + 1")


def test_a_tenant_that_cannot_be_read_is_named_and_mended(applied: Run, settings: dict[str, str]) -> None:
    altered(
        settings,
        """UPDATE tenants SET document = json_set(document, '$.guardrails.throttled', json(
        '{"threshold": null}')) WHERE slug = 'acme'""",
    )
    problem = "acme cannot be read: guardrails.throttled.threshold: Input should be a valid number"

    checked, shown = applied("check"), applied("tenants", "show", "acme")
    killed = applied("stage", "kill", "--all", "--reason", "Qlik is down")
    assert (checked.code, shown.code, killed.code) == (2, 2, 0), killed.err
    assert problem in checked.err
    assert problem in shown.err

    mended = applied("tenants", "apply", str(EXAMPLE), "--yes")
    assert mended.code == 0, mended.err
    assert "acme: change" in mended.out
    assert "note: what is stored cannot be read: guardrails.throttled.threshold" in mended.out
    assert applied("tenants", "show", "acme").json()["stage"] == "legacy"
    assert applied("check").code == 0


@pytest.mark.parametrize("command", [["check"], ["tenants", "list"], ["stage", "show"]])
def test_a_database_of_a_newer_version_is_said_to_be_one(
    applied: Run, settings: dict[str, str], command: list[str]
) -> None:
    altered(settings, "UPDATE alembic_version SET version_num = '9999'")

    told, for_machines = applied(*command), applied(*command, "--json")

    assert "newer version of the bridge" in told.err
    assert "revision 9999" in told.err
    assert "Traceback" not in told.err
    assert (told.code, for_machines.code) == ((2, 2) if command == ["check"] else (3, 3))
    assert "newer version of the bridge" in for_machines.json()["message"]
