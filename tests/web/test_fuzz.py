"""Parsers of what anybody may send: whatever comes, no 500, and nobody is let in who should not be."""

import base64
import json
from collections.abc import Mapping
from itertools import count
from typing import Any
from urllib.parse import quote

import jwt
from hypothesis import example, given, settings
from hypothesis import strategies as st
from routekit import OIDC_ENVIRONMENT, admin_at
from webkit import ASSERTION, DEMO, ELSEWHERE, HEADER, ISSUER, KID, PORTAL_URL, portal_key, web

from bridge.web.etags import etag_of
from bridge.web.subjects import MAX_TEXT

CALM = settings(max_examples=80, deadline=None, database=None, derandomize=True)
NO_END = {"BRIDGE_SUBJECT_REQUESTS_PER_MINUTE": "0", "BRIDGE_ADDRESS_REFUSALS_PER_MINUTE": "0"}
PORTAL, PROXIED, DEMO_WEB = web(**ASSERTION, **NO_END), web(**HEADER, **NO_END), web(**DEMO, **NO_END)
NUMBERS = count()
COMPANY = web(**OIDC_ENVIRONMENT, **NO_END)
PROXY = "10.1.2.3"
ROUTE = "/t/acme/session"

wire = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80)
"""What a header can hold."""
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def asked(authorization: str) -> Any:  # noqa: ANN401 - werkzeug's answer
    return PORTAL.visitor().get(ROUTE, headers={"Authorization": authorization})


@CALM
@given(wire)
@example("Bearer")
@example("Bearer  ")
@example("bearer qbs_")
@example("Bearer qbo_")
@example("Bearer a.b.c")
@example("Basic YTpi")
def test_no_text_is_an_authorization(text: str) -> None:
    for value in (text, f"Bearer {text}", f"Bearer qbs_{text}", f"Bearer qbo_{text}"):
        assert asked(value).status_code == 401


@CALM
@given(anything, anything, wire)
@example({"alg": "none", "kid": KID}, {"sub": "ada"}, "")
@example({"alg": "HS256", "kid": KID}, {"sub": "ada"}, "AAAA")
@example({"alg": "ES256", "kid": [KID]}, {}, "AAAA")
@example({"alg": "ES256", "kid": KID, "crit": ["exp"]}, {}, "AAAA")
@example({"alg": "ES256", "kid": KID, "b64": False}, {}, "AAAA")
def test_nothing_unsigned_is_an_assertion(header: object, claims: object, signature: str) -> None:
    assert asked(f"Bearer {encoded(header)}.{encoded(claims)}.{signature}").status_code == 401


CLAIMS = ("iss", "aud", "sub", "name", "email", "groups", "tenant", "iat", "exp", "jti", "nbf")


@CALM
@given(st.dictionaries(st.sampled_from(CLAIMS), anything, max_size=3))
@example({"sub": "\ud800"})
@example({"aud": [PORTAL_URL, None]})
@example({"iat": float("nan")})
@example({"groups": [[]]})
@example({"exp": 10**30})
def test_what_the_portal_signs_is_taken_whole_or_not_at_all(changed: Mapping[str, Any]) -> None:
    now = int(PORTAL.clock())
    PORTAL.clock.advance(1)
    good = {"iss": ISSUER, "aud": PORTAL_URL, "sub": "ada", "name": "Ada", "email": "a@b.c", "groups": ["Finance"]}
    claims = {**good, "tenant": "acme", "iat": now, "exp": now + 60, "jti": str(now), **changed}
    body = json.dumps(claims).encode()  # as it is: the library would refuse to sign much of this
    signed = jwt.PyJWS().encode(body, portal_key(), "ES256", {"kid": KID})

    answer = asked(f"Bearer {signed}")

    assert answer.status_code in {200, 401, 403}, answer.text
    if answer.status_code == 200:
        found = answer.get_json()["subject"]
        assert found == {"sub": claims["sub"], "name": claims["name"], "groups": sorted(set(claims["groups"]))}
        assert (claims["iss"], claims["tenant"]) == (ISSUER, "acme")
        assert PORTAL_URL in claims["aud"]
        assert claims["iat"] <= now + 31
        assert now - 30 <= claims["exp"] <= claims["iat"] + 300


