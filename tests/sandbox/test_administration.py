"""What an administrator reads about the tenant's set-up, and the mistakes that can be planted in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox import certificates
from bridge.sandbox.state import WebIntegration
from sandbox.kit import IMPERSONATION, PORTAL, error

if TYPE_CHECKING:
    from sandbox.kit import Sandbox

PROVIDERS, CLIENTS, INTEGRATIONS = "/api/v1/identity-providers", "/api/v1/oauth-clients", "/api/v1/web-integrations"


def read(acme: Sandbox, path: str, **query: object) -> dict[str, Any]:
    answer = acme.api("GET", path, query_string=query or None)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def plant(acme: Sandbox, path: str, **fields: object) -> None:
    answer = acme.call("PATCH", f"/_sandbox/{path}", json=fields)
    assert answer.status_code == 200, answer.text


def test_identity_providers_show_issuer_key_id_and_certificate(acme: Sandbox) -> None:
    portal, sync = read(acme, PROVIDERS)["data"]
    ours = acme.tenant.identity_providers[0]
    assert (portal["protocol"], portal["provider"], portal["interactive"]) == ("jwtAuth", "external", False)
    assert portal["options"]["issuer"] == ours.issuer
    assert portal["options"]["staticKeys"] == [{"kid": ours.kid, "pem": ours.certificate}]
    assert portal["tenantIds"] == [acme.tenant.id]
    assert sync["description"] == "bridge-sync"
    assert read(acme, f"{PROVIDERS}/{sync['id']}") == sync
    assert ours.private_key not in acme.api("GET", PROVIDERS).text


def test_identity_providers_are_narrowed_and_paged(acme: Sandbox) -> None:
    portal, sync = acme.tenant.identity_providers
    plant(acme, f"identity-providers/{sync.id}", active=False)
    assert [entry["id"] for entry in read(acme, PROVIDERS, active="true")["data"]] == [portal.id]
    assert [entry["id"] for entry in read(acme, PROVIDERS, active="false")["data"]] == [sync.id]
    first = read(acme, PROVIDERS, limit=1)
    assert [entry["id"] for entry in read(acme, first["links"]["next"]["href"])["data"]] == [sync.id]
    assert acme.api("GET", PROVIDERS, query_string={"active": "maybe"}).status_code == 400


def test_clients_show_what_they_may_do_and_no_secret(acme: Sandbox) -> None:
    client = read(acme, f"{CLIENTS}/{acme.issuing.client_id}")
    assert client["allowedGrantTypes"] == [IMPERSONATION]
    assert (client["allowedScopes"], client["allowedOrigins"]) == (["user_default"], [PORTAL])
    assert (client["appType"], client["createdByType"]) == ("web", "user")
    assert client["connectionConfig"]["consentMethod"] == "trusted"
    assert [secret["hint"] for secret in client["clientSecrets"]] == [acme.issuing.client_secret[-5:]]
    assert [(key["kid"], key["alg"], key["use"]) for key in client["publicKeys"]] == [
        (acme.issuing.key_id, "RS256", "sig")
    ]
    assert not {"publishedAt", "disableTag", "clientSecret"} & client.keys()
    text = acme.api("GET", CLIENTS).text
    assert acme.issuing.client_secret not in text
    assert acme.management.client_secret not in text
    connection = read(acme, f"{CLIENTS}/{acme.issuing.client_id}/connection-configs/me")
    assert connection == client["connectionConfig"]


def test_clients_are_narrowed_sorted_and_counted(acme: Sandbox) -> None:
    def names(**query: object) -> list[str]:
        return [client["clientName"] for client in read(acme, CLIENTS, **query)["data"]]

    assert names() == ["acme issuing", "acme management"]
    assert names(sort="-clientName") == ["acme management", "acme issuing"]
    assert names(filter=f'clientId eq "{acme.issuing.client_id}"') == ["acme issuing"]
    assert names(filter='appType eq "spa"') == []
    assert read(acme, CLIENTS, totalResults="true")["totalResults"] == 2
    for query in ({"filter": 'secret eq "x"'}, {"sort": "secret"}):
        assert acme.api("GET", CLIENTS, query_string=query).status_code == 400


def test_a_published_client_is_never_trusted(acme: Sandbox) -> None:
    acme.login("alice")
    plant(acme, f"clients/{acme.issuing.client_id}", published=True)
    client = read(acme, f"{CLIENTS}/{acme.issuing.client_id}")
    assert client["publishedAt"]
    assert client["connectionConfig"]["consentMethod"] == "required"
    assert acme.impersonate("alice").status_code == 403
    plant(acme, f"clients/{acme.issuing.client_id}", published=False)
    assert acme.impersonate("alice").status_code == 200


def test_a_disabled_client_gets_no_token(acme: Sandbox) -> None:
    acme.login("alice")
    plant(acme, f"clients/{acme.issuing.client_id}", disabled=True)
    assert read(acme, f"{CLIENTS}/{acme.issuing.client_id}")["disableTag"]
    assert error(acme.impersonate("alice"))["code"] == "OAUTH-14"


def test_the_age_of_a_secret(acme: Sandbox) -> None:
    path = f"clients/{acme.issuing.client_id}"

    def created() -> str:
        secret = read(acme, f"{CLIENTS}/{acme.issuing.client_id}")["clientSecrets"][0]["createdAt"]
        return str(secret)[:4]

    plant(acme, path, secret_age_days=3650)
    old = created()
    acme.call("POST", f"/_sandbox/{path}/secret")
    assert int(created()) >= int(old) + 9
    plant(acme, path, secret_age_days=3650)
    acme.reset()
    assert int(created()) >= int(old) + 9
    assert acme.call("PATCH", f"/_sandbox/{path}", json={"secret_age_days": -1}).status_code == 400


def test_web_integrations_show_their_origins(acme: Sandbox) -> None:
    (entry,) = read(acme, INTEGRATIONS)["data"]
    assert (entry["name"], entry["validOrigins"]) == ("acme portal", [PORTAL])
    assert read(acme, f"{INTEGRATIONS}/{entry['id']}") == entry
    plant(acme, f"web-integrations/{entry['id']}", valid_origins=["https://other.example"])
    assert read(acme, f"{INTEGRATIONS}/{entry['id']}")["validOrigins"] == ["https://other.example"]
    assert error(acme.api("GET", f"{INTEGRATIONS}/x"))["code"] == "WEBINTEGRATIONS_NOT_FOUND"


def test_web_integrations_are_paged_by_id(acme: Sandbox) -> None:
    acme.tenant.web_integrations[:] = [WebIntegration(f"id-{n:02}", f"name {n:02}", (), 0) for n in range(12)]
    first = read(acme, INTEGRATIONS)
    second = read(acme, first["links"]["next"]["href"])
    back = read(acme, second["links"]["prev"]["href"])
    assert [entry["id"] for entry in (*first["data"], *second["data"])] == [f"id-{n:02}" for n in range(12)]
    assert back["data"] == first["data"]
    assert [entry["id"] for entry in read(acme, INTEGRATIONS, sort="-name", limit=1)["data"]] == ["id-11"]
    assert read(acme, INTEGRATIONS, tenantId="other")["data"] == []
    for query in ({"startingAfter": "x"}, {"startingAfter": "id-01", "endingBefore": "id-02"}, {"sort": "id"}):
        assert acme.api("GET", INTEGRATIONS, query_string=query).status_code == 400


@pytest.mark.parametrize("path", [PROVIDERS, CLIENTS, INTEGRATIONS])
def test_administrators_alone_may_read_them(acme: Sandbox, path: str) -> None:
    alice = acme.token("alice")
    for each in (path, f"{path}/x"):
        assert acme.call("GET", each).status_code == 401
        refused = acme.api("GET", each, alice)
        assert refused.status_code == 403
    assert acme.api("GET", f"{path}/x").status_code == 404
    status = {PROVIDERS: 403, CLIENTS: None, INTEGRATIONS: "403"}[path]
    assert error(refused).get("status") == status, "as Qlik writes errors of this area"


def test_planted_mistakes_of_an_identity_provider_refuse_logins_until_a_reset(acme: Sandbox) -> None:
    def login() -> int:
        issuer = acme.tenant.first_identity_providers[0].issuer
        return acme.post_login(acme.sign(acme.claims(iss=issuer))).status_code

    provider = acme.tenant.identity_providers[0]
    path = f"identity-providers/{provider.id}"
    other = certificates.self_signed(certificates.rsa_key(), "other")
    assert login() == 200
    for fields in ({"issuer": "https://other"}, {"certificate": other}, {"active": False}):
        plant(acme, path, **fields)
        assert login() == 401
        acme.reset()
        assert login() == 200
    assert acme.call("DELETE", f"/_sandbox/{path}").status_code == 204
    assert [each["id"] for each in read(acme, PROVIDERS)["data"]] == [acme.tenant.identity_providers[0].id]
    acme.reset()
    assert login() == 200


def test_planted_mistakes_are_checked(acme: Sandbox) -> None:
    provider, integration = acme.tenant.identity_providers[0].id, acme.tenant.web_integrations[0].id
    for path, fields in (
        (f"identity-providers/{provider}", {"certificate": "x"}),
        (f"identity-providers/{provider}", {"private_key": "x"}),
        (f"web-integrations/{integration}", {"valid_origins": [7]}),
        (f"clients/{acme.issuing.client_id}", {"published": "yes"}),
    ):
        assert acme.call("PATCH", f"/_sandbox/{path}", json=fields).status_code == 400
    for path in ("identity-providers/x", "web-integrations/x", "clients/x"):
        assert acme.call("PATCH", f"/_sandbox/{path}", json={}).status_code == 404
    assert acme.call("DELETE", f"/_sandbox/web-integrations/{integration}").status_code == 204
    assert read(acme, INTEGRATIONS)["data"] == []
    foreign = acme.call("PATCH", f"/_sandbox/clients/{acme.issuing.client_id}", json={}, headers={"Origin": PORTAL})
    assert foreign.status_code == 403


def test_a_client_has_several_secrets_and_each_counts_until_it_is_removed(acme: Sandbox) -> None:
    path, old = f"{CLIENTS}/{acme.issuing.client_id}/client-secrets", acme.issuing.client_secret
    made = acme.api("POST", path)
    assert made.status_code == 201
    new = dict(made.json or {})
    assert (new["clientId"], new["hint"]) == (acme.issuing.client_id, new["clientSecret"][-5:])
    shown = read(acme, f"{CLIENTS}/{acme.issuing.client_id}")
    assert [each["hint"] for each in shown["clientSecrets"]] == [old[-5:], new["hint"]]
    assert new["clientSecret"] not in str(shown)

    def proves(secret: str) -> int:
        lookup = {"field": "subject", "value": "alice"}
        return acme.post_token(IMPERSONATION, acme.issuing, client_secret=secret, user_lookup=lookup).status_code

    token = acme.token("alice")
    assert (proves(old), proves(new["clientSecret"])) == (200, 200)
    assert acme.api("DELETE", f"{path}/{old[-5:]}").status_code == 204
    assert (proves(old), proves(new["clientSecret"])) == (401, 200)
    assert acme.me(token)["subject"] == "alice"
    assert acme.api("DELETE", f"{path}/{old[-5:]}").status_code == 404


def test_a_client_has_five_secrets_at_most_and_administrators_change_them(acme: Sandbox) -> None:
    path = f"{CLIENTS}/{acme.issuing.client_id}/client-secrets"
    assert [acme.api("POST", path).status_code for _ in range(5)] == [201] * 4 + [409]
    assert acme.api("POST", path, acme.token("alice")).status_code == 403
    assert acme.api("POST", f"{CLIENTS}/x/client-secrets").status_code == 404
    acme.call("POST", "/_sandbox/reset")
    assert len(acme.issuing.secrets) == 1


def test_tokens_end_with_the_secret_that_they_were_minted_by_where_the_switch_says_so(acme: Sandbox) -> None:
    acme.call("POST", "/_sandbox/switches", json={"tokens_of_rotated_secret": "die"})
    old = acme.issuing.client_secret
    of_the_old = acme.token("alice")
    path = f"{CLIENTS}/{acme.issuing.client_id}/client-secrets"
    assert acme.api("POST", path).status_code == 201
    of_the_new = acme.token("alice")
    assert acme.api("DELETE", f"{path}/{old[-5:]}").status_code == 204
    assert [acme.api("GET", "/api/v1/users/me", token).status_code for token in (of_the_old, of_the_new)] == [401, 301]


def provider_payload(issuer: str, kid: str, pem: str) -> dict[str, Any]:
    options = {"jwtLoginEnabled": True, "issuer": issuer, "staticKeys": [{"kid": kid, "pem": pem}]}
    return {"protocol": "jwtAuth", "provider": "external", "description": "next", "options": options}


def test_a_second_key_is_a_second_identity_provider_of_the_same_issuer(acme: Sandbox) -> None:
    first = acme.tenant.identity_providers[0]
    key = certificates.rsa_key()
    payload = provider_payload(first.issuer, "portal-2", certificates.self_signed(key, "portal-2"))
    made = acme.api("POST", PROVIDERS, json=payload)
    assert made.status_code == 201
    found = dict(made.json or {})
    assert found["options"] == payload["options"]
    assert read(acme, f"{PROVIDERS}/{found['id']}") == found
    assert acme.api("POST", PROVIDERS, json=payload).status_code == 400
    assert acme.api("DELETE", f"{PROVIDERS}/{first.id}").status_code == 204
    assert first.id not in [entry["id"] for entry in read(acme, PROVIDERS)["data"]]
    assert acme.api("DELETE", f"{PROVIDERS}/{first.id}").status_code == 404


@pytest.mark.parametrize("wrong", ["protocol", "keys", "pem", "issuer", "options"])
def test_an_identity_provider_that_makes_no_sense_is_refused(acme: Sandbox, wrong: str) -> None:
    payload = provider_payload("https://i.example", "k", acme.tenant.identity_providers[0].certificate)
    options = payload["options"]
    changes: dict[str, Any] = {
        "protocol": {**payload, "protocol": "OIDC"},
        "keys": {**payload, "options": {**options, "staticKeys": options["staticKeys"] * 2}},
        "pem": {**payload, "options": {**options, "staticKeys": [{"kid": "k", "pem": "x"}]}},
        "issuer": {**payload, "options": {**options, "issuer": None}},
        "options": {**payload, "options": []},
    }
    assert acme.api("POST", PROVIDERS, json=changes[wrong]).status_code == 400
    assert len(acme.tenant.identity_providers) == 2
