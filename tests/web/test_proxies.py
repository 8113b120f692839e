"""People whom a trusted proxy names."""

import json

import pytest
from webkit import HEADER, PORTAL_URL, Visitor, Web, problem, web

PROXY = "10.1.2.3"


def named(user: str | None = "ada", **changed: str | None) -> dict[str, str]:
    headers = {
        "X-Forwarded-User": user,
        "X-Forwarded-Name": "Ada",
        "X-Forwarded-Email": "ada@example.com",
        "X-Forwarded-Groups": '["Finance", "a, b"]',
    } | {f"X-Forwarded-{name.title()}": value for name, value in changed.items()}
    return {name: value for name, value in headers.items() if value is not None}


@pytest.fixture
def proxy(proxied: Web) -> Visitor:
    return proxied.visitor(peer=PROXY)


def test_a_trusted_proxy_names_the_person(proxied: Web, proxy: Visitor) -> None:
    proxied.at("oauth")
    session = proxy.get("/t/acme/session", headers=named()).get_json()

    assert session["subject"] == {"sub": "ada", "name": "Ada", "groups": ["Finance", "a, b"]}
    token = proxy.post("/t/acme/access-token", headers=named() | {"CSRF-Token": session["csrf"]})
    assert token.text == "fake-token-1"


@pytest.mark.parametrize("peer", ["192.0.2.7", "11.0.0.1", "::1", "", "unix:", "10.0.0.1, 192.0.2.7"])
def test_nobody_else_does(proxied: Web, peer: str) -> None:
    claims_to_be_proxied = named() | {"X-Forwarded-For": PROXY, "Forwarded": f"for={PROXY}", "X-Real-Ip": PROXY}

    answer = proxied.visitor(peer=peer).get("/t/acme/session", headers=claims_to_be_proxied)

    assert problem(answer) == (401, "not_signed_in")


def test_a_mapped_address_is_the_address(proxied: Web) -> None:
    assert proxied.visitor(peer=f"::ffff:{PROXY}").get("/t/acme/session", headers=named()).status_code == 200


def test_headers_mean_nothing_where_that_way_is_off(demo: Web, portal: Web) -> None:
    for application in (demo, portal):
        assert application.visitor(peer=PROXY).get("/t/acme/session", headers=named()).status_code == 401


def test_state_changes_need_the_token_of_this_person(proxied: Web, proxy: Visitor) -> None:
    proxied.at("oauth")
    theirs = proxy.get("/t/acme/csrf-token", headers=named("bea")).get_json()["csrfToken"]

    assert problem(proxy.post("/t/acme/access-token", headers=named())) == (403, "bad_csrf")
    assert problem(proxy.post("/t/acme/access-token", headers=named() | {"CSRF-Token": theirs})) == (403, "bad_csrf")
    assert proxied.qlik.calls == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"groups": None}, "groups is missing"),
        ({"groups": "Finance,EMEA"}, "JSON array"),
        ({"groups": '"Finance"'}, "not a list"),
        ({"groups": "[1]"}, "a group is not"),
        ({"groups": "[" * 5000}, "JSON array"),
        ({"groups": r'["\ud800"]'}, "control characters"),
        ({"groups": "null"}, "groups is missing"),
        ({"email": None}, "email is missing"),
        ({"name": None}, "name is missing"),
        ({"user": ""}, "sub is not"),
        ({"name": "\xff\xfe"}, "not UTF-8"),
    ],
)
def test_what_cannot_be_used_is_named(proxy: Visitor, changed: dict[str, str | None], reason: str) -> None:
    answer = proxy.get("/t/acme/session", headers=named(**changed))

    assert problem(answer) == (401, "not_signed_in")
    assert reason in answer.get_json()["message"]


def test_headers_are_utf8(proxy: Visitor) -> None:
    groups = json.dumps(["Größe"], ensure_ascii=False)
    headers = {name: value.encode().decode("latin-1") for name, value in named("Ådne", groups=groups).items()}

    subject = proxy.get("/t/acme/session", headers=headers).get_json()["subject"]

    assert (subject["sub"], subject["groups"]) == ("Ådne", ["Größe"])


def test_the_store_is_written_once_a_minute(proxied: Web, proxy: Visitor) -> None:
    proxied.clock.now = 1_800_000_059
    proxy.get("/t/acme/token", headers=named())
    row = proxied.subjects.rows["acme", "ada"]

    assert row.asserted_at == 1_800_000_000
    proxied.clock.advance(1)
    proxy.get("/t/acme/token", headers=named())
    assert proxied.subjects.rows["acme", "ada"].asserted_at == 1_800_000_060


def test_other_header_names() -> None:
    application = web(**HEADER, BRIDGE_HEADER_USER="X-Uid")
    visitor = application.visitor(peer=PROXY)

    assert visitor.get("/t/acme/session", headers=named()).status_code == 401
    assert visitor.get("/t/acme/session", headers=named() | {"X-Uid": "bea"}).get_json()["subject"]["sub"] == "bea"
    assert application.settings.public_url == PORTAL_URL
