"""Reading a tenant's set-up over real sockets: pages, keys in every form, and answers that make no sense."""

from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from fakes import FakeClock, FakeKeys
from joserfc.jwk import ECKey, RSAKey
from scripted import Reply, ScriptedTenant, Seen

from bridge.adapters.qlik_setup import HttpTenantSetUp
from bridge.diagnosis import ClientSecret, CspEntry, GroupSettings, key_fingerprint
from bridge.errors import TenantGarbled, TenantRefused, TenantThrottled
from bridge.model import Tenant

TOKEN, METADATA = "/oauth/token", "/.well-known/oauth-authorization-server"
PROVIDERS, CSP = "/api/v1/identity-providers", "/api/v1/csp-origins"
CLIENT, INTEGRATION = "/api/v1/oauth-clients/issuing", "/api/v1/web-integrations/w1"
FIRST = "?limit=100"
GRANTED = {"access_token": "tok3n-value", "token_type": "bearer", "expires_in": 21_600}


@pytest.fixture
def tenant(acme: Tenant, scripted: ScriptedTenant) -> Tenant:
    scripted.answers[TOKEN] = Reply(document=GRANTED)
    return acme.model_copy(update={"host": scripted.host})


@pytest.fixture
def set_up(keys: FakeKeys, clock: FakeClock) -> HttpTenantSetUp:
    return HttpTenantSetUp(keys, clock)


def provider(pem: str, **more: object) -> dict[str, Any]:
    options = {"issuer": "portal", "staticKeys": [{"kid": "k1", "pem": pem}]}
    return {"protocol": "jwtAuth", "active": True, "options": options, **more}


def certificate(keys: FakeKeys, clock: FakeClock) -> bytes:
    key, name = keys.load("acme.pem"), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "portal")])
    start = datetime.fromtimestamp(clock(), UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, start, start.replace(year=start.year + 2))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_a_greeting_tells_how_far_the_clocks_differ(
    set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant, clock: FakeClock
) -> None:
    scripted.skew_s = 120
    scripted.answers[METADATA] = Reply(document={"token_endpoint": f"{tenant.host}/oauth/token"})
    assert set_up.greet(tenant).skew_s == pytest.approx(120)
    undated = (("Date", "today"),)
    scripted.answers[METADATA] = Reply(document={"token_endpoint": "x"}, headers=undated)
    assert set_up.greet(tenant).skew_s is None
    assert formatdate(clock()) != "today"
    assert "Authorization" not in scripted.seen[0].headers


@pytest.mark.parametrize("reply", [Reply(document={}), Reply(body=b"<html>"), Reply(302), Reply(document=[1])])
def test_what_is_no_tenant_of_qlik_cloud(
    set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant, reply: Reply
) -> None:
    scripted.answers[METADATA] = reply
    with pytest.raises(TenantGarbled):
        set_up.greet(tenant)


def test_every_page_of_a_list_is_read_at_the_tenants_own_host(
    set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant
) -> None:
    following = {"next": {"href": f"https://elsewhere.example{CSP}?limit=100&next=abc"}}
    first = [{"origin": "a", "frameAncestors": True}]
    scripted.answers[CSP + FIRST] = Reply(document={"data": first, "links": following})
    scripted.answers[f"{CSP}?limit=100&next=abc"] = Reply(document={"data": [{"origin": "b"}], "links": {}})
    assert set_up.csp(tenant) == [CspEntry("a", may_frame=True), CspEntry("b", may_frame=False)]
    assert scripted.paths() == [TOKEN, CSP + FIRST, f"{CSP}?limit=100&next=abc"]


def test_a_list_without_an_end_is_given_up(set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant) -> None:
    scripted.answers[CSP + FIRST] = Reply(document={"data": [], "links": {"next": {"href": f"{CSP}{FIRST}"}}})
    with pytest.raises(TenantGarbled) as garbled:
        set_up.csp(tenant)
    assert "pages" in garbled.value.detail


@pytest.mark.parametrize("document", [{}, {"data": {}}, {"data": ["x"]}])
def test_a_garbled_list(
    set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant, document: dict[str, object]
) -> None:
    scripted.answers[CSP + FIRST] = Reply(document=document)
    with pytest.raises(TenantGarbled):
        set_up.csp(tenant)


