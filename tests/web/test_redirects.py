"""Nobody is sent elsewhere after signing in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webkit import Visitor

from bridge.web.redirects import safe_target


@pytest.mark.parametrize(
    "target", ["/", "/t/acme/", "/t/acme/?a=b&c=d", "/admin/#acme", "/t/%C3%A5/", "/a%20b", "/100%"]
)
def test_paths_of_ours_are_kept(target: str) -> None:
    assert safe_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "t/acme/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "https://evil.example",
        "/t/acme//evil.example",
        "javascript:alert(1)",
        "/%2Fevil.example",
        "/%2fevil.example",
        "/%252Fevil.example",
        "/%25252525252525252Fevil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "/\t/evil.example",
        "/\n",
        "/%0d%0aSet-Cookie:a=b",
        "/\x85",
        " /",
    ],
)
def test_everything_else_leads_home(target: str) -> None:
    assert safe_target(target) == "/"


@given(st.text(alphabet="/\\%25Ff0dae.:\t ", max_size=12))
def test_no_text_leaves_this_origin(text: str) -> None:
    target = safe_target(text)

    assert target.startswith("/")
    assert not target.startswith(("//", "/\\"))


@pytest.mark.parametrize(
    ("given_target", "location"),
    [("/t/globex/", "/t/globex/"), ("//evil.example/", "/"), ("/%5Cevil.example", "/"), ("", "/t/acme/")],
)
def test_sign_in_leads_there(alice: Visitor, given_target: str, location: str) -> None:
    answer = alice.sign_in("bob", next=given_target)

    assert (answer.status_code, answer.headers["Location"]) == (303, location)
