"""Signing in by OpenID Connect over real sockets, at a service made from Authlib's server parts."""

import json
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from signinkit import SESSION, Browser, Product, Service, oidc_environment, refusal, running_product, running_service
from storykit import PORTAL_ISSUER, assertion, free_ports, portal_keys, served

from bridge.adapters.oidc import OidcProvider
from bridge.adapters.wire import Patience
from bridge.bootstrap import build
from bridge.settings import read_settings
from bridge.telemetry import configure_logging
from bridge.web import create_app

ALONE = "/login"
HOUR_S = 3600
REFUSED, UNAVAILABLE = (403, "sign_in_refused"), (503, "sign_in_unavailable")


@pytest.fixture(scope="module")
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture(scope="module")
def process(ports: list[int]) -> Iterator[Service]:
    with running_service(ports[1], f"http://localhost:{ports[0]}") as service:
        yield service


@pytest.fixture
def service(process: Service) -> Service:
    process.misbehave()
    return process


@pytest.fixture
def environment(service: Service, ports: list[int], tmp_path: Path) -> dict[str, str]:
    return oidc_environment(service.issuer, f"http://localhost:{ports[0]}", tmp_path)


@pytest.fixture
def product(environment: dict[str, str], ports: list[int]) -> Iterator[Product]:
    with running_product(environment, ports[0]) as product:
        yield product


@pytest.fixture
def visitor(product: Product) -> Browser:
    return product.visitor()


# --- the way in ------------------------------------------------------------------------------------------


def test_an_operator_is_sent_there_and_comes_back_to_the_page(visitor: Browser) -> None:
    asked = visitor.get("/admin/?page=2")
    assert (asked.status_code, asked.headers["Location"]) == (303, "/login?next=%2Fadmin%2F%3Fpage%3D2")

    answer = visitor.sign_in("erin", "/admin/?page=2")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/?page=2")
    page = visitor.get("/admin/")
    assert page.status_code == 200
    assert "oidc:erin" in page.text


def test_a_person_gets_into_the_tenants_that_admit_oidc_and_is_no_operator(visitor: Browser) -> None:
    visitor.sign_in("ada")

    assert visitor.get("/t/acme/session").json()["subject"]["sub"] == "ada"
    assert visitor.get("/t/globex/session").json()["error"] == "not_allowed"
    assert refusal(visitor.get("/admin/")) == (403, "not_allowed")


def test_the_session_says_who_vouched_and_no_groups_are_no_groups(
    product: Product, service: Service, visitor: Browser
) -> None:
    visitor.sign_in("carol")

    known = product.known_as(visitor)
    assert (known.source, known.issuer, known.tenant) == ("oidc", service.issuer, None)
    assert (known.subject.name, known.subject.email) == ("Carol Chen", "carol@example.com")
    assert known.subject.groups == frozenset()
    assert abs(known.asserted_at - time.time()) < 60


@pytest.mark.parametrize("sub", ["Ada", "Ådá o'neil\"\\ 🦊"])
def test_the_subject_is_kept_byte_for_byte(product: Product, visitor: Browser, sub: str) -> None:
    visitor.sign_in(sub)

    assert product.known_as(visitor).subject.sub == sub


def test_the_service_is_asked_for_a_code_with_pkce_state_and_nonce(visitor: Browser, product: Product) -> None:
    first, second = (parse_qs(urlsplit(visitor.to_service()).query) for _ in range(2))

    assert first["response_type"] == ["code"]
    assert first["code_challenge_method"] == ["S256"]
    assert first["scope"] == ["openid profile email"]
    assert first["redirect_uri"] == [f"{product.base}/login/callback"]
    assert {name for name in first if first[name] != second[name]} == {"state", "nonce", "code_challenge"}


def test_the_cookie_of_open_sign_ins_is_for_the_sign_in_alone(visitor: Browser) -> None:
    cookie = visitor.get("/login?next=/admin/").headers["Set-Cookie"]

    assert cookie.startswith("bridge_sign_in=")
    assert {"HttpOnly", "Path=/login", "SameSite=Lax"} <= set(cookie.split("; "))


