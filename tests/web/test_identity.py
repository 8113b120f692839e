"""Who is asking: assertions, sessions for them, and the order of the ways."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webkit import ISSUER, KID, PORTAL_URL, Web, jwk_of, portal_key, problem

ROUTE = "/t/acme/access-token"


def refusal(portal: Web, assertion: str) -> str:
    """Return why an assertion is refused, which the tenant must not notice."""
    answer = portal.visitor().post(ROUTE, headers={"Authorization": f"Bearer {assertion}"})
    assert problem(answer) == (401, "not_signed_in"), answer.text
    assert portal.qlik.calls == []
    return str(answer.get_json()["message"])


def test_an_assertion_works_server_to_server_without_csrf(portal: Web) -> None:
    answer = portal.visitor().post(ROUTE, headers=portal.vouch())

    assert answer.text == "fake-token-1"
    assert portal.subjects.rows["acme", "ada"].asserted_at == portal.clock()


def test_its_own_audience_among_others_is_enough(portal: Web) -> None:
    headers = portal.vouch(aud=["https://other.example.com", PORTAL_URL])

    assert portal.visitor().post(ROUTE, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "claim", ["iss", "aud", "sub", "name", "email", "groups", "tenant", "iat", "exp", "jti", "kid"]
)
def test_every_claim_is_missed_by_name(portal: Web, claim: str) -> None:
    message = refusal(portal, portal.assertion(**({"sub": ""} if claim == "sub" else {claim: None})))

    assert claim in message


BAD = [
    ({"iat": -120, "exp": -31}, "expired"),
    ({"iat": 31, "exp": 90}, "not yet valid"),
    ({"nbf": 31}, "not yet valid"),
    ({"exp": 301}, "lifetime is over 5 minutes"),
    ({"aud": "https://elsewhere.example.com"}, "wrong audience"),
    ({"aud": PORTAL_URL + "/"}, "wrong audience"),
    ({"aud": [1]}, "wrong audience"),
    ({"iss": "https://elsewhere.example.com"}, "wrong issuer"),
    ({"iss": ISSUER.upper()}, "wrong issuer"),
    ({"kid": "unheard-of"}, "kid"),
    ({"sub": ["ada"]}, "sub is not a string"),
    ({"sub": "a\nb"}, "control characters"),
    ({"sub": "a\ud800b"}, "control characters"),
    ({"sub": "x" * 513}, "longer than 512"),
    ({"name": ""}, "name is not a non-empty string"),
    ({"name": 7}, "name is not a non-empty string"),
    ({"email": ""}, "email is not a non-empty string"),
    ({"email": "a\x00@b.c"}, "control characters"),
    ({"groups": "Finance"}, "groups is not a list"),
    ({"groups": {"Finance": 1}}, "groups is not a list"),
    ({"groups": ["Finance", 7]}, "a group is not"),
    ({"groups": ["Finance", ""]}, "a group is not"),
    ({"groups": ["a\u0085b"]}, "control characters"),
    ({"groups": ["x" * 257]}, "longer than 256"),
    ({"groups": [str(number) for number in range(2001)]}, "more than 2000"),
    ({"tenant": ["acme"]}, "tenant is not"),
    ({"jti": 7}, "jti is not a string"),
    ({"jti": "x" * 513}, "jti is longer"),
    ({"exp": "soon"}, "exp is not a time"),
    ({"iat": True}, "iat is not a time"),
    ({"exp": float("inf")}, "exp is not a time"),
    ({"exp": float("nan")}, "exp is not a time"),
    ({"exp": 10**400}, "exp is not a time"),
    ({"iat": -1e20}, "iat is not a time"),
    ({"nbf": "now"}, "nbf is not a time"),
]


@pytest.mark.parametrize(("changed", "reason"), BAD, ids=[f"{changed}"[:40] for changed, _ in BAD])
def test_what_is_wrong_is_named(portal: Web, changed: dict[str, Any], reason: str) -> None:
    now = portal.clock()
    moved = {
        name: now + value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1000 else value
        for name, value in changed.items()
        if name in {"iat", "exp", "nbf"}
    }

    message = refusal(portal, portal.assertion(**changed | moved))

    assert reason in message


def test_clocks_may_differ_a_little(portal: Web) -> None:
    now = int(portal.clock())
    for issued_at, expires_at in ((now - 80, now - 29), (now + 29, now + 80)):
        vouched = portal.vouch(iat=issued_at, exp=expires_at)
        assert portal.visitor().post(ROUTE, headers=vouched).status_code == 200


def test_it_counts_once_to_its_last_second_and_every_route_uses_it_up(portal: Web) -> None:
    now = int(portal.clock())
    once = portal.assertion(exp=now + 60)
    headers = {"Authorization": f"Bearer {once}"}
    assert portal.visitor().get("/t/acme/session", headers=headers).status_code == 200

    assert "used before" in refusal(portal, once)
    portal.clock.now = now + 89.9
    assert "used before" in refusal(portal, once)
    portal.clock.now = now + 90
    assert "expired" in refusal(portal, once)


def test_two_assertions_may_not_share_an_id(portal: Web) -> None:
    assert portal.visitor().get("/t/acme/session", headers=portal.vouch("ada", jti="1")).status_code == 200

    assert "used before" in refusal(portal, portal.assertion("bea", jti="1"))


def test_a_ledger_that_is_away_refuses(portal: Web) -> None:
    portal.ledger.broken = True

    answer = portal.visitor().post(ROUTE, headers=portal.vouch())

    assert problem(answer) == (503, "store_error")
    assert portal.qlik.calls == []


def test_one_for_another_tenant_is_not_allowed(portal: Web) -> None:
    for tenant in ("globex", "ACME", "nowhere"):
        answer = portal.visitor().post(ROUTE, headers=portal.vouch(tenant=tenant))
        assert problem(answer) == (403, "not_allowed")
    assert portal.qlik.calls == []


def test_no_groups_is_not_groups_unknown(portal: Web) -> None:
    session = portal.visitor().get("/t/acme/session", headers=portal.vouch(groups=[]))

    assert session.get_json()["subject"]["groups"] == []
    assert "groups" in refusal(portal, portal.assertion(groups=None))


def test_odd_names_pass_unchanged(portal: Web) -> None:
    sub, groups = "o'neil\"\\ Ünï 名", ['say "hi"', "a, b", "名前", "back\\slash"]

    session = portal.visitor().get("/t/acme/session", headers=portal.vouch(sub, groups=groups))

    assert session.get_json()["subject"]["sub"] == sub
    assert session.get_json()["subject"]["groups"] == sorted(groups)


# --- forgeries -------------------------------------------------------------------------------------------


def unsigned(portal: Web, algorithm: str) -> str:
    def part(document: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    claims = jwt.decode(portal.assertion(), options={"verify_signature": False})
    return f"{part({'alg': algorithm, 'kid': KID})}.{part(claims)}."


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_no_signature_is_no_assertion(portal: Web, algorithm: str) -> None:
    assert "algorithm" in refusal(portal, unsigned(portal, algorithm))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_shared_secret(portal: Web, algorithm: str) -> None:
    for secret in (
        portal_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        portal_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk_of(portal_key())).encode(),
    ):
        forged = forge(portal, secret, algorithm)
        assert "algorithm" in refusal(portal, forged)


def forge(portal: Web, secret: bytes, algorithm: str) -> str:
    """Sign as a forger would, past PyJWT's own refusal to take a public key as a secret."""
    claims = jwt.decode(portal.assertion(), options={"verify_signature": False})
    honest = jwt.encode(claims, "x" * 64, algorithm, {"kid": KID})
    head, body, _ = honest.split(".")
    hmac = jwt.algorithms.HMACAlgorithm(getattr(jwt.algorithms.HMACAlgorithm, f"SHA{algorithm[2:]}"))
    signature = base64.urlsafe_b64encode(hmac.sign(f"{head}.{body}".encode(), secret)).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


