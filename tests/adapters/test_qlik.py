"""Qlik Cloud over real sockets: what is sent, what each answer means, and what never leaks."""

import base64
import json
import logging
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from authlib.common.security import generate_token
from fakes import FakeClock, FakeKeys
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from scripted import Reply, ScriptedTenant, Seen

from bridge.adapters.qlik import HttpQlik
from bridge.adapters.wire import Patience
from bridge.errors import (
    TenantError,
    TenantGarbled,
    TenantRefused,
    TenantThrottled,
    TenantTimeout,
    TenantUnavailable,
)
from bridge.model import OAuthClient, QlikUser, Tenant

LOGIN, ME, USER, TOKEN = "/login/jwt-session", "/api/v1/users/me", "/api/v1/users/u-1", "/oauth/token"
VALUE = "tok3n-value"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
COOKIES = (
    ("Set-Cookie", "eas.sid=s3ss10n; Path=/; Secure; HttpOnly; SameSite=None"),
    ("Set-Cookie", "eas.sid.sig=s1gn; Path=/; Secure; Expires=Wed, 21 Oct 2099 07:28:00 GMT"),
    ("Set-Cookie", "_csrfToken=csrf=; Path=/; Secure"),
    ("Set-Cookie", "gone=; Path=/"),
)
LOGGED_IN = Reply(document={}, headers=COOKIES)
MOVED = Reply(301, headers=(("Location", USER),))
ALICE = {
    "id": "u-1",
    "subject": "alice",
    "name": "Alice",
    "assignedGroups": [
        {"id": "1", "name": "Finance", "providerType": "idp"},
        {"id": "2", "name": "Ünïcode 🦊", "providerType": "idp"},
        {"id": "3", "name": "Own", "providerType": "custom"},
        {"id": "4", "name": "com.qlik.Everyone", "providerType": "idp"},
    ],
}
KNOWN = QlikUser("u-1", "alice", frozenset({"Finance", "Ünïcode 🦊"}))
GRANTED = {"access_token": VALUE, "token_type": "bearer", "scope": "user_default", "expires_in": 21_600}
SECRETS = (JWT, "s3ss10n", "s1gn", VALUE, "issuing-s3cret", "management-s3cret")

GARBAGE = [
    Reply(body=b"<html><body>tok3n-value</body></html>", headers=(("Content-Type", "text/html"),)),
    Reply(body=b'{"access_token": "tok3n-val'),
    Reply(document={}),
    Reply(204),
    Reply(document=[]),
    Reply(document=VALUE),
    Reply(body=b"null"),
    Reply(body=b"\xff\xfe\x00"),
    Reply(body=b"[" * 100_000),
    Reply(body=b" " * 10_000_000),
]


@pytest.fixture
def qlik(keys: FakeKeys, clock: FakeClock) -> HttpQlik:
    return HttpQlik(keys, clock)


@pytest.fixture
def hasty(keys: FakeKeys, clock: FakeClock) -> HttpQlik:
    """One that gives up at once, for answers that never come: a busy machine is late as well."""
    return HttpQlik(keys, clock, patience=Patience(1, 0.15, 0.3))


@pytest.fixture
def tenant(acme: Tenant, scripted: ScriptedTenant) -> Tenant:
    scripted.answers |= {LOGIN: LOGGED_IN, ME: MOVED, USER: Reply(document=ALICE), TOKEN: Reply(document=GRANTED)}
    return acme.model_copy(update={"host": scripted.host})