def test_over_https_no_neighbour_can_make_a_browser_finish_their_own_sign_in(environment: dict[str, str]) -> None:
    """They can set a cookie for the whole domain, with what their own sign-in waits for; its name is the plain one."""
    base = "https://bridge.example.com"
    bridge = build(read_settings(environment | {"BRIDGE_PUBLIC_URL": base}))
    neighbour, victim = create_app(bridge).test_client(), create_app(bridge).test_client()
    begun = neighbour.get("/login?next=/admin/", base_url=base)
    [cookie] = begun.headers.getlist("Set-Cookie")
    name, _, value = cookie.partition(";")[0].partition("=")
    state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
    victim.set_cookie(name.removeprefix("__Host-"), value, domain="bridge.example.com")
    answer = victim.get(f"/login/callback?state={state}&code=theirs", base_url=base)
    bridge.close()

    assert name == "__Host-bridge_sign_in"
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "started in another browser" in answer.text


def test_each_of_four_tabs_can_finish_and_a_cookie_never_outgrows_the_browser(visitor: Browser) -> None:
    long = "/admin/?" + "x" * 490
    tabs = [visitor.to_callback("ada", long) for _ in range(6)]

    assert len(visitor.http.cookies["bridge_sign_in"]) < 4000
    assert refusal(visitor.get(tabs[1])) == REFUSED
    assert [visitor.get(tab).headers.get("Location") for tab in tabs[2:]] == [long] * 4


def test_another_worker_can_finish(environment: dict[str, str]) -> None:
    """The browser's cookie holds all that is needed."""
    first, second = (build(read_settings(environment)) for _ in range(2))
    base = environment["BRIDGE_PUBLIC_URL"]
    one, other = create_app(first).test_client(), create_app(second).test_client()
    there = one.get("/login?next=/admin/", base_url=base).headers["Location"]
    back = requests.post(there, data={"username": "erin"}, timeout=10, allow_redirects=False).headers["Location"]
    cookie = one.get_cookie("bridge_sign_in", domain="localhost", path="/login")
    assert cookie is not None
    other.set_cookie("bridge_sign_in", cookie.value, domain="localhost", path="/login")

    answer = other.get(back.removeprefix(base), base_url=base)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/")
    first.close()
    second.close()


def test_signing_in_again_ends_the_session_before(product: Product, visitor: Browser) -> None:
    tabs = [visitor.to_callback("ada") for _ in range(2)]
    visitor.get(tabs[0])
    before = visitor.http.cookies[SESSION]
    visitor.get(tabs[1])

    assert product.bridge.sessions.find(before) is None
    assert visitor.http.cookies[SESSION] != before


def test_the_page_says_who_is_signed_in(visitor: Browser) -> None:
    assert "You are not signed in" in visitor.get("/login").text

    visitor.sign_in("ada", ALONE)

    page = visitor.get("/login").text
    assert "Ada Archer" in page
    assert "EMEA, Finance" in page


def test_whoever_is_signed_in_is_not_sent_round_again(visitor: Browser) -> None:
    """A page that still refuses them would send them back here, and so on for ever."""
    visitor.sign_in("ada")

    answer = visitor.get("/login?next=/admin/")

    assert answer.status_code == 200
    assert 'href="/admin/"' in answer.text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%2f/evil.example",
        "javascript:alert(1)",
        "admin",
        "",
        "/a\r\nLocation: https://evil.example",
        "/" + "x" * 600,
    ],
)
def test_people_come_back_to_our_own_paths_alone(visitor: Browser, target: str) -> None:
    assert visitor.sign_in("ada", target).headers["Location"] == ALONE


# --- groups ----------------------------------------------------------------------------------------------


def test_without_the_claim_nobody_gets_in_and_the_page_says_what_to_do(service: Service, visitor: Browser) -> None:
    service.misbehave(claims={"groups": None}, userinfo={"groups": None})

    answer = visitor.sign_in("ada")

    assert refusal(answer) == REFUSED
    assert "send the claim <code>groups</code>" in answer.text
    assert "BRIDGE_OIDC_GROUPS_CLAIM" in answer.text
    assert SESSION not in visitor.http.cookies