def test_another_key_signs_nothing(portal: Web) -> None:
    assert "bad signature" in refusal(portal, portal.assertion(key=ec.generate_private_key(ec.SECP256R1())))


def test_changed_claims_break_the_signature(portal: Web) -> None:
    head, _, signature = portal.assertion().split(".")
    _, other, _ = portal.assertion("mallory").split(".")

    assert "bad signature" in refusal(portal, f"{head}.{other}.{signature}")


def test_the_key_chooses_the_algorithm(portal: Web) -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    portal.key_set.keys = {"plain": public, "pss": public | {"alg": "PS256"}, "odd": public | {"alg": "HS256"}}

    assert (
        portal.visitor().post(ROUTE, headers=portal.vouch(key=key, algorithm="RS256", kid="plain")).status_code == 200
    )
    assert portal.visitor().post(ROUTE, headers=portal.vouch(key=key, algorithm="PS256", kid="pss")).status_code == 200
    portal.qlik.calls.clear()
    assert "algorithm" in refusal(portal, portal.assertion(key=key, algorithm="RS256", kid="pss"))
    assert "not of a kind" in refusal(portal, portal.assertion(key=key, algorithm="RS256", kid="odd"))


def test_keys_without_alg_have_the_usual_one(portal: Web) -> None:
    p384, edwards = ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()
    portal.key_set.keys = {
        "p384": jwk_of(p384),
        "edwards": jwt.algorithms.OKPAlgorithm.to_jwk(edwards.public_key(), as_dict=True),
        "secret": {"kty": "oct", "k": "c2VjcmV0"},
        "broken": {"kty": "EC", "crv": "P-256", "x": "?", "y": "?"},
    }

    for key, algorithm, kid in ((p384, "ES384", "p384"), (edwards, "EdDSA", "edwards")):
        vouched = portal.vouch(key=key, algorithm=algorithm, kid=kid)
        assert portal.visitor().get("/t/acme/session", headers=vouched).status_code == 200
    assert "not of a kind" in refusal(portal, portal.assertion(key="s" * 32, algorithm="HS256", kid="secret"))
    assert "cannot be used" in refusal(portal, portal.assertion(kid="broken"))


