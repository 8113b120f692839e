"""The doctor over real tenants: silent where all is right, and naming each mistake that is planted."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from storykit import Tenant, change_tenant

from bridge.bootstrap import Bridge
from bridge.diagnosis import Diagnosis, Finding, Light
from bridge.errors import StageRefused
from bridge.model import Identity, OAuthClient, Stage, Subject
from bridge.services.stages import Move

METADATA = "/.well-known/oauth-authorization-server"


class Practice(NamedTuple):
    """A bridge with tenant acme, whose administrator makes mistakes."""

    bridge: Bridge
    acme: Tenant
    keys: Path

    def examine(self, probe: str | None = None) -> Diagnosis:
        return self.bridge.doctor.examine("acme", probe)

    def named(self, check: str, probe: str | None = None) -> Finding:
        return next(each for each in self.examine(probe).findings if each.check == check)

    def change(self, **fields: object) -> None:
        change_tenant(self.bridge, "acme", **fields)

    def client(self, role: str = "issuing") -> dict[str, Any]:
        return next(each for each in self.acme.state()["clients"] if each["role"] == role)

    def spoil_client(self, role: str = "issuing", **fields: object) -> None:
        self.acme.control("PATCH", f"clients/{self.client(role)['client_id']}", fields)

    def rotate_secret(self, role: str = "issuing") -> None:
        self.acme.control("POST", f"clients/{self.client(role)['client_id']}/secret")

    def provider(self, place: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.acme.state()["identity_providers"][place]
        return found

    def spoil_provider(self, **fields: object) -> None:
        self.acme.control("PATCH", f"identity-providers/{self.provider()['id']}", fields)

    def certify(self, days: int) -> None:
        """Put a certificate of the same key in place that ends in so many days."""
        key = load_pem_private_key(self.provider()["private_key"].encode(), None)
        assert isinstance(key, RSAPrivateKey)
        self.spoil_provider(certificate=certificate(key, days))

    def spoil_integration(self, **fields: object) -> None:
        self.acme.control("PATCH", f"web-integrations/{self.acme.state()['web_integrations'][0]['id']}", fields)

    def spoil_csp(self, **fields: object) -> None:
        entry = self.acme.state()["csp_origins"][0]
        self.admin("PUT", f"csp-origins/{entry['id']}", {"origin": entry["origin"], **fields})

    def set_groups(self, **settings: bool) -> None:
        changes = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in settings.items()]
        self.admin("PATCH", "groups/settings", changes)

    def take_role_of_bot(self) -> None:
        bot = next(each for each in self.acme.state()["users"] if each.get("clientId"))
        self.admin("PATCH", f"users/{bot['id']}", [{"op": "replace", "path": "/assignedRoles", "value": []}])

    def sync_by(self, provider: int, **fields: str) -> None:
        """Let the bridge log in by a second identity provider, with the key of one of the two."""
        (self.keys / "sync.pem").write_text(self.provider(provider)["private_key"])
        second = self.provider(1)
        names = {"sync_issuer": second["issuer"], "sync_key_id": second["kid"], "sync_key": "sync.pem"}
        self.change(**names | fields)

    def prove_by_key(self, **fields: str) -> None:
        client = self.client()
        (self.keys / "client.pem").write_text(client["private_key"])
        proof = {"id": client["client_id"], "key": "client.pem", "key_id": client["key_id"]}
        self.change(issuing_client=OAuthClient.model_validate(proof | fields))

    def meet(self, name: str, *groups: str) -> None:
        """Let somebody come by the legacy path, which is how the bridge gets to know them."""
        somebody = Subject(name, name.title(), f"{name}@example.com", frozenset(groups))
        self.bridge.legacy.issue(self.bridge.tenants.get("acme"), Identity(somebody, "demo", "demo", 1))

    def fault(self, endpoint: str, **fields: object) -> None:
        self.acme.control("POST", "faults", {"endpoint": endpoint, "times": None, **fields})

    def admin(self, method: str, path: str, body: object) -> None:
        url = f"{self.acme.origin}/api/v1/{path}"
        answer = requests.request(method, url, json=body, headers=self.acme.admin(), timeout=10)
        assert answer.ok, answer.text


def certificate(key: RSAPrivateKey, days: int) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "portal")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(now - dt.timedelta(days=900)).not_valid_after(now + dt.timedelta(days=days))
    pem = dated.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return pem.decode()


@pytest.fixture
def practice(product: Bridge, sandbox: tuple[Tenant, Tenant], tmp_path: Path) -> Practice:
    return Practice(product, sandbox[0], tmp_path / "keys")


def findings(diagnosis: Diagnosis) -> Mapping[str, Finding]:
    return {each.check: each for each in diagnosis.findings}


@pytest.mark.parametrize("slug", ["acme", "globex"])
def test_a_right_tenant_raises_no_alarm(practice: Practice, slug: str) -> None:
    diagnosis = practice.bridge.doctor.examine(slug)

    alarms = (*diagnosis.of(Light.RED), *diagnosis.of(Light.AMBER))
    assert alarms == ()
    unchecked = {each.check for each in diagnosis.of(Light.NOT_CHECKED)}
    assert unchecked == {"sync_provider", "sync_key", "probe_login", "probe_groups", "probe_token"}
    assert all(each.cause for each in diagnosis.findings)
    assert (diagnosis.light, diagnosis.is_away) == (Light.GREEN, False)


def test_a_right_tenant_with_all_that_is_optional_raises_no_alarm(practice: Practice) -> None:
    practice.sync_by(1)
    practice.prove_by_key()
    practice.meet("alice", "Finance", "EMEA")

    diagnosis = practice.examine("alice")

    assert [each.check for each in diagnosis.findings if each.light is not Light.GREEN] == []
    assert diagnosis.findings[-1].cause.startswith("3 of our 400 calls in 5 min are spent.")
    tokens = [each for each in practice.acme.state()["tokens"] if each["grant_type"] != "client_credentials"]
    assert [each["revoked"] for each in tokens] == [True]


def test_without_a_probe_nothing_is_changed(practice: Practice) -> None:
    practice.meet("alice")
    practice.acme.forget_calls()

    practice.examine()

    calls = practice.acme.control("GET", "calls").json()
    assert {(call["method"], call["path"]) for call in calls if call["method"] != "GET"} == {("POST", "/oauth/token")}
    assert len(calls) < 15


def remove_provider(practice: Practice) -> None:
    practice.acme.control("DELETE", f"identity-providers/{practice.provider()['id']}")


def remove_integration(practice: Practice) -> None:
    practice.acme.control("DELETE", f"web-integrations/{practice.acme.state()['web_integrations'][0]['id']}")


def one_client_for_both(practice: Practice) -> None:
    practice.change(management_client=practice.bridge.tenants.get("acme").tenant.issuing_client)


def unknown_client(practice: Practice) -> None:
    practice.change(issuing_client=OAuthClient(id="nobody", secret=SecretStr("hush")))


def slash_at_the_end(practice: Practice) -> None:
    practice.spoil_client(allowed_origins=[f"{origin}/" for origin in practice.client()["allowed_origins"]])


def another_key(practice: Practice) -> None:
    practice.spoil_provider(certificate=certificate(generate_private_key(65537, 2048), 900))


def lose_the_key(practice: Practice) -> None:
    (practice.keys / "acme.pem").unlink()


Plant = Callable[[Practice], object]
RED, AMBER = Light.RED, Light.AMBER
OTHER = ["https://other.example"]
MISTAKES: dict[str, tuple[Plant, str, Light, str]] = {
    "another issuer": (lambda p: p.spoil_provider(issuer="https://x"), "identity_provider", RED, "issuer = "),
    "another key id": (lambda p: p.spoil_provider(kid="k2"), "identity_provider", RED, 'key_id = "k2"'),
    "no identity provider": (remove_provider, "identity_provider", RED, "create one of type JWT"),
    "an inactive identity provider": (lambda p: p.spoil_provider(active=False), "identity_provider", RED, "activate"),
    "another public key": (another_key, "signing_key", RED, "not the key"),
    "a lost key file": (lose_the_key, "keys", RED, "acme.pem"),
    "another issuer for sync": (lambda p: p.sync_by(1, sync_issuer="https://x"), "sync_provider", RED, "sync_issuer"),
    "the wrong key for sync": (lambda p: p.sync_by(0), "sync_key", RED, "sync.pem"),
    "a certificate that ends soon": (lambda p: p.certify(20), "certificate", AMBER, "keys new"),
    "a certificate that ended": (lambda p: p.certify(-3), "certificate", RED, "keys new"),
    "a clock far ahead": (lambda p: p.acme.control("POST", "clock", {"offset_s": 90}), "clock", RED, "NTP"),
    "a clock far behind": (lambda p: p.acme.control("POST", "clock", {"offset_s": -60}), "clock", RED, "NTP"),
    "a clock somewhat ahead": (lambda p: p.acme.control("POST", "clock", {"offset_s": 20}), "clock", AMBER, "ahead"),
    "a rotated management secret": (lambda p: p.rotate_secret("management"), "management_client", RED, "secret"),
    "a management client without administration": (
        lambda p: p.spoil_client("management", allowed_scopes=["user_default"]),
        "management_client",
        RED,
        "admin_classic",
    ),
    "a bot without its role": (Practice.take_role_of_bot, "management_rights", RED, "TenantAdmin"),
    "a management client that impersonates": (
        lambda p: p.spoil_client(
            "management", allowed_grant_types=["client_credentials", "urn:qlik:oauth:user-impersonation"]
        ),
        "management_rights",
        AMBER,
        "take user impersonation away",
    ),
    "one client for both": (one_client_for_both, "clients_apart", RED, "second client"),
    "an unknown issuing client": (unknown_client, "issuing_client", RED, "no client nobody"),
    "a disabled issuing client": (lambda p: p.spoil_client(disabled=True), "issuing_client", RED, "enable"),
    "a published issuing client": (lambda p: p.spoil_client(published=True), "issuing_published", RED, "published"),
    "consent required": (lambda p: p.spoil_client(consent_method="required"), "issuing_consent", RED, "Trusted"),
    "no impersonation": (lambda p: p.spoil_client(allowed_grant_types=[]), "issuing_grant", RED, "impersonation"),
    "client credentials too": (
        lambda p: p.spoil_client(allowed_grant_types=["client_credentials", "urn:qlik:oauth:user-impersonation"]),
        "issuing_no_credentials",
        RED,
        "take client credentials away",
    ),
    "another scope": (lambda p: p.spoil_client(allowed_scopes=["apps:read"]), "issuing_scope", RED, "user_default"),
    "an administrative scope": (
        lambda p: p.spoil_client(allowed_scopes=["user_default", "admin_classic"]),
        "issuing_no_admin",
        RED,
        "take admin_classic away",
    ),
    "a rotated issuing secret": (Practice.rotate_secret, "issuing_credential", AMBER, "make a secret"),
    "secrets not allowed": (
        lambda p: p.spoil_client(allowed_auth_methods=["private_key_jwt"]),
        "issuing_credential",
        RED,
        "allow client secrets",
    ),
    "an unregistered client key": (lambda p: p.prove_by_key(key_id="k9"), "issuing_credential", RED, "as k9"),
    "other origins": (lambda p: p.spoil_client(allowed_origins=OTHER), "issuing_origins", RED, "OAUTH-29"),
    "an origin with a slash": (slash_at_the_end, "issuing_origins", RED, "no slash"),
    "an old secret": (lambda p: p.spoil_client(secret_age_days=400), "secret_age", AMBER, "400 days"),
    "no creation of groups": (lambda p: p.set_groups(autoCreateGroups=False), "groups", RED, "autoCreateGroups"),
    "no sync of groups": (lambda p: p.set_groups(syncIdpGroups=False), "groups", AMBER, "syncIdpGroups"),
    "no web integration set": (lambda p: p.change(web_integration_id=None), "web_integration", RED, "None is set"),
    "no web integration": (remove_integration, "web_integration", RED, "knows no web integration"),
    "a web integration for others": (
        lambda p: p.spoil_integration(valid_origins=OTHER),
        "web_integration_origins",
        RED,
        "legacy pages",
    ),
    "no framing": (lambda p: p.spoil_csp(imgSrc=True), "csp", AMBER, "frame-ancestors"),
    "framing for others": (lambda p: p.spoil_csp(origin="other.example", frameAncestors=True), "csp", AMBER, "frame"),
    "no tenant": (lambda p: p.fault(METADATA, body="<html>", content_type="text/html"), "reach", RED, "host"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found_and_named(practice: Practice, mistake: str) -> None:
    plant, check, light, words = MISTAKES[mistake]
    plant(practice)

    diagnosis = practice.examine()

    alarms = {each.check: each.light for each in diagnosis.findings if each.light in {RED, AMBER}}
    found = findings(diagnosis)[check]
    assert alarms.get(check) is light
    assert words in f"{found.cause} {found.fix}"
    assert found.fix, "every alarm says what to do"
    extra = alarms.keys() - {check} - ALSO_RED.get(mistake, set())
    assert extra == set(), "causes only, no symptoms"


ALSO_RED = {"one client for both": {"management_client"}}
"""That client has no client credentials, which is another mistake."""


def test_a_symptom_is_not_checked_because_of_its_cause(practice: Practice) -> None:
    practice.spoil_provider(kid="k2")
    practice.spoil_client(published=True)
    practice.meet("alice")

    found = findings(practice.examine("alice"))

    for symptom, cause in (
        ("signing_key", "identity_provider"),
        ("certificate", "identity_provider"),
        ("probe_login", "identity_provider"),
        ("probe_token", "identity_provider"),
        ("issuing_consent", "issuing_published"),
    ):
        assert (found[symptom].light, found[symptom].because) == (Light.NOT_CHECKED, cause)
        assert found[cause].about in found[symptom].cause


def test_the_dry_run_names_what_only_a_login_or_a_token_shows(practice: Practice) -> None:
    practice.meet("dave", "Sales")
    assert practice.named("probe_login", "dave").light is Light.RED
    assert "enable" in practice.named("probe_login", "dave").fix

    practice.meet("alice", "Finance", "EMEA")
    practice.rotate_secret()
    minted = practice.named("probe_token", "alice")
    assert (minted.light, "secret" in minted.fix) == (Light.RED, True)


def test_the_dry_run_takes_nobodys_groups_away(practice: Practice) -> None:
    practice.meet("alice", "Finance", "EMEA")
    practice.examine("alice")
    stranger = practice.named("probe_login", "bob")

    alice = next(each for each in practice.acme.state()["users"] if each["subject"] == "alice")
    assert {group["name"] for group in alice["assignedGroups"]} == {"Finance", "EMEA"}
    assert stranger.light is Light.NOT_CHECKED
    assert "bob" not in {each["subject"] for each in practice.acme.state()["users"]}


def test_a_tenant_that_is_away_or_throttles(practice: Practice) -> None:
    practice.fault("/api/v1/csp-origins", retry_after=7)
    throttled = practice.examine()
    assert throttled.is_away
    assert findings(throttled)["csp"].light is Light.NOT_CHECKED
    assert "7 s" in findings(throttled)["budget"].cause

    practice.acme.control("DELETE", "faults")
    practice.fault(METADATA, status=503)
    away = practice.examine()
    assert away.is_away
    assert findings(away)["reach"].light is Light.RED
    assert {each.because for each in away.of(Light.NOT_CHECKED) if each.because} >= {"reach"}


def test_without_a_management_client_the_rest_is_still_looked_at(practice: Practice) -> None:
    practice.change(management_client=None)
    practice.meet("alice")

    diagnosis = practice.examine("alice")
    found = findings(diagnosis)

    assert diagnosis.light is Light.GREEN
    assert found["management_client"].light is Light.NOT_CHECKED
    assert found["identity_provider"].because == "management_client"
    assert {found[name].light for name in ("probe_login", "probe_groups", "probe_token", "clock")} == {Light.GREEN}


def test_the_diagnosis_is_safe_to_paste(practice: Practice) -> None:
    practice.sync_by(1)
    practice.meet("alice", "Finance")
    pages = [json.dumps(practice.examine("alice").document())]
    practice.rotate_secret()
    pages.append(json.dumps(practice.examine("alice").document()))

    state = practice.acme.state()
    secrets = [client["client_secret"] for client in state["clients"]]
    secrets += [token["token"] for token in state["tokens"]] + [session["cookie"] for session in state["sessions"]]
    secrets += [line for each in state["identity_providers"] for line in each["private_key"].splitlines()[1:-1]]
    assert len(secrets) > 50
    assert [secret for secret in secrets for page in pages if secret in page] == []
    assert "eyJ" not in "".join(pages)


def test_a_move_forward_waits_until_nothing_is_red(practice: Practice) -> None:
    practice.spoil_client(consent_method="required")
    forward = Move(Stage.SHADOW, "test", "now")

    with pytest.raises(StageRefused) as refused:
        practice.bridge.stages.move("acme", forward)
    (unmet,) = refused.value.unmet
    assert (unmet.condition, "Trusted" in unmet.message) == ("doctor", True)
    assert practice.bridge.stages.plan("acme").unmet == (unmet,)

    practice.spoil_client(consent_method="trusted")
    practice.fault(METADATA, status=503)
    with pytest.raises(StageRefused) as away:
        practice.bridge.stages.move("acme", forward)
    assert [each.condition for each in away.value.unmet] == ["not_checked"]

    practice.acme.control("DELETE", "faults")
    practice.bridge.stages.move("acme", forward)
    practice.spoil_client(consent_method="required")
    practice.bridge.stages.move("acme", Move(Stage.LEGACY, "test", "back is always possible"))
