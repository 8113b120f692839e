"""How often somebody may ask: persons by their requests, addresses by what was refused."""

import pytest
from fakes import FakeClock
from routekit import OIDC_ENVIRONMENT
from webkit import ASSERTION, DEMO, HEADER, Visitor, Web, problem, web

from bridge.errors import TooMany
from bridge.web.allowances import REMEMBERED, Allowance

THREE = {"BRIDGE_SUBJECT_REQUESTS_PER_MINUTE": "3", "BRIDGE_ADDRESS_REFUSALS_PER_MINUTE": "3"}
OPERATOR = {"Authorization": "Bearer qbo_guessed"}
ASSERTED = {"Authorization": "Bearer eyJ.guessed.x"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_minute_begins_with_its_first_request(clock: FakeClock) -> None:
    allowance = Allowance(2, clock)
    allowance.spend("a")
    clock.advance(50)
    allowance.spend("a")
    allowance.spend("b")
    with pytest.raises(TooMany) as caught:
        allowance.spend("a")

    assert caught.value.retry_after_s == 10
    clock.advance(10)
    allowance.spend("a")


def test_a_clock_that_is_set_back_makes_no_minute_longer(clock: FakeClock) -> None:
    allowance = Allowance(2, clock)
    for _ in range(2):
        allowance.spend("alice")
    clock.advance(-86_400)

    allowance.check("alice")
    for _ in range(2):
        allowance.spend("alice")
    with pytest.raises(TooMany) as raised:
        allowance.spend("alice")
    assert raised.value.retry_after_s == 60


def test_memory_is_bounded(clock: FakeClock) -> None:
    allowance = Allowance(1, clock)
    for number in range(REMEMBERED + 1000):
        allowance.spend(number)

    assert len(allowance._minutes) == REMEMBERED


def test_none_is_without_end(clock: FakeClock) -> None:
    allowance = Allowance(0, clock)
    for _ in range(10_000):
        allowance.spend("a")
    allowance.check("a")


# --- persons ---------------------------------------------------------------------------------------------

COSTLY = [
    ("POST", "access-token"),
    ("POST", "client-events"),
    ("POST", "frames"),
    ("POST", "config"),
    ("GET", "token"),
    ("GET", "session"),
    ("GET", "app-sheets"),
    ("GET", "hypercube"),
    ("GET", "user-attributes"),
]


@pytest.mark.parametrize(("method", "route"), COSTLY)
def test_a_person_who_asks_too_often_waits_and_nobody_else_does(method: str, route: str) -> None:
    demo = web(**DEMO, **THREE)
    demo.at("oauth")
    alice, bob = demo.visitor("alice"), demo.visitor("bob")
    csrf = alice.csrf()
    for _ in range(2):
        alice.get("/t/acme/csrf-token")
    calls = list(demo.qlik.calls)

    answer = alice._ask(method, f"/t/acme/{route}", headers=csrf)

    assert problem(answer) == (429, "too_many")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert demo.qlik.calls == calls
    assert bob.get("/t/acme/session").status_code == 200
    assert alice.get("/t/globex/session").status_code == 200
    assert alice.delete("/t/acme/session", headers=csrf).status_code == 204  # whoever may not ask may go
    demo.clock.advance(60)
    assert demo.visitor("alice").get("/t/acme/session").status_code == 200


def test_assertions_for_one_person_count_together_as_sessions_too() -> None:
    portal = web(**ASSERTION, **THREE)
    portal.at("oauth")
    visitor = portal.visitor()
    for _ in range(3):
        assert visitor.post("/t/acme/session", headers=portal.vouch()).status_code == 200

    for path in ("session", "access-token"):
        assert problem(visitor.post(f"/t/acme/{path}", headers=portal.vouch())) == (429, "too_many")
    assert visitor.post("/t/acme/access-token", headers=portal.vouch("bea")).status_code == 200


def test_who_signs_out_again_and_again_has_no_new_token_minted_each_time() -> None:
    """It would take the calls that everybody shares."""
    portal = web(**ASSERTION)
    portal.at("oauth")
    codes = []
    for _ in range(15):
        codes.append(portal.visitor().post("/t/acme/access-token", headers=portal.vouch()).status_code)
        assert portal.visitor().delete("/t/acme/session", headers=portal.vouch()).status_code == 204

    assert codes == [200] * 10 + [429] * 5
    assert portal.qlik.names().count("mint") == 10
    assert portal.visitor().post("/t/acme/access-token", headers=portal.vouch("bea")).status_code == 200


def test_by_default_a_page_with_many_charts_notices_nothing(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")

    assert {alice.get("/t/acme/csrf-token").status_code for _ in range(500)} == {200}


# --- addresses -------------------------------------------------------------------------------------------


def refused(application: Web, way: dict[str, str], times: int, **options: str) -> None:
    for _ in range(times):
        path = "/api/v1/tenants" if way is OPERATOR else "/t/acme/session"
        answer = application.visitor(**options).get(path, headers=way)
        assert problem(answer) == (401, "not_signed_in")


@pytest.mark.parametrize("way", [OPERATOR, ASSERTED])
def test_guessing_ends_for_the_address_alone(way: dict[str, str]) -> None:
    portal = web(**ASSERTION, **THREE)
    token = portal.operator_token()
    refused(portal, way, 3)

    for path, headers in (("/api/v1/tenants", token), ("/t/acme/session", portal.vouch())):
        answer = portal.visitor().get(path, headers=headers)
        assert problem(answer) == (429, "too_many")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert portal.visitor(peer="192.0.2.8").get(path, headers=headers).status_code == 200
    portal.clock.advance(60)
    assert portal.visitor().get("/api/v1/tenants", headers=token).status_code == 200


def test_what_is_right_is_not_counted_however_many_come_from_one_address() -> None:
    portal = web(**ASSERTION, **THREE)
    for number in range(50):
        assert portal.visitor().post("/t/acme/session", headers=portal.vouch(f"person-{number}")).status_code == 200


def test_whoever_has_a_session_goes_on_at_an_address_that_was_closed() -> None:
    portal = web(**ASSERTION, **THREE)
    at_work = portal.visitor()
    session = at_work.post("/t/acme/session", headers=portal.vouch()).get_json()["session"]
    refused(portal, ASSERTED, 3)

    assert at_work.get("/t/acme/session").status_code == 200
    bearer = {"Authorization": f"Bearer {session}"}
    assert portal.visitor().get("/t/acme/session", headers=bearer).status_code == 200


def test_sessions_that_ended_close_no_address() -> None:
    portal = web(**ASSERTION, **THREE)
    for _ in range(10):
        portal.visitor().get("/t/acme/session", headers={"Authorization": "Bearer qbs_ended"})

    assert portal.visitor().get("/t/acme/session", headers=portal.vouch()).status_code == 200


def test_refused_returns_from_the_sign_in_service_count() -> None:
    application = web(**OIDC_ENVIRONMENT, **THREE)
    visitor = application.visitor()
    codes = [visitor.get("/login/callback?state=guessed&code=guessed").status_code for _ in range(4)]

    assert codes == [403, 403, 403, 429]


@pytest.mark.parametrize(("peer", "closed"), [("2001:db8::1", True), ("2001:db8:0:1::1", False)])
def test_a_line_of_ipv6_is_one_address(peer: str, closed: bool) -> None:  # noqa: FBT001
    portal = web(**ASSERTION, **THREE)
    refused(portal, ASSERTED, 3, peer="2001:db8::ffff:2")

    answer = portal.visitor(peer=peer).get("/t/acme/session", headers=portal.vouch())
    assert answer.status_code == (429 if closed else 200)


def forwarded(*hops: str) -> dict[str, str]:
    return {"X-Forwarded-For": ", ".join(hops)}


def test_behind_a_trusted_proxy_the_client_is_counted_not_the_proxy() -> None:
    portal = web(**ASSERTION, **THREE, BRIDGE_TRUSTED_PROXIES="10.0.0.0/8")
    proxy = portal.visitor(peer="10.0.0.1")
    for _ in range(3):  # what a client writes itself stands further left
        proxy.get("/t/acme/session", headers=ASSERTED | forwarded("192.0.2.99", "192.0.2.1", "10.0.0.2"))

    for client, status in (("192.0.2.1", 429), ("192.0.2.99", 200), ("nonsense", 200)):
        assert proxy.get("/t/acme/session", headers=portal.vouch() | forwarded(client)).status_code == status


@pytest.mark.parametrize("written", ["192.0.2.1:50443", "[2001:db8::1]:50443", "2001:db8::1"])
def test_a_proxy_may_write_ports_and_brackets(written: str) -> None:
    portal = web(**ASSERTION, **THREE, BRIDGE_TRUSTED_PROXIES="10.0.0.0/8")
    proxy = portal.visitor(peer="10.0.0.1")
    for _ in range(3):
        proxy.get("/t/acme/session", headers=ASSERTED | forwarded(written))

    for client, status in ((written, 429), ("192.0.2.2:50443", 200)):
        assert proxy.get("/t/acme/session", headers=portal.vouch() | forwarded(client)).status_code == status


def test_a_stranger_behind_a_proxy_that_nobody_named_closes_it_for_nobody_else() -> None:
    portal = web(**ASSERTION, **THREE)
    proxy = portal.visitor(peer="127.0.0.1")
    for _ in range(4):
        proxy.get("/t/acme/session", headers=ASSERTED | forwarded("192.0.2.99", "198.51.100.1"))

    for client, status in (("198.51.100.1", 429), ("203.0.113.5", 200)):
        assert proxy.get("/t/acme/session", headers=portal.vouch() | forwarded(client)).status_code == status


def test_nobody_else_chooses_the_address_that_counts() -> None:
    portal = web(**ASSERTION, **THREE)
    for number in range(3):
        portal.visitor().get("/t/acme/session", headers=ASSERTED | forwarded(f"192.0.2.{number}"))

    assert portal.visitor().get("/t/acme/session", headers=portal.vouch()).status_code == 429


# --- the same address, for metrics -----------------------------------------------------------------------


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_metrics_stay_closed_behind_a_proxy_on_the_same_machine(header: str) -> None:
    """Everybody comes from loopback there."""
    demo = web(**HEADER)
    local = demo.visitor(peer="127.0.0.1")

    assert local.get("/metrics").status_code == 200
    assert local.get("/metrics", headers={header: "203.0.113.9"}).status_code == 403
    assert local.get("/metrics", headers={header: "127.0.0.1"}).status_code == 403
    assert "probes" not in local.get("/readyz", headers={header: "203.0.113.9"}).get_json()


@pytest.mark.parametrize(
    "told",
    [
        {"Forwarded": "for=203.0.113.9"},
        {"X-Forwarded-For": "unknown"},
        {"X-Forwarded-For": ""},
        {"X-Forwarded-For": "127.0.0.1, somebody"},
        {"X-Real-IP": "203.0.113.9"},
        {"Via": "1.1 proxy"},
    ],
)
def test_metrics_stay_closed_where_a_trusted_proxy_does_not_say_for_whom(told: dict[str, str]) -> None:
    inside = web(**HEADER | {"BRIDGE_TRUSTED_PROXIES": "127.0.0.1"})
    local = inside.visitor(peer="127.0.0.1")

    assert local.get("/metrics", headers=told).status_code == 403
    assert local.get("/metrics").status_code == 200


def test_a_trusted_proxy_may_write_the_port_of_whom_it_names() -> None:
    inside = web(**HEADER | {"BRIDGE_TRUSTED_PROXIES": "127.0.0.1"}, BRIDGE_OPS_NETWORKS="10.0.0.0/8")
    local = inside.visitor(peer="127.0.0.1")

    assert local.get("/metrics", headers=forwarded("10.0.0.9:51234")).status_code == 200
    assert local.get("/metrics", headers=forwarded("203.0.113.9:51234")).status_code == 403


def test_a_trusted_proxy_says_who_reads_the_metrics() -> None:
    inside = web(**HEADER | {"BRIDGE_TRUSTED_PROXIES": "127.0.0.1"}, BRIDGE_OPS_NETWORKS="10.0.0.0/8")
    local = inside.visitor(peer="127.0.0.1")

    assert local.get("/metrics", headers=forwarded("10.0.0.9")).status_code == 200
    assert local.get("/metrics", headers=forwarded("10.0.0.9", "203.0.113.9")).status_code == 403
    assert local.get("/metrics").status_code == 403