def test_thin_id_tokens_are_completed_by_userinfo(service: Service, product: Product, visitor: Browser) -> None:
    service.misbehave(claims={"groups": None, "email": None, "name": None})

    visitor.sign_in("ada")

    subject = product.known_as(visitor).subject
    assert (subject.groups, subject.email) == (frozenset({"EMEA", "Finance"}), "ada@example.com")


def test_what_is_signed_counts_more_than_userinfo(service: Service, product: Product, visitor: Browser) -> None:
    service.misbehave(claims={"email": None, "groups": []}, userinfo={"groups": ["bridge-admins"]})

    visitor.sign_in("ada")

    assert product.known_as(visitor).subject.groups == frozenset()


def test_userinfo_of_somebody_else_is_refused(service: Service, visitor: Browser) -> None:
    service.misbehave(claims={"groups": None}, userinfo={"sub": "erin", "groups": ["bridge-admins"]})

    assert refusal(visitor.sign_in("ada")) == REFUSED


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"groups": "bridge-admins"}, "groups is not a list"),
        ({"groups": ["x\ny"]}, "control characters"),
        ({"groups": [1]}, "a group is not"),
        ({"email": ""}, "email is not"),
        ({"sub": "a\x00b"}, "control characters"),
    ],
)
def test_what_cannot_be_used_is_named(
    service: Service, visitor: Browser, claims: Mapping[str, object], reason: str
) -> None:
    service.misbehave(claims=claims, userinfo=claims)

    answer = visitor.sign_in("ada")

    assert refusal(answer) == REFUSED
    assert reason in answer.text


def test_another_claim_can_hold_the_groups(environment: dict[str, str], ports: list[int], service: Service) -> None:
    service.misbehave(claims={"https://example.com/roles": ["bridge-admins"], "groups": None})
    with running_product(environment | {"BRIDGE_OIDC_GROUPS_CLAIM": "https://example.com/roles"}, ports[0]) as product:
        visitor = product.visitor()
        visitor.sign_in("ada")

        assert visitor.get("/admin/").status_code == 200


# --- another claim as the subject ------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["claims", "userinfo"])
def test_another_claim_can_be_the_subject(
    environment: dict[str, str], ports: list[int], service: Service, place: str
) -> None:
    service.misbehave(**{place: {"oid": "8f1c"}})
    with running_product(environment | {"BRIDGE_OIDC_SUBJECT_CLAIM": "oid"}, ports[0]) as product:
        visitor = product.visitor()
        visitor.sign_in("ada")

        assert product.known_as(visitor).subject.sub == "8f1c"


def test_without_the_claim_of_the_subject_nobody_gets_in(environment: dict[str, str], ports: list[int]) -> None:
    with running_product(environment | {"BRIDGE_OIDC_SUBJECT_CLAIM": "oid"}, ports[0]) as product:
        answer = product.visitor().sign_in("ada")

        assert refusal(answer) == REFUSED
        assert "BRIDGE_OIDC_SUBJECT_CLAIM" in answer.text


@pytest.mark.parametrize(("verified", "status"), [(True, 303), (False, 403), ("true", 403), (None, 403)])
def test_an_address_is_a_subject_only_once_it_was_verified(
    environment: dict[str, str], ports: list[int], service: Service, verified: object, status: int
) -> None:
    service.misbehave(claims={"email_verified": verified}, userinfo={"email_verified": verified})
    with running_product(environment | {"BRIDGE_OIDC_SUBJECT_CLAIM": "email"}, ports[0]) as product:
        visitor = product.visitor()
        answer = visitor.sign_in("ada")

        assert answer.status_code == status
        assert (SESSION in visitor.http.cookies) is (status == 303)
        assert ("email_verified" in answer.text) is (status == 403)


# --- attacks ---------------------------------------------------------------------------------------------


def changed(address: str, **query: str) -> str:
    """Return the callback's address with other parameters."""
    known = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    return str(requests.Request("GET", address.partition("?")[0], params=known | query).prepare().url)


def test_a_wrong_state_is_refused(visitor: Browser) -> None:
    back = visitor.to_callback()

    for state in ("guessed", ""):
        assert refusal(visitor.get(changed(back, state=state))) == REFUSED
    assert SESSION not in visitor.http.cookies