def refused(error: type[TenantError], call: Callable[[], object]) -> TenantError:
    """Return the error of *call*, after a look that nothing of it tells a secret."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.detail
    assert not [secret for secret in SECRETS if secret in shown]
    return caught.value


# --- log in ----------------------------------------------------------------------------------------------


def test_a_login_says_who_the_subject_became(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    assert qlik.log_in(tenant, lambda: JWT) == KNOWN
    assert scripted.paths() == [LOGIN, ME, USER]
    login, *asks = scripted.seen
    assert (login.method, login.headers["Authorization"], login.body) == ("POST", f"Bearer {JWT}", b"")
    for ask in asks:
        assert ask.headers["Cookie"] == "eas.sid=s3ss10n; eas.sid.sig=s1gn; _csrfToken=csrf="
        assert "Authorization" not in ask.headers


def test_no_cookie_survives_a_login(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    qlik.log_in(tenant, lambda: JWT)
    qlik.whoami(tenant, VALUE)
    qlik.log_in(tenant, lambda: JWT)
    assert "Cookie" not in scripted.seen[3].headers
    assert "Cookie" not in scripted.seen[5].headers


def test_people_who_log_in_at_once_are_never_mixed_up(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    def log_in(seen: Seen) -> Reply:
        sub = seen.headers["Authorization"].removeprefix("Bearer ")
        return Reply(document={}, headers=(("Set-Cookie", f"eas.sid={sub}; Path=/"),))

    def me(seen: Seen) -> Reply:
        sub = seen.headers["Cookie"].removeprefix("eas.sid=")
        return Reply(document={"id": f"id-{sub}", "subject": sub, "assignedGroups": []})

    scripted.answers |= {LOGIN: log_in, ME: me}
    subs = [f"s{number}" for number in range(60)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda sub: qlik.log_in(tenant, lambda: sub), subs))
    assert [user.subject for user in found] == subs


@pytest.mark.parametrize("reply", [each for each in GARBAGE if each.document != {}])
def test_a_garbled_login(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, reply: Reply) -> None:
    scripted.answers[LOGIN] = Reply(reply.status, reply.document, reply.body, COOKIES)
    refused(TenantGarbled, lambda: qlik.log_in(tenant, lambda: JWT))
    assert scripted.paths() == [LOGIN]


def test_a_login_without_cookies_is_garbled(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    scripted.answers[LOGIN] = Reply(document={})
    assert "no cookies" in refused(TenantGarbled, lambda: qlik.log_in(tenant, lambda: JWT)).detail


@pytest.mark.parametrize(
    "reply",
    [
        *GARBAGE,
        Reply(document={**ALICE, "id": 5}),
        Reply(document={**ALICE, "id": ""}),
        Reply(document={**ALICE, "id": "u-1\ud800"}),
        Reply(document={**ALICE, "id": "u-1\x00"}),
        Reply(document={**ALICE, "subject": None}),
        Reply(document={**ALICE, "assignedGroups": {"name": "Finance"}}),
        Reply(document={**ALICE, "assignedGroups": ["Finance"]}),
        Reply(document={**ALICE, "assignedGroups": [{"id": "1", "providerType": "idp"}]}),
    ],
)
def test_a_garbled_user(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, reply: Reply) -> None:
    scripted.answers[USER] = reply
    refused(TenantGarbled, lambda: qlik.log_in(tenant, lambda: JWT))
    refused(TenantGarbled, lambda: qlik.whoami(tenant, VALUE))


def test_a_user_without_groups(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    scripted.answers[USER] = Reply(document={"id": "u-2", "subject": "o'neil\"\\"})
    assert qlik.log_in(tenant, lambda: JWT) == QlikUser("u-2", "o'neil\"\\", frozenset())


# --- redirects -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_users_me_stays_at_home(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, status: int
) -> None:
    scripted.answers[ME] = Reply(status, headers=(("Location", f"{scripted.host}{USER}?x=1#there"),))
    scripted.answers[f"{USER}?x=1"] = Reply(document=ALICE)
    assert qlik.whoami(tenant, VALUE) == KNOWN
    assert [each.headers["Authorization"] for each in scripted.seen] == ["Bearer tok3n-value"] * 2


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example.com/api/v1/users/u-1",
        "//evil.example.com/api/v1/users/u-1",
        "http://127.0.0.1:9/api/v1/users/u-1",
        "http://user:pass@{host}/api/v1/users/u-1",
        "https://{host}/api/v1/users/u-1",
        "http://{host}.evil.example.com/",
        "http://[",
        "http://127.0.0.1:port/",
        "javascript:alert(1)",
        "",
    ],
)
def test_a_redirect_elsewhere_is_not_followed(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, location: str
) -> None:
    there = location.replace("{host}", scripted.host.removeprefix("http://"))
    scripted.answers[ME] = Reply(302, headers=(("Location", there),))
    error = refused(TenantGarbled, lambda: qlik.log_in(tenant, lambda: JWT))
    assert "redirected" in error.message
    assert "redirected" in error.detail
    assert scripted.paths() == [LOGIN, ME]


def test_redirects_end(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    scripted.answers[ME] = Reply(301, headers=(("Location", ME),))
    assert "more than 3 times" in refused(TenantGarbled, lambda: qlik.whoami(tenant, VALUE)).detail
    assert scripted.paths() == [ME] * 4


@pytest.mark.parametrize("status", [301, 302, 307])
def test_nothing_else_may_redirect(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, status: int) -> None:
    elsewhere = Reply(status, headers=(("Location", "/elsewhere"),))
    scripted.answers |= {LOGIN: elsewhere, TOKEN: elsewhere, "/oauth/revoke": elsewhere}
    for call in (
        lambda: qlik.log_in(tenant, lambda: JWT),
        lambda: qlik.mint(tenant, "u-1"),
        lambda: qlik.revoke(tenant, VALUE),
        lambda: qlik.auto_creates_groups(tenant),
    ):
        assert "redirected" in refused(TenantGarbled, call).message
    assert "/elsewhere" not in scripted.paths()


# --- mint ------------------------------------------------------------------------------------------------


def test_a_token_is_asked_for_by_user_id(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, clock: FakeClock
) -> None:
    minted = qlik.mint(tenant, "u-1")
    assert (minted.value, minted.scope, minted.expires_at) == (VALUE, "user_default", clock() + 21_600)
    assert scripted.seen[0].headers["Content-Type"] == "application/json"
    assert scripted.seen[0].json() == {
        "grant_type": "urn:qlik:oauth:user-impersonation",
        "user_lookup": {"field": "userId", "value": "u-1"},
        "scope": "user_default",
        "client_id": "issuing",
        "client_secret": "issuing-s3cret",
    }
    assert VALUE not in repr(minted)


def signing(tenant: Tenant, field: str) -> Tenant:
    return tenant.model_copy(update={field: OAuthClient(id="signing", key="client.pem", key_id="key-7")})


def claims_of(assertion: str, keys: FakeKeys, scripted: ScriptedTenant, clock: FakeClock) -> str:
    """Check an assertion as Qlik documents it, and return its jti."""
    public = keys.load("client.pem").public_key().public_numbers()
    numbers = {
        name: base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()
        for name, value in (("n", public.n), ("e", public.e))
    }
    token = jwt.decode(assertion, RSAKey.import_key({"kty": "RSA", **numbers}), algorithms=["RS256"])
    claims = token.claims
    assert token.header == {"alg": "RS256", "typ": "JWT", "kid": "key-7"}
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("signing", "signing", f"{scripted.host}/oauth/token")
    assert claims["iat"] == int(clock())
    assert 0 < claims["exp"] - claims["iat"] <= 300
    return str(claims["jti"])


def test_a_client_may_prove_itself_by_a_key(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, keys: FakeKeys, clock: FakeClock
) -> None:
    for _ in range(2):
        qlik.mint(signing(tenant, "issuing_client"), "u-1")
    sent = [each.json() for each in scripted.seen]
    assert {each["client_assertion_type"] for each in sent} == {
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    }
    assert "client_secret" not in sent[0]
    assert len({claims_of(each["client_assertion"], keys, scripted, clock) for each in sent}) == 2


def test_a_tenant_without_an_issuing_client(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    bare = tenant.model_copy(update={"issuing_client": None})
    assert "no issuing client" in refused(TenantRefused, lambda: qlik.mint(bare, "u-1")).detail
    assert scripted.seen == []


@pytest.mark.parametrize(
    ("changed", "life_s"),
    [
        ({"expires_in": 3600}, 3600),
        ({"expires_in": 3600.5, "expires_at": "2099-01-01T00:00:00Z"}, 3600.5),
        ({"expires_in": None, "expires_at": "{in 7200}"}, 7200),
        ({"expires_in": None, "expires_at": "{naive 7200}"}, 7200),
        ({"expires_in": None}, 21_600),
    ],
)
def test_how_long_a_token_lives(
    qlik: HttpQlik,
    tenant: Tenant,
    scripted: ScriptedTenant,
    clock: FakeClock,
    changed: dict[str, object],
    life_s: float,
) -> None:
    end = datetime.fromtimestamp(clock() + 7200, UTC)
    texts = {"{in 7200}": end.isoformat().replace("+00:00", "Z"), "{naive 7200}": end.replace(tzinfo=None).isoformat()}
    if isinstance(at := changed.get("expires_at"), str):
        changed = {**changed, "expires_at": texts.get(at, at)}
    scripted.answers[TOKEN] = Reply(document={**GRANTED, **changed})
    assert qlik.mint(tenant, "u-1").expires_at == clock() + life_s


@pytest.mark.parametrize(("answered", "scope"), [("user_default extra", "user_default extra"), ("less", "less")])
def test_the_scope_is_taken_as_answered(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, answered: str, scope: str
) -> None:
    scripted.answers[TOKEN] = Reply(document={**GRANTED, "scope": answered, "token_type": "Bearer"})
    assert qlik.mint(tenant, "u-1").scope == scope
    scripted.answers[TOKEN] = Reply(document={name: GRANTED[name] for name in ("access_token", "token_type")})
    assert qlik.mint(tenant, "u-1").scope == "user_default"


@pytest.mark.parametrize(
    "reply",
    [
        *GARBAGE,
        *(
            Reply(document={**GRANTED, **changed})
            for changed in (
                {"access_token": ""},
                {"access_token": None},
                {"access_token": [VALUE]},
                {"access_token": "tok3n-value\r\nX: y"},
                {"token_type": "mac"},
                {"token_type": None},
                {"scope": ["user_default"]},
                {"scope": "user_default\ud800"},
                {"expires_in": "soon"},
                {"expires_in": True},
                {"expires_in": -1},
                {"expires_in": 10**400},
                {"expires_in": 10**20},
                {"expires_in": None, "expires_at": 5},
                {"expires_in": None, "expires_at": "soon"},
                {"expires_in": None, "expires_at": "2001-01-01T00:00:00Z"},
                {"expires_in": None, "expires_at": "9999-12-31T23:59:59Z"},
            )
        ),
        Reply(body=json.dumps(GRANTED).replace("21600", "NaN").encode()),
    ],
)
def test_a_garbled_token(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, reply: Reply) -> None:
    scripted.answers[TOKEN] = reply
    refused(TenantGarbled, lambda: qlik.mint(tenant, "u-1"))
    refused(TenantGarbled, lambda: qlik.auto_creates_groups(tenant))


# --- what the statuses mean ------------------------------------------------------------------------------

DENIED = {"errors": [{"code": "OAUTH-14", "title": VALUE, "status": "400"}], "traceId": "00ab-12"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 451])
def test_a_refusal_keeps_status_code_and_trace(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, status: int
) -> None:
    scripted.answers |= {TOKEN: Reply(status, DENIED), LOGIN: Reply(status, DENIED), ME: Reply(status, DENIED)}
    for call in (
        lambda: qlik.mint(tenant, "u-1"),
        lambda: qlik.log_in(tenant, lambda: JWT),
        lambda: qlik.whoami(tenant, VALUE),
        lambda: qlik.auto_creates_groups(tenant),
    ):
        error = refused(TenantRefused, call)
        assert isinstance(error, TenantRefused)
        assert (error.status, error.upstream_code, error.trace_id) == (status, "OAUTH-14", "00ab-12")
        assert abs(error.skew_s) < 2


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(403, {"code": "CSRF-TOKEN-2"}), "CSRF-TOKEN-2"),
        (Reply(403, {"errors": []}), ""),
        (Reply(403, {"errors": VALUE}), ""),
        (Reply(403, {"errors": [{"code": JWT}], "traceId": {"a": 1}}), ""),
        (Reply(403, {"errors": [{"code": 5}]}), ""),
        (Reply(403, body=b"<html>"), ""),
        (Reply(403, [1]), ""),
        (Reply(403), ""),
    ],
)
def test_a_refusal_of_another_form(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, reply: Reply, code: str
) -> None:
    scripted.answers[TOKEN] = reply
    error = refused(TenantRefused, lambda: qlik.mint(tenant, "u-1"))
    assert isinstance(error, TenantRefused)
    assert (error.status, error.upstream_code, error.trace_id) == (403, code, "")


@pytest.mark.parametrize("credential", ["secret", "key"])
def test_a_client_that_is_not_taken_is_named_with_what_to_do(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, credential: str
) -> None:
    scripted.answers[TOKEN] = Reply(401, DENIED)
    asked = signing(tenant, "issuing_client") if credential == "key" else tenant
    error = refused(TenantRefused, lambda: qlik.mint(asked, "u-1"))
    assert f"its {credential} was removed" in error.message
    assert "tenants apply" in error.message
    assert VALUE not in error.message
    scripted.answers[TOKEN] = Reply(403, {"errors": [{"code": "OTHER-1"}]})
    assert refused(TenantRefused, lambda: qlik.mint(asked, "u-1")).message == TenantRefused.public


def test_a_locked_secret_is_named_and_nothing_is_sent(
    qlik: HttpQlik, managed: Tenant, scripted: ScriptedTenant
) -> None:
    locked = Tenant.from_documents(managed.public_document(), None)
    assert locked.locked() == ["issuing_client", "management_client"]
    calls: list[Callable[[], object]] = [lambda: qlik.mint(locked, "u-1"), lambda: qlik.auto_creates_groups(locked)]
    for call in calls:
        error = refused(TenantRefused, call)
        assert "BRIDGE_ENCRYPTION_KEYS" in error.message
        assert "locked" in error.detail
    assert scripted.seen == []


@pytest.mark.parametrize(("skew_s", "named"), [(300, "300 s ahead"), (-300, "300 s behind"), (20, ""), (-20, "")])
def test_a_clock_that_differs_is_named_as_the_cause(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, skew_s: float, named: str
) -> None:
    scripted.skew_s = skew_s
    scripted.answers |= {LOGIN: Reply(401, DENIED), TOKEN: Reply(401, DENIED)}
    by_key = signing(signing(tenant, "issuing_client"), "management_client")
    for call in (
        lambda: qlik.log_in(tenant, lambda: JWT),
        lambda: qlik.mint(by_key, "u-1"),
        lambda: qlik.auto_creates_groups(by_key),
    ):
        error = refused(TenantRefused, call)
        assert isinstance(error, TenantRefused)
        assert abs(error.skew_s - skew_s) <= 1
        assert named in error.message
        assert named in error.detail
        assert ("clock" in error.message) == bool(named)
        assert (error.status, error.upstream_code) == (401, "OAUTH-14")
    assert "clock" not in refused(TenantRefused, lambda: qlik.mint(tenant, "u-1")).message


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("7", 7),
        ("2.5", 2.5),
        ("0", 0),
        (None, 1),
        ("", 1),
        ("soon", 1),
        ("-5", 1),
        ("nan", 1),
        ("99999999", 3600),
        ("9" * 400, 1),
        ("{in 40}", 40),
        ("{in -40}", 0),
    ],
)
def test_a_429_says_how_long_to_wait(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, clock: FakeClock, header: str | None, wait_s: float
) -> None:
    scripted.skew_s = 1000
    if header is not None and header.startswith("{in "):
        header = formatdate(clock() + 1000 + float(header[4:-1]), usegmt=True)
    headers = () if header is None else (("Retry-After", header),)
    scripted.answers[TOKEN] = Reply(429, {"errors": [{"code": "HTTP-429"}]}, headers=headers)
    error = refused(TenantThrottled, lambda: qlik.mint(tenant, "u-1"))
    assert error.retry_after_s == pytest.approx(wait_s, abs=1e-6)


def test_the_other_calls_are_throttled_too(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    busy = Reply(429, headers=(("Retry-After", "9"),))
    scripted.answers |= {LOGIN: busy, ME: busy, TOKEN: busy, "/oauth/revoke": busy}
    for call in (
        lambda: qlik.log_in(tenant, lambda: JWT),
        lambda: qlik.whoami(tenant, VALUE),
        lambda: qlik.revoke(tenant, VALUE),
        lambda: qlik.auto_creates_groups(tenant),
    ):
        assert refused(TenantThrottled, call).retry_after_s == 9


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_a_failing_tenant(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, status: int) -> None:
    scripted.answers[TOKEN] = Reply(status, body=VALUE.encode())
    assert refused(TenantUnavailable, lambda: qlik.mint(tenant, "u-1")).retry_after_s is None
    scripted.answers[TOKEN] = Reply(status, headers=(("Retry-After", "20"),))
    assert refused(TenantUnavailable, lambda: qlik.mint(tenant, "u-1")).retry_after_s == 20


def test_an_unusual_status(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    scripted.answers[TOKEN] = Reply(600, GRANTED)
    refused(TenantGarbled, lambda: qlik.mint(tenant, "u-1"))


# --- the wire --------------------------------------------------------------------------------------------


def test_a_tenant_that_is_away(qlik: HttpQlik, tenant: Tenant) -> None:
    away = tenant.model_copy(update={"host": "http://127.0.0.1:9"})
    assert "ConnectionRefusedError" in refused(TenantUnavailable, lambda: qlik.log_in(away, lambda: JWT)).detail
    refused(TenantUnavailable, lambda: qlik.auto_creates_groups(away))


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(document=GRANTED, cut=10)])
def test_a_connection_that_breaks(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, reply: Reply) -> None:
    scripted.answers |= {LOGIN: reply, TOKEN: reply}
    refused(TenantUnavailable, lambda: qlik.mint(tenant, "u-1"))
    refused(TenantUnavailable, lambda: qlik.log_in(tenant, lambda: JWT))
    refused(TenantUnavailable, lambda: qlik.auto_creates_groups(tenant))


@pytest.mark.parametrize("reply", [Reply(document=GRANTED, hang=True), Reply(document=GRANTED, drip=True)])
def test_an_answer_that_takes_too_long(hasty: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, reply: Reply) -> None:
    scripted.answers[TOKEN] = reply
    refused(TenantTimeout, lambda: hasty.mint(tenant, "u-1"))
    refused(TenantTimeout, lambda: hasty.auto_creates_groups(tenant))


def test_a_jwt_that_breaks_a_header_does_not_show(qlik: HttpQlik, tenant: Tenant) -> None:
    refused(TenantUnavailable, lambda: qlik.log_in(tenant, lambda: f"{JWT}\r\nX-Evil: 1"))


def test_the_environment_changes_nothing(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert qlik.whoami(tenant, VALUE) == KNOWN
    assert scripted.paths() == [ME, USER]


def test_nothing_is_logged(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.answers |= {"/api/v1/groups/settings": Reply(document={"autoCreateGroups": True})}
    with caplog.at_level(logging.INFO):
        qlik.log_in(tenant, lambda: JWT)
        qlik.mint(tenant, "u-1")
        qlik.auto_creates_groups(tenant)
    assert not [secret for secret in SECRETS if secret in caplog.text]


# --- revoke ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [Reply(200), Reply(204), Reply(document={})])
def test_a_token_is_revoked(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant, reply: Reply) -> None:
    scripted.answers["/oauth/revoke"] = reply
    qlik.revoke(tenant, VALUE)
    assert scripted.seen[0].json() == {"token": VALUE, "token_type_hint": "access_token"}


def test_a_page_instead_of_a_revocation_does_not_count(
    qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant
) -> None:
    scripted.answers["/oauth/revoke"] = Reply(body=b"<html>sign in to the hotel network</html>")
    refused(TenantGarbled, lambda: qlik.revoke(tenant, VALUE))
    scripted.answers["/oauth/revoke"] = Reply(400, DENIED)
    refused(TenantRefused, lambda: qlik.revoke(tenant, VALUE))


def test_a_dead_token_is_refused_with_401(qlik: HttpQlik, tenant: Tenant, scripted: ScriptedTenant) -> None:
    scripted.answers[ME] = Reply(401)
    error = refused(TenantRefused, lambda: qlik.whoami(tenant, generate_token(20)))
    assert isinstance(error, TenantRefused)
    assert error.status == 401


# --- the management client -------------------------------------------------------------------------------

SETTINGS = "/api/v1/groups/settings"


@pytest.fixture
def managed(tenant: Tenant, scripted: ScriptedTenant) -> Tenant:
    scripted.answers[SETTINGS] = Reply(document={"autoCreateGroups": True, "tenantId": "t"})
    return tenant


def test_the_group_setting_is_read(qlik: HttpQlik, managed: Tenant, scripted: ScriptedTenant) -> None:
    assert qlik.auto_creates_groups(managed) is True
    scripted.answers[SETTINGS] = Reply(document={"autoCreateGroups": False})
    assert qlik.auto_creates_groups(managed) is False
    asked, *reads = scripted.seen
    assert asked.form() == {
        "grant_type": "client_credentials",
        "scope": "admin_classic user_default",
        "client_id": "management",
        "client_secret": "management-s3cret",
    }
    assert "Authorization" not in asked.headers
    assert [each.path for each in reads] == [SETTINGS] * 2, "one token serves both"
    assert {each.headers["Authorization"] for each in reads} == {"Bearer tok3n-value"}


@pytest.mark.parametrize(
    "lasting",
    [
        {"expires_in": 3600},
        {"expires_in": 3600, "expires_at": "2099-01-01T00:00:00.000Z"},
    ],
)
def test_a_management_token_is_renewed_before_its_end(
    qlik: HttpQlik, managed: Tenant, scripted: ScriptedTenant, clock: FakeClock, lasting: dict[str, object]
) -> None:
    scripted.answers[TOKEN] = Reply(document={"access_token": VALUE, "token_type": "Bearer", **lasting})
    qlik.auto_creates_groups(managed)
    clock.advance(3539)
    qlik.auto_creates_groups(managed)
    assert scripted.paths().count(TOKEN) == 1
    clock.advance(1)
    qlik.auto_creates_groups(managed)
    assert scripted.paths().count(TOKEN) == 2


def test_a_dead_management_token_is_not_kept(qlik: HttpQlik, managed: Tenant, scripted: ScriptedTenant) -> None:
    fine = scripted.answers[SETTINGS]
    scripted.answers[SETTINGS] = Reply(401)
    refused(TenantRefused, lambda: qlik.auto_creates_groups(managed))
    scripted.answers[SETTINGS] = fine
    assert qlik.auto_creates_groups(managed)
    assert scripted.paths() == [TOKEN, SETTINGS, TOKEN, SETTINGS]


def test_a_management_client_may_prove_itself_by_a_key(
    qlik: HttpQlik, managed: Tenant, scripted: ScriptedTenant, keys: FakeKeys, clock: FakeClock
) -> None:
    assert qlik.auto_creates_groups(signing(managed, "management_client"))
    sent = scripted.seen[0].form()
    assert sent["client_id"] == "signing"
    assert "client_secret" not in sent
    claims_of(sent["client_assertion"], keys, scripted, clock)


def test_two_tenants_have_a_token_each(qlik: HttpQlik, managed: Tenant, scripted: ScriptedTenant) -> None:
    other = OAuthClient(id="other", secret=SecretStr("other-s3cret"))
    qlik.auto_creates_groups(managed)
    qlik.auto_creates_groups(managed.model_copy(update={"management_client": other}))
    assert scripted.paths() == [TOKEN, SETTINGS] * 2


def test_a_tenant_without_a_management_client(qlik: HttpQlik, managed: Tenant, scripted: ScriptedTenant) -> None:
    bare = managed.model_copy(update={"management_client": None})
    assert "no management client" in refused(TenantRefused, lambda: qlik.auto_creates_groups(bare)).detail
    assert scripted.seen == []


@pytest.mark.parametrize("reply", [*GARBAGE, Reply(document={"autoCreateGroups": "yes"})])
def test_a_garbled_setting(qlik: HttpQlik, managed: Tenant, scripted: ScriptedTenant, reply: Reply) -> None:
    scripted.answers[SETTINGS] = reply
    refused(TenantGarbled, lambda: qlik.auto_creates_groups(managed))
