"""What every answer carries."""

import pytest
from structlog.testing import capture_logs
from webkit import Visitor, Web, problem

PATHS = ["/", "/login", "/t/acme/config", "/t/acme/session", "/t/acme/", "/api/v1/tenants", "/admin/", "/healthz"]


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/t/nowhere/config", "/readyz", "/static/style.css"])
def test_security_headers_are_everywhere(demo: Web, path: str) -> None:
    for visitor in (demo.visitor(), demo.visitor("erin")):
        headers = visitor.get(path).headers

        policy = headers["Content-Security-Policy"]
        assert {"default-src 'self'", "frame-ancestors 'none'"} <= {part.strip() for part in policy.split(";")}
        assert ("unsafe" in policy) == ("script-src" in policy) == (path == "/t/acme/" and visitor.cookie() is not None)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == ("no-cache" if path.startswith("/static/") else "no-store")
        assert len(headers["X-Request-Id"]) >= 1


def directives(visitor: Visitor, path: str) -> dict[str, list[str]]:
    policy = visitor.get(path).headers["Content-Security-Policy"]
    return {name: sources for name, *sources in (part.split() for part in policy.split(";"))}


def test_a_page_with_embeds_may_use_its_tenant_and_no_other_page_may(demo: Web, alice: Visitor) -> None:
    tenant, websocket = "https://acme.example.com", "wss://acme.example.com"
    strict = directives(alice, "/")

    assert directives(alice, "/t/acme/") == strict | {
        "script-src": ["'self'", "https://cdn.jsdelivr.net", tenant],
        "connect-src": ["'self'", tenant, websocket],
        "style-src": ["'self'", "'unsafe-inline'", tenant],
        "img-src": ["'self'", "data:", "blob:", tenant],
        "font-src": ["'self'", "data:", tenant],
        "frame-src": [tenant],
    }
    assert directives(alice, "/login") == directives(alice, "/t/acme/session") == strict
    assert set(strict) == {"default-src", "object-src", "base-uri", "form-action", "frame-ancestors"}
    assert demo.tenants.states["acme"].tenant.host == tenant


@pytest.mark.parametrize(
    ("script", "origin"),
    [
        ("http://127.0.0.1:9001/npm/embed.js", "http://127.0.0.1:9001"),
        ("https://cdn.example.com/npm/a;script-src=*,embed.js?v=1", "https://cdn.example.com"),
    ],
)
def test_the_embed_script_is_allowed_by_its_origin_alone(demo: Web, alice: Visitor, script: str, origin: str) -> None:
    demo.change(embed_script=script, host="http://127.0.0.1:9001")

    found = directives(alice, "/t/acme/")

    assert found["script-src"] == list(dict.fromkeys(["'self'", origin, "http://127.0.0.1:9001"]))
    assert found["connect-src"] == ["'self'", "http://127.0.0.1:9001", "ws://127.0.0.1:9001"]


def test_no_page_has_inline_scripts_or_styles(erin: Visitor) -> None:
    for path in ("/", "/login", "/t/acme/", "/admin/", "/nothing"):
        page = erin.get(path).text
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick" not in page
        assert page.count("<script") == page.count("<script src=")


@pytest.mark.parametrize("given", ["a", "0-Z", "x" * 64])
def test_a_good_request_id_is_taken_over(demo: Web, given: str) -> None:
    answer = demo.visitor().get("/t/nowhere/config", headers={"X-Request-Id": given})

    assert answer.headers["X-Request-Id"] == answer.get_json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a_b", "ü", "a.b", "<x>"])
def test_any_other_is_replaced(demo: Web, given: str) -> None:
    first, second = (demo.visitor().get("/healthz", headers={"X-Request-Id": given}) for _ in range(2))

    assert first.headers["X-Request-Id"] not in {given, second.headers["X-Request-Id"]}


def test_large_bodies_are_refused_read_or_not(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    csrf = alice.csrf()
    for path in ("/t/acme/access-token", "/t/acme/client-events", "/api/v1/tenants/acme/stage", "/t/acme/session"):
        answer = alice.post(path, data=b"x" * 65_537, headers=csrf, content_type="application/octet-stream")
        assert problem(answer) == (413, "too_large")
    assert demo.qlik.calls == []
    assert alice.post("/login", data={"username": "x" * 70_000}).status_code == 413
    assert alice.post("/t/acme/access-token", data=b"x" * 65_536, headers=csrf).status_code == 200


def test_one_line_a_request_by_pattern_without_what_was_asked(demo: Web, alice: Visitor) -> None:
    with capture_logs() as lines:
        alice.get("/t/acme/session", query_string={"token": "hush-query"}, headers={"X-Request-Id": "r-1"})
        alice.get("/hush-path", query_string={"token": "hush-query"})

    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["route"], line["status"], line["tenant"]) for line in requests] == [
        ("/t/<tenant>/session", 200, "acme"),
        ("unmatched", 404, None),
    ]
    assert "hush" not in repr(lines)
    count = demo.metrics.registry.get_sample_value(
        "bridge_http_requests_total", {"route": "/t/<tenant>/session", "status": "200"}
    )
    assert count == 1


@pytest.mark.parametrize("host", ["bridge.example.com/..", "a b", "é", ""])
def test_a_malformed_host_breaks_nothing(portal: Web, host: str) -> None:
    answer = portal.visitor().get("/t/acme/config", headers={"Host": host})

    assert answer.status_code in {200, 400}


@pytest.mark.parametrize("path", ["/t/acme", "/t//acme/config", "/admin", "//evil.example/%2e%2e"])
def test_the_router_redirects_nowhere(demo: Web, path: str) -> None:
    """Its redirects would repeat whatever Host the request had."""
    answer = demo.visitor("erin").get(path)

    assert answer.status_code in {200, 404}
