"""Our cookies, by their flags."""

import pytest
from webkit import DEMO, Visitor, Web, web

FLAGS = {"HttpOnly", "SameSite=Lax", "Path=/"}


def flags(line: str) -> set[str]:
    return {part.strip() for part in line.split(";")[1:]}


def test_flags_over_https(portal: Web) -> None:
    """The browser takes a `__Host-` cookie only with Secure, Path=/ and without Domain: no other name can set it."""
    answer = portal.visitor().post("/t/acme/session", headers=portal.vouch() | {"Sec-Fetch-Site": "same-origin"})
    [line] = answer.headers.getlist("Set-Cookie")

    assert line.startswith("__Host-bridge_session=qbs_")
    assert flags(line) >= FLAGS | {"Secure"}
    assert not any(flag.startswith("Domain") for flag in flags(line))


def test_flags_over_plain_http_on_loopback() -> None:
    visitor = web(**DEMO).visitor()
    lines = [
        *visitor.get("/login").headers.getlist("Set-Cookie"),
        *visitor.sign_in("alice").headers.getlist("Set-Cookie"),
    ]

    assert [line.partition("=")[0] for line in lines] == ["bridge_form", "bridge_session"]
    assert all(flags(line) >= FLAGS for line in lines)


def test_a_neighbour_under_the_same_domain_signs_nobody_in(portal: Web) -> None:
    """They can set a cookie for the whole domain, with their own session in it; its name can only be the plain one."""
    theirs = portal.visitor().post("/t/acme/session", headers=portal.vouch("eve")).get_json()["session"]
    visitor = portal.visitor()
    visitor.client.set_cookie("bridge_session", theirs, domain="bridge.example.com")

    assert visitor.get("/t/acme/session").status_code == 401


@pytest.mark.parametrize("username", ["alice", "bob"])
def test_a_session_that_somebody_fixed_in_advance_is_not_taken_over(demo: Web, username: str) -> None:
    fixed: Visitor = demo.visitor("carol")
    value = fixed.cookie()
    victim = demo.visitor()
    victim.client.set_cookie("bridge_session", value or "", domain="localhost")
    victim.sign_in(username)

    assert victim.cookie() != value
    assert fixed.get("/t/acme/session").status_code == 401