@CALM
@given(wire)
@example("qbs_")
@example('"qbs_\\073"')
def test_no_text_is_a_cookie(text: str) -> None:
    client = COMPANY.app.test_client(use_cookies=False)
    for name in ("__Host-bridge_session", "bridge_session", "bridge_sign_in", "__Host-bridge_form"):
        for cookie in (f"{name}={text}", f"{name}=qbs_{text}", text):
            headers = {"Cookie": cookie}
            assert client.get(ROUTE, base_url=PORTAL_URL, headers=headers).status_code == 401
            callback = client.get("/login/callback?state=a&code=b", base_url=PORTAL_URL, headers=headers)
            assert callback.status_code == 403


@CALM
@given(wire, wire, wire, wire | anything.map(json.dumps))
@example("ada", "Ada", "a@b.c", "[" * 10_000)
@example("ada", "Ada", "a@b.c", '["\\ud800"]')
@example("ada", "Ada", "a@b.c", "[1e999]")
@example("ada", "Ada", "a@b.c", "[" + "9" * 5000 + "]")
def test_headers_of_a_proxy_are_taken_whole_or_not_at_all(user: str, name: str, email: str, groups: str) -> None:
    values = {"User": user, "Name": name, "Email": email, "Groups": groups.encode("ascii", "replace").decode()}
    headers = {f"X-Forwarded-{name}": value for name, value in values.items()}

    answer = PROXIED.visitor(peer=PROXY).get(ROUTE, headers=headers)

    assert answer.status_code in {200, 401}, answer.text
    if answer.status_code == 200:
        subject = answer.get_json()["subject"]
        assert subject["sub"].encode() == user.encode("latin-1")
        assert 0 < len(subject["sub"]) <= MAX_TEXT
        assert subject["groups"] == sorted(set(json.loads(values["Groups"])))


@CALM
@given(wire)
@example("*")
@example('W/"1.1"')
@example('"1.1", ')
@example('"')
def test_no_text_is_the_version_of_a_tenant(text: str) -> None:
    bearer = COMPANY.operator_token(f"token-{next(NUMBERS)}")
    etag = etag_of(COMPANY.tenants.states["acme"])
    stage = {"to": "shadow", "reason": "r"}
    for path, method, document in (("stage", "POST", stage), ("", "PUT", {})):
        address = f"/api/v1/tenants/acme/{path}".rstrip("/")
        answer = COMPANY.visitor()._ask(method, address, headers=bearer | {"If-Match": text}, json=document)
        may = etag in text or text.strip() == "*"
        incomplete = {400} if method == "PUT" else set()
        assert answer.status_code in ({200, 409, 412} if may else {412}) | incomplete, (text, answer.text)


@CALM
@given(wire, wire)
@example("null", "localhost:8000")
@example("http://localhost:8000", "evil.example")
@example(f"{ELSEWHERE}, http://evil.example", "localhost:8000")
@example("http://[", "[")
def test_no_text_is_an_origin_of_ours(origin: str, forwarded: str) -> None:
    DEMO_WEB.at("oauth")
    visitor = admin_at(DEMO_WEB, "demo")
    headers = {"CSRF-Token": visitor.get(ROUTE).get_json()["csrf"], "X-Forwarded-For": forwarded}

    answer = visitor.post("/t/acme/access-token", headers=headers | {"Origin": origin, "Referer": origin})

    assert answer.status_code == (200 if origin in {ELSEWHERE, visitor.base} else 403), origin
    assert ("Access-Control-Allow-Origin" in answer.headers) == (origin == ELSEWHERE)


@CALM
@given(st.text(max_size=40))
def test_no_path_or_query_breaks_anything(text: str) -> None:
    visitor = admin_at(COMPANY, "oidc")
    named = quote(text, safe="/", errors="replace")
    for path in (f"/t/{named}/session", f"/api/v1/tenants/{named}", f"/admin/tenants/{named}", f"/static/{named}"):
        assert visitor.get(path, query_string={"next": text, "quiet": text, "limit": text}).status_code < 500
    for path in ("/login", "/admin/audit", "/api/v1/audit", "/api/v1/tenants"):
        query = {"next": text, "q": text, "limit": text, "since": text, "tenant": text, "cursor": text}
        assert visitor.get(path, query_string=query).status_code in {200, 302, 303, 400, 404, 503}
