"""What is noted of a page that asks for a legacy JWT: its origin and its browser's family, and nothing else."""

import pytest
from webkit import Visitor, Web

from bridge.texts import origin_of
from bridge.trail import Whence

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"


@pytest.mark.parametrize(
    ("headers", "noted"),
    [
        ({"Origin": "https://app.example.com"}, Whence("https://app.example.com", "Firefox")),
        ({"Referer": "https://portal.example/sales?customer=17#top"}, Whence("https://portal.example", "Firefox")),
        (
            {"Origin": "null", "Referer": "https://portal.example:8443/x"},
            Whence("https://portal.example:8443", "Firefox"),
        ),
        ({"Origin": "https://a.example", "Referer": "https://b.example/"}, Whence("https://a.example", "Firefox")),
        ({"Referer": "https://erin:hush@portal.example/"}, Whence("https://portal.example", "Firefox")),
        ({"Referer": "nonsense"}, Whence("", "Firefox")),
        ({}, Whence("", "Firefox")),
        ({"User-Agent": ""}, Whence("", "")),
    ],
)
def test_a_use_of_the_jwt_path_is_noted(demo: Web, alice: Visitor, headers: dict[str, str], noted: Whence) -> None:
    answer = alice.get("/t/acme/token", headers={"User-Agent": FIREFOX, **headers})

    assert answer.status_code == 200
    demo.bridge.stragglers.flush()
    ((tenant, sub, whence),) = demo.jwt_uses.rows
    assert (tenant, sub, whence) == ("acme", "alice", noted)
    assert "hush" not in repr(demo.jwt_uses.rows)


def test_who_still_asks_at_a_retired_tenant_is_noted_too(demo: Web, alice: Visitor) -> None:
    demo.at("retired")

    assert alice.get("/t/acme/token").status_code == 410
    demo.bridge.stragglers.flush()
    assert len(demo.jwt_uses.rows) == 1


def test_who_may_not_ask_is_not_noted(demo: Web, alice: Visitor) -> None:
    demo.change(admits=["somebody-else"])

    assert demo.visitor().get("/t/acme/token").status_code == 401
    assert alice.get("/t/acme/token").status_code == 403
    demo.bridge.stragglers.flush()
    assert demo.jwt_uses.rows == {}


def test_the_old_path_answers_while_nothing_can_be_noted(demo: Web, alice: Visitor) -> None:
    demo.jwt_uses.broken = True

    assert alice.get("/t/acme/token").status_code == 200


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://portal.example/", "https://portal.example"),
        ("HTTPS://Portal.Example:443/x", "https://portal.example"),
        ("http://localhost:8000/t/acme/", "http://localhost:8000"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("https://portal.example:port/", ""),
        ("https://bad host/", ""),
        ("https://" + "a" * 300 + ".example/", ""),
        ("file:///etc/passwd", ""),
        ("javascript:alert(1)", ""),
        ("https://[broken/", ""),
        ("", ""),
    ],
)
def test_of_an_address_the_origin_alone_is_kept(address: str, origin: str) -> None:
    assert origin_of(address) == origin