def test_a_callback_in_another_browser_is_refused(product: Product, visitor: Browser, service: Service) -> None:
    """Else somebody could sign a victim in as themselves."""
    back, victim = visitor.to_callback(), product.visitor()
    exchanges = service.asked("/token")

    answer = victim.get(back)

    assert refusal(answer) == REFUSED
    assert "started in another browser" in answer.text
    assert 'href="/login"' in answer.text
    assert service.asked("/token") == exchanges


def test_a_state_of_the_victims_own_does_not_help(product: Product, visitor: Browser) -> None:
    """Their nonce and verifier do not fit a code that somebody else got."""
    theirs, victim = visitor.to_callback(), product.visitor()
    state = parse_qs(urlsplit(victim.to_service()).query)["state"][0]

    assert refusal(victim.get(changed(theirs, state=state))) == REFUSED


def test_a_code_counts_once(visitor: Browser) -> None:
    back = visitor.to_callback()
    before = visitor.http.cookies.copy()
    assert visitor.get(back).status_code == 303

    assert refusal(visitor.get(back)) == REFUSED
    visitor.http.cookies = before
    assert refusal(visitor.get(back)) == REFUSED


def test_an_old_sign_in_is_none(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    back = visitor.to_callback()
    later = time.time() + HOUR_S + 1
    monkeypatch.setattr("authlib.integrations.base_client.framework_integration.time.time", lambda: later)

    assert refusal(visitor.get(back)) == REFUSED


FORGERIES: list[dict[str, Any]] = [  # times are seconds from now
    {"claims": {"nonce": "another"}},
    {"claims": {"nonce": None}},
    {"claims": {"aud": "another-client"}},
    {"claims": {"aud": ["another-client"], "azp": "qlik-bridge"}},
    {"claims": {"aud": ["qlik-bridge", "another-client"], "azp": "another-client"}},
    {"claims": {"aud": None}},
    {"claims": {"iss": "https://evil.example"}},
    {"claims": {"iss": None}},
    {"claims": {"exp": -60}},
    {"claims": {"exp": None}},
    {"claims": {"iat": 600}},
    {"claims": {"nbf": 600}},
    {"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    {"claims": {"sub": None}},
    {"alg": "none"},
    {"alg": "HS256"},
    {"alg": "PS256"},
    {"stranger": True},
    {"id_token": False},
]


@pytest.mark.parametrize("forgery", FORGERIES, ids=[json.dumps(each)[:50] for each in FORGERIES])
def test_forged_id_tokens_are_refused(service: Service, visitor: Browser, forgery: dict[str, Any]) -> None:
    claims = {
        name: int(time.time()) + value if isinstance(value, int) else value
        for name, value in forgery.get("claims", {}).items()
    }
    service.misbehave(**forgery | {"claims": claims})

    assert refusal(visitor.sign_in("erin")) == REFUSED
    assert SESSION not in visitor.http.cookies


def test_what_the_service_says_of_an_error_is_not_repeated(visitor: Browser) -> None:
    denied = changed(visitor.to_callback(), error="access_denied", error_description="<b>call 555</b>")
    odd = changed(visitor.to_callback(), error="<script>alert(1)</script>")

    answers = [visitor.get(denied), visitor.get(odd)]

    assert [refusal(each) for each in answers] == [REFUSED, REFUSED]
    assert "did not let you in" in answers[0].text
    assert [word for each in answers for word in ("555", "alert(1)") if word in each.text] == []


def test_a_wrong_client_secret_is_for_the_operator(environment: dict[str, str], ports: list[int]) -> None:
    with running_product(environment | {"BRIDGE_OIDC_CLIENT_SECRET": "wrong"}, ports[0]) as product:
        answer = product.visitor().sign_in("ada")

    assert refusal(answer) == REFUSED
    assert "BRIDGE_OIDC_CLIENT_SECRET" in answer.text


# --- keys, and a service that is away --------------------------------------------------------------------


def test_configuration_and_keys_are_read_once(service: Service, product: Product) -> None:
    before = service.told()["asked"]
    for who in ("ada", "erin", "carol"):
        assert product.visitor().sign_in(who).status_code == 303

    now = service.told()["asked"]
    for path in ("/.well-known/openid-configuration", "/jwks"):
        assert now[path] - before.get(path, 0) == 1


def test_new_keys_are_found_when_they_are_used(service: Service, product: Product) -> None:
    assert product.visitor().sign_in("ada").status_code == 303
    product.clock.ahead_s += 6

    service.rotate()

    assert product.visitor().sign_in("ada").status_code == 303


def test_keys_may_name_no_algorithm_and_a_single_key_needs_no_name(service: Service, product: Product) -> None:
    service.misbehave(bare=True)

    assert product.visitor().sign_in("ada").status_code == 303


@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
def test_a_service_that_hangs_holds_nobody_for_long(
    environment: dict[str, str], ports: list[int], service: Service, path: str
) -> None:
    service.misbehave(hang=[path], claims={"groups": None})
    bridge = build(read_settings(environment))
    quick = OidcProvider(service.issuer, bridge.clock, patience=Patience(1, 0.3, 0.6))
    with served(create_app(replace(bridge, oidc=quick)), ports[0]):
        visitor = Browser(environment["BRIDGE_PUBLIC_URL"])
        answer = visitor.sign_in("ada")
    bridge.close()

    assert refusal(answer) == UNAVAILABLE
    assert answer.elapsed.total_seconds() < 2


def test_the_secret_can_travel_in_the_body(service: Service, product: Product) -> None:
    service.misbehave(metadata={"token_endpoint_auth_methods_supported": ["client_secret_post"]})

    assert product.visitor().sign_in("ada").status_code == 303


def test_while_it_is_away_whoever_is_signed_in_goes_on(service: Service, product: Product) -> None:
    erin = product.visitor()
    erin.sign_in("erin")
    product.clock.ahead_s += HOUR_S - 60
    erin.get("/admin/")
    product.clock.ahead_s += 61
    service.misbehave(status={"/.well-known/openid-configuration": 503, "/jwks": 500, "/token": 500})

    assert erin.get("/admin/").status_code == 200
    late = product.visitor()
    answer = late.sign_in("ada")
    assert refusal(answer) == UNAVAILABLE
    assert "Nothing is lost" in answer.text
    service.misbehave()
    assert late.sign_in("ada").status_code == 303


def test_a_service_that_was_never_read_is_tried_again(service: Service, product: Product) -> None:
    service.misbehave(status={"/.well-known/openid-configuration": 503})
    visitor = product.visitor()

    answer = visitor.get("/login?next=/admin/")
    asked = service.asked("/.well-known/openid-configuration")
    again = visitor.get("/login?next=/admin/")

    assert (refusal(answer), refusal(again)) == (UNAVAILABLE, UNAVAILABLE)
    assert answer.headers["Retry-After"] == "5"
    assert service.asked("/.well-known/openid-configuration") == asked
    service.misbehave()
    product.clock.ahead_s += 6
    assert visitor.sign_in("ada").status_code == 303


@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/token"}, {"jwks_uri": None}],
)
def test_a_configuration_of_somebody_else_is_not_used(
    service: Service, visitor: Browser, metadata: dict[str, object]
) -> None:
    service.misbehave(metadata=metadata)

    assert refusal(visitor.get("/login?next=/admin/")) == UNAVAILABLE


# --- the way out -----------------------------------------------------------------------------------------


def test_signing_out_ends_both_sessions(service: Service, product: Product, visitor: Browser) -> None:
    visitor.sign_in("erin")
    value = visitor.http.cookies[SESSION]
    there = service.told()["sessions"]

    page = visitor.sign_out()

    assert SESSION not in visitor.http.cookies
    assert product.bridge.sessions.find(value) is None
    onward = page.text.split('content="0; url=')[1].split('"')[0].replace("&amp;", "&")
    assert onward.startswith(f"{service.issuer}/end?")
    assert "id_token" not in onward
    assert visitor.get(onward).headers["Location"].startswith(f"{product.base}/login?state=")
    assert len(service.told()["sessions"]) == len(there) - 1


def test_signing_out_needs_csrf(visitor: Browser) -> None:
    visitor.sign_in("ada")

    assert refusal(visitor.post("/logout")) == (403, "bad_csrf")
    assert refusal(visitor.post("/logout", data={"csrf_token": "x"})) == (403, "bad_csrf")
    assert visitor.get("/t/acme/session").ok
    assert visitor.get("/logout").status_code == 405


def test_a_service_without_an_end_is_left_alone(service: Service, visitor: Browser) -> None:
    service.misbehave(metadata={"end_session_endpoint": None})
    visitor.sign_in("ada")

    answer = visitor.sign_out()

    assert (answer.status_code, answer.headers["Location"]) == (303, ALONE)
    assert SESSION not in visitor.http.cookies


# --- beside other ways -----------------------------------------------------------------------------------


def test_a_portal_can_vouch_beside_it(environment: dict[str, str], ports: list[int], tmp_path: Path) -> None:
    key, public = portal_keys()
    (tmp_path / "jwks.json").write_text(public)
    both = {
        "BRIDGE_IDENTITY": "oidc,assertion",
        "BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER,
        "BRIDGE_ASSERTION_JWKS": str(tmp_path / "jwks.json"),
    }
    with running_product(environment | both, ports[0]) as product:
        vouched = assertion(key, product.base, "ada", ["bridge-admins"], {"tenant": "globex"})
        bearer = {"Authorization": f"Bearer {vouched}"}
        opened = product.visitor().post("/t/globex/session", headers=bearer)
        assert opened.ok, opened.text
        as_session = {"Authorization": f"Bearer {opened.json()['session']}"}

        assert product.visitor().get("/api/v1/tenants", headers=as_session).json()["error"] == "not_allowed"
        erin = product.visitor()
        erin.sign_in("erin")
        assert erin.get("/api/v1/tenants").ok


def test_a_proxys_word_counts_more(environment: dict[str, str], ports: list[int]) -> None:
    proxied = {"BRIDGE_IDENTITY": "header,oidc", "BRIDGE_TRUSTED_PROXIES": "127.0.0.1"}
    with running_product(environment | proxied, ports[0]) as product:
        erin = product.visitor()
        erin.sign_in("erin")
        named = {"X-Forwarded-User": "bob", "X-Forwarded-Name": "Bob", "X-Forwarded-Email": "b@example.com"}

        assert erin.get("/admin/").status_code == 200
        assert refusal(erin.get("/admin/", headers=named | {"X-Forwarded-Groups": "[]"})) == (403, "not_allowed")


@pytest.mark.parametrize(
    "switched",
    [
        {"BRIDGE_IDENTITY": "header", "BRIDGE_TRUSTED_PROXIES": "10.0.0.1"},
        {"BRIDGE_OIDC_ISSUER": "https://other.example"},
    ],
)
def test_sessions_end_with_the_service_that_they_came_from(
    environment: dict[str, str], product: Product, visitor: Browser, switched: dict[str, str]
) -> None:
    visitor.sign_in("ada")
    other = build(read_settings(environment | switched))
    client = create_app(other).test_client()
    client.set_cookie(SESSION, visitor.http.cookies[SESSION], domain="localhost")

    assert client.get("/t/acme/session", base_url=product.base).status_code == 401
    other.close()


# --- secrets ---------------------------------------------------------------------------------------------


def test_no_token_is_logged_or_kept(
    service: Service,
    product: Product,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure_logging("debug")
    monkeypatch.setattr(logging.getLogger("werkzeug"), "level", logging.WARNING)  # of the test's server
    visitor = product.visitor()
    back = visitor.to_callback("erin")
    seen = [visitor.get(back), visitor.get(back), visitor.get("/admin/"), visitor.sign_out()]

    heard = capfd.readouterr().err + "".join(each.text + str(each.headers) for each in seen)
    heard += "\n".join(sqlite3.connect(tmp_path / "bridge.db").iterdump())
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert "refused" in heard
    assert [each for each in (code, *service.told()["tokens"]) if each in heard] == []
    assert "eyJhbGciOiJSUzI1NiI" not in heard