def test_a_providers_key_in_every_form(
    set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant, keys: FakeKeys, clock: FakeClock
) -> None:
    public = keys.load("acme.pem").public_key()
    whole = certificate(keys, clock).decode()
    bare = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    forms = [whole, whole.replace("\n", ""), whole.replace("\n", " "), bare, "nonsense", whole[:200]]
    listed = [provider(pem) for pem in forms] + [{"protocol": "OIDC"}, {"protocol": "jwtAuth", "active": False}]
    scripted.answers[PROVIDERS + FIRST] = Reply(document={"data": listed})

    found = set_up.providers(tenant)

    ours = key_fingerprint(public)
    assert [each.fingerprint == ours for each in found] == [True] * 4 + [False] * 3
    assert [each.certificate_ends is not None for each in found] == [True] * 3 + [False] * 4
    assert (found[0].issuer, found[0].key_id, found[0].is_active) == ("portal", "k1", True)
    assert (found[6].issuer, found[6].is_active) == ("", False)


def test_a_client_with_its_secrets_and_keys(
    set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant, keys: FakeKeys
) -> None:
    rsa, curve = keys.load("client.pem").public_key(), ec.generate_private_key(ec.SECP384R1()).public_key()
    rsa_jwk = RSAKey.import_key(rsa.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).as_dict()
    ec_jwk = ECKey.import_key(curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).as_dict()
    document = {
        "clientId": "issuing",
        "clientName": "Portal",
        "allowedGrantTypes": ["g"],
        "allowedScopes": ["user_default"],
        "connectionConfig": {"consentMethod": "Trusted"},
        "publishedAt": "2026-01-01T00:00:00Z",
        "clientSecrets": [{"hint": "ab12", "createdAt": "1970-01-02T00:00:00.000Z"}, {"hint": "cd34"}, 7],
        "publicKeys": [{**rsa_jwk, "kid": "r"}, {**ec_jwk, "kid": "e"}, {"kid": "x", "kty": "RSA"}],
    }
    scripted.answers[CLIENT] = Reply(document=document)

    found = set_up.client(tenant, "issuing")

    assert found
    assert (found.name, found.consent, found.is_published, found.is_disabled) == ("Portal", "trusted", True, False)
    assert (found.grants, found.origins) == (frozenset({"g"}), frozenset())
    assert found.secrets == (ClientSecret("ab12", 86_400.0), ClientSecret("cd34", None))
    assert (found.keys["r"], found.keys["e"]) == (key_fingerprint(rsa), key_fingerprint(curve))
    assert found.keys["x"] not in {found.keys["r"], found.keys["e"]}
    scripted.answers[CLIENT] = Reply(document={"allowedScopes": "user_default"})
    with pytest.raises(TenantGarbled):
        set_up.client(tenant, "issuing")


def test_what_is_not_there_is_none_and_what_is_refused_is_an_error(
    set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant
) -> None:
    assert set_up.client(tenant, "gone/../x") is None
    assert scripted.paths()[-1] == "/api/v1/oauth-clients/gone%2F..%2Fx"
    assert set_up.web_integration(tenant, "gone") is None
    scripted.answers[INTEGRATION] = Reply(document={"validOrigins": ["https://a.example"]})
    assert set_up.web_integration(tenant, "w1") == frozenset({"https://a.example"})
    scripted.answers[INTEGRATION] = Reply(403)
    with pytest.raises(TenantRefused):
        set_up.web_integration(tenant, "w1")


def test_group_settings_and_whose_tier_a_429_closes(
    set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant
) -> None:
    path = "/api/v1/groups/settings"
    scripted.answers[path] = Reply(document={"autoCreateGroups": False, "syncIdpGroups": True})
    assert set_up.groups(tenant) == GroupSettings(auto_create=False, sync_idp=True)
    scripted.answers[path] = Reply(document={"autoCreateGroups": True})
    assert set_up.groups(tenant) == GroupSettings(auto_create=True, sync_idp=None)
    scripted.answers[path] = Reply(429, headers=(("Retry-After", "9"),))
    with pytest.raises(TenantThrottled) as throttled:
        set_up.groups(tenant)
    assert (throttled.value.tier, throttled.value.retry_after_s) == (1, 9)


def test_signing_in_is_always_anew(set_up: HttpTenantSetUp, tenant: Tenant, scripted: ScriptedTenant) -> None:
    def granted(seen: Seen) -> Reply:
        assert seen.form()["client_id"] == "management"
        return Reply(document=GRANTED)

    scripted.answers[TOKEN] = granted
    for _ in range(2):
        set_up.sign_in(tenant)
    assert scripted.paths() == [TOKEN, TOKEN]
    scripted.answers[TOKEN] = Reply(401)
    with pytest.raises(TenantRefused):
        set_up.sign_in(tenant)
    with pytest.raises(TenantRefused):
        set_up.sign_in(tenant.model_copy(update={"management_client": None}))
