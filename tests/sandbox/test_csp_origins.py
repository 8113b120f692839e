"""Which sites may frame the tenant's pages: /api/v1/csp-origins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.kit import PORTAL, error

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from sandbox.kit import Sandbox

LIST = "/api/v1/csp-origins"
HEADER = f"{LIST}/actions/generate-header"


def post(acme: Sandbox, origin: object, **fields: object) -> TestResponse:
    return acme.api("POST", LIST, json={"origin": origin, **fields})


def added(acme: Sandbox, origin: str, **fields: object) -> dict[str, Any]:
    answer = post(acme, origin, **fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def listed(acme: Sandbox, query: str = "") -> list[str]:
    answer = acme.api("GET", f"{LIST}{query}")
    assert answer.status_code == 200, answer.text
    return [entry["origin"] for entry in (answer.json or {})["data"]]


def policy(acme: Sandbox) -> set[str]:
    answer = acme.api("GET", HEADER).json or {}
    return set(answer["Content-Security-Policy"].split("; "))


def test_a_fresh_tenant_lets_the_portal_frame_it(acme: Sandbox) -> None:
    entry = (acme.api("GET", LIST).json or {})["data"][0]
    assert (entry["origin"], entry["frameAncestors"], entry["scriptSrc"]) == (PORTAL, True, False)
    assert policy(acme) == {f"frame-ancestors 'self' {PORTAL}"}
    assert (acme.call("GET", "/_sandbox/state").json or {})["csp_origins"] == [entry]


def test_an_entry_from_its_making_to_its_end(acme: Sandbox) -> None:
    entry = added(acme, "*.example.com", name="Shop", description="All of them", frameAncestors=True, imgSrc=True)
    address = f"{LIST}/{entry['id']}"
    assert acme.api("GET", address).json == entry
    assert policy(acme) == {f"frame-ancestors 'self' {PORTAL} *.example.com", "img-src 'self' *.example.com"}

    acme.clock(5)
    changed = acme.api("PUT", address, json={"origin": "shop.example.com", "connectSrcWSS": True, "connectSrc": True})
    assert changed.status_code == 200
    seen = changed.json or {}
    assert (seen["origin"], seen["name"], seen["frameAncestors"]) == ("shop.example.com", "", False)
    assert (seen["id"], seen["createdDate"]) == (entry["id"], entry["createdDate"])
    assert seen["modifiedDate"] > entry["modifiedDate"]
    assert policy(acme) == {
        f"frame-ancestors 'self' {PORTAL}",
        "connect-src 'self' shop.example.com wss://shop.example.com",
    }

    assert acme.api("DELETE", address).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        assert acme.api(method, address, json={"origin": "a.example"}).status_code == 404
    assert listed(acme) == [PORTAL]


def test_the_list_is_narrowed_sorted_and_paged(acme: Sandbox) -> None:
    added(acme, "b.example", name="second", scriptSrc=True)
    added(acme, "a.example", name="third", frameAncestors=True)
    assert listed(acme) == [PORTAL, "b.example", "a.example"], "by name"
    assert listed(acme, "?sort=-origin") == [PORTAL, "b.example", "a.example"]
    assert listed(acme, "?frameAncestors=true") == [PORTAL, "a.example"]
    assert listed(acme, "?frameAncestors=false&scriptSrc=true") == ["b.example"]
    assert listed(acme, "?name=third") == ["a.example"]
    assert listed(acme, "?origin=b.example") == ["b.example"]
    page = acme.api("GET", f"{LIST}?limit=2").json or {}
    following = acme.api("GET", page["links"]["next"]["href"]).json or {}
    assert [entry["origin"] for entry in (*page["data"], *following["data"])] == [PORTAL, "b.example", "a.example"]
    for query in ("?sort=color", "?limit=101", "?frameAncestors=maybe"):
        assert acme.api("GET", f"{LIST}{query}").status_code == 400


@pytest.mark.parametrize(
    "origin",
    [
        "",
        None,
        7,
        "a" * 257,
        "a.example; script-src *",
        "a.example b.example",
        "a.example\r\nSet-Cookie: x=1",
        "'none'",
        "*",
        "a.example/path",
        "javascript:alert(1)",
    ],
)
def test_an_origin_that_could_say_something_else_is_refused(acme: Sandbox, origin: object) -> None:
    assert post(acme, origin, frameAncestors=True).status_code == 400
    assert listed(acme) == [PORTAL]


@pytest.mark.parametrize(
    "fields", [{"frameAncestors": "true"}, {"imgSrc": 1}, {"name": "n" * 513}, {"description": ["d"]}]
)
def test_other_fields_are_checked(acme: Sandbox, fields: dict[str, object]) -> None:
    answer = post(acme, "a.example", **fields)
    assert answer.status_code == 400
    assert "status" not in error(answer), "as Qlik writes errors of this area"


def test_administrators_alone_may_see_and_change_them(acme: Sandbox) -> None:
    token, entry = acme.token("alice"), added(acme, "a.example")
    for method, path in (("GET", LIST), ("POST", LIST), *((m, f"{LIST}/{entry['id']}") for m in ("GET", "PUT"))):
        assert acme.call(method, path).status_code == 401
        assert acme.api(method, path, token, json={"origin": "b.example"}).status_code == 403
    assert acme.api("DELETE", f"{LIST}/{entry['id']}", token).status_code == 403
    assert listed(acme) == ["a.example", PORTAL]


def test_the_header_as_the_caller_wants_it(acme: Sandbox) -> None:
    def asked(accept: str) -> TestResponse:
        headers = {"Authorization": f"Bearer {acme.token('alice')}", "Accept": accept}
        return acme.call("GET", HEADER, headers=headers)

    assert asked("text/plain").text == f"frame-ancestors 'self' {PORTAL}"
    assert asked("text/plain").mimetype == "text/plain"
    assert asked("*/*").json == {"Content-Security-Policy": f"frame-ancestors 'self' {PORTAL}"}
    assert asked("image/png").status_code == 406
    assert acme.call("GET", HEADER).status_code == 401


def test_the_locale_of_whoever_asks(acme: Sandbox) -> None:
    assert acme.call("GET", "/api/v1/user-locale").status_code == 401
    answer = acme.api("GET", "/api/v1/user-locale", acme.token("alice"))
    assert (answer.status_code, answer.mimetype, answer.json) == (200, "application/json", {"locale": "en-US"})
    acme.tenant.user_by_subject("alice").preferred["preferredLocale"] = "sv-SE"  # type: ignore[union-attr]  # she exists
    assert acme.api("GET", "/api/v1/user-locale", acme.token("alice")).json == {"locale": "sv-SE"}