def test_a_short_rsa_key_is_refused(portal: Web) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
    portal.key_set.keys = {KID: jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)}
    with pytest.warns(match="1024"):
        signed = portal.assertion(key=key, algorithm="RS256")

    assert "cannot be used" in refusal(portal, signed)


@pytest.mark.parametrize(
    "value", ["", "x", "a.b.c", "eyJ", "é.é.é", "Bearer x", "." * 5000, "qbs_unknown", "qbo_unknown"]
)
def test_what_is_no_assertion_is_refused_and_never_quoted(portal: Web, value: str) -> None:
    message = refusal(portal, value)

    assert len(value) < 5 or value not in message


# --- the order of the ways -------------------------------------------------------------------------------


def test_a_wrong_bearer_beside_a_good_cookie_decides(portal: Web) -> None:
    visitor = portal.visitor()
    visitor.post("/t/acme/session", headers=portal.vouch() | {"Sec-Fetch-Site": "same-origin"})
    assert visitor.get("/t/acme/session").status_code == 200

    answer = visitor.get("/t/acme/session", headers={"Authorization": "bearer nonsense"})

    assert problem(answer) == (401, "not_signed_in")


def test_other_schemes_than_bearer_say_nothing(portal: Web) -> None:
    visitor = portal.visitor()
    visitor.post("/t/acme/session", headers=portal.vouch())
    basic = {"Authorization": "Basic YTpi"}

    assert visitor.get("/t/acme/session", headers=basic).status_code == 200
    assert problem(visitor.post(ROUTE, headers=basic)) == (403, "bad_csrf")


# --- sessions for assertions -----------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["same-origin", "same-site"])
def test_the_same_site_gets_a_cookie_alone(portal: Web, site: str) -> None:
    visitor = portal.visitor()

    answer = visitor.post("/t/acme/session", headers=portal.vouch() | {"Sec-Fetch-Site": site})

    body = answer.get_json()
    assert body["path"] == "oauth"
    assert body["subject"]["sub"] == "ada"
    assert {"session", "expires_in"} & set(body) == set()
    cookie = answer.headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert visitor.post(ROUTE, headers={"CSRF-Token": body["csrf"]}).status_code == 200


def test_another_site_gets_a_bearer_alone(portal: Web) -> None:
    visitor = portal.visitor()

    answer = visitor.post("/t/acme/session", headers=portal.vouch() | {"Sec-Fetch-Site": "cross-site"})

    assert "Set-Cookie" not in answer.headers
    assert answer.get_json()["expires_in"] == 28_800
    bearer = {"Authorization": f"Bearer {answer.get_json()['session']}"}
    assert visitor.post(ROUTE, headers=bearer).text == "fake-token-1"
    assert visitor.get("/t/acme/session", headers=bearer).get_json()["subject"]["sub"] == "ada"


def test_who_does_not_say_gets_both(portal: Web) -> None:
    answer = portal.visitor().post("/t/acme/session", headers=portal.vouch())

    assert answer.get_json()["session"].startswith("qbs_")
    assert answer.get_json()["session"] in answer.headers["Set-Cookie"]


def test_the_store_never_sees_the_value(portal: Web) -> None:
    value = portal.visitor().post("/t/acme/session", headers=portal.vouch()).get_json()["session"]

    assert value not in repr(portal.sessions.rows)


def test_a_session_does_not_breed(portal: Web) -> None:
    visitor = portal.visitor()
    value = visitor.post("/t/acme/session", headers=portal.vouch()).get_json()["session"]

    assert problem(visitor.post("/t/acme/session")) == (401, "not_signed_in")
    assert problem(visitor.post("/t/acme/session", headers={"Authorization": f"Bearer {value}"})) == (
        401,
        "not_signed_in",
    )


def test_a_new_session_ends_the_old_one(portal: Web) -> None:
    visitor = portal.visitor()
    old = visitor.post("/t/acme/session", headers=portal.vouch("ada")).get_json()["session"]
    visitor.post("/t/acme/session", headers=portal.vouch("bea"))

    assert visitor.get("/t/acme/session").get_json()["subject"]["sub"] == "bea"
    gone = portal.visitor().get("/t/acme/session", headers={"Authorization": f"Bearer {old}"})
    assert problem(gone) == (401, "not_signed_in")


def test_a_session_stays_at_the_tenant_that_it_was_opened_for(portal: Web) -> None:
    visitor = portal.visitor()
    visitor.post("/t/acme/session", headers=portal.vouch())

    assert problem(visitor.get("/t/globex/session")) == (403, "not_allowed")


def test_who_is_not_admitted_gets_no_session(portal: Web) -> None:
    portal.change(required_group="Board")

    assert problem(portal.visitor().post("/t/acme/session", headers=portal.vouch())) == (403, "not_allowed")
    assert portal.sessions.rows == {}


def test_verification_takes_milliseconds(portal: Web) -> None:
    headers = portal.vouch(groups=[f"g{number:04}" for number in range(2000)])
    started = time.perf_counter()

    assert portal.visitor().get("/t/acme/session", headers=headers).status_code == 200
    assert time.perf_counter() - started < 1
