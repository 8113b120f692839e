"""What must hold for every route there is. A new one is looked at without anybody thinking of it."""

from typing import Any

import pytest
from routekit import ENVIRONMENTS, OIDC_ENVIRONMENT, ROUTES, SAFE, Route, admin_at
from webkit import ELSEWHERE, Visitor, Web, web

from bridge.roles import Grant, Role

OPEN = {
    "static",
    *("ops.healthz", "ops.readyz"),
    *("portal.login", "portal.sign_in", "sign_in.login", "sign_in.callback"),
    *("api.get_docs", "api.get_openapi"),
    *(f"{mount}.{view}" for mount in ("embed", "embed_at_root") for view in ("get_config", "get_embed_js")),
}
"""What nobody has to sign in for."""
BY_ASSERTION = {"embed.post_session", "embed_at_root.post_session"}
"""Its proof is a header that no browser adds by itself, so it needs no other."""
SIGNS_IN = {"portal.sign_in"}
"""There is no session yet; its form has a token of its own."""
CACHED = {"static", "embed.get_embed_js", "embed_at_root.get_embed_js"}
EVIL = "evil.example"


@pytest.fixture(params=list(ENVIRONMENTS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def application(kind: str) -> Web:
    return web(**ENVIRONMENTS[kind])


@pytest.fixture
def routes(kind: str) -> list[Route]:
    return [each for each in ROUTES if each.kind == kind]


@pytest.fixture
def changing(routes: list[Route]) -> list[Route]:
    return [each for each in routes if each.method not in SAFE]


def ask(visitor: Visitor, route: Route, **options: Any) -> Any:  # noqa: ANN401 - passed on to werkzeug
    return visitor._ask(route.method, route.path, **options)


def test_every_answer_has_the_headers(kind: str, routes: list[Route], application: Web) -> None:
    https = "max-age=31536000" if kind == "oidc" else None
    for route in routes:
        for visitor in (application.visitor(), admin_at(application, kind)):
            headers = ask(visitor, route).headers
            policy = {part.strip() for part in headers["Content-Security-Policy"].split(";")}
            assert {"default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= policy
            assert headers["X-Content-Type-Options"] == "nosniff", route
            assert headers["Referrer-Policy"] == "same-origin", route
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin", route
            assert "camera=()" in headers["Permissions-Policy"], route
            assert headers.get("Strict-Transport-Security") == https, route
            is_cached = route.endpoint in CACHED
            assert headers["Cache-Control"] == ("no-cache" if is_cached else "no-store"), route
            assert headers.get("Cross-Origin-Resource-Policy") == (None if is_cached else "same-origin"), route


def test_strangers_get_nothing(routes: list[Route], application: Web) -> None:
    for route in routes:
        answer = ask(application.visitor(), route)
        if route.endpoint in OPEN:
            assert answer.status_code not in {401, 500}, route
        elif answer.status_code == 303:
            assert answer.headers["Location"].startswith("/login?next="), route
        else:
            assert answer.status_code == (403 if route.endpoint == "ops.metrics" else 401), route
    assert application.qlik.calls == []


def test_other_origins_get_nothing_outside_the_embeds(kind: str, routes: list[Route], application: Web) -> None:
    """Nor do those within the embeds that the tenant does not list."""
    for route in routes:
        visitor = admin_at(application, kind)
        for origin, may in ((ELSEWHERE, route.is_at_tenant()), (f"https://{EVIL}", False), ("null", False)):
            for method in (route.method, "OPTIONS"):
                headers = visitor._ask(method, route.path, headers={"Origin": origin}).headers
                allowed = {name for name, _ in headers if name.startswith(("Access-Control", "Timing-Allow"))}
                assert bool(allowed) == may, (route, method, origin)
                assert not may or headers["Access-Control-Allow-Origin"] == origin, route


def test_a_host_that_somebody_invented_goes_nowhere(kind: str, routes: list[Route], application: Web) -> None:
    """No link, redirect or cookie is made from it."""
    for route in routes:
        visitor, headers = admin_at(application, kind), {"X-Forwarded-Host": EVIL, "Forwarded": f"host={EVIL}"}
        answer = ask(visitor, route, base_url=f"https://{EVIL}", headers=headers)
        assert EVIL not in answer.text, route
        assert EVIL not in str(answer.headers), route


def test_headers_that_come_twice_break_nothing(routes: list[Route], application: Web) -> None:
    names = ("Authorization", "Origin", "Cookie", "If-Match", "X-Forwarded-For", "Content-Type")
    doubled = [(name, value) for name in names for value in ("a", "b")]
    for route in routes:
        assert ask(application.visitor(), route, headers=doubled).status_code < 500, route


# --- every route that changes something ------------------------------------------------------------------


def changed(application: Web) -> object:
    """Return what a request could have changed."""
    states = {slug: (each.tenant, each.rollout, each.kill) for slug, each in application.tenants.states.items()}
    return states, list(application.audit.events), list(application.qlik.calls), dict(application.sessions.rows)


def good_token(visitor: Visitor) -> str:
    return str(visitor.get("/t/acme/session").get_json()["csrf"])


@pytest.mark.parametrize("forged", ["no token", "a token of nobody", "a foreign page", "no origin at all"])
def test_nothing_is_changed_for_another_page(kind: str, changing: list[Route], application: Web, forged: str) -> None:
    application.at("oauth")
    visitor = admin_at(application, kind)
    headers = {
        "no token": {"Origin": visitor.base},
        "a token of nobody": {"Origin": visitor.base, "CSRF-Token": "0" * 64},
        "a foreign page": {"Origin": f"https://{EVIL}", "CSRF-Token": good_token(visitor)},
        "no origin at all": {"Origin": "null", "CSRF-Token": good_token(visitor)},
    }[forged]
    before = changed(application)

    for route in changing:
        answer = ask(visitor, route, headers=headers, json={})
        if route.endpoint in BY_ASSERTION:
            assert answer.status_code == 401, route
        else:
            assert (answer.status_code, "bad_csrf" in answer.text) == (403, True), route
    assert changed(application) == before


def test_with_the_token_from_our_own_page_they_are_heard(kind: str, changing: list[Route], application: Web) -> None:
    """Else the test above would pass for routes that refuse everybody."""
    assert len(changing) > 30
    for route in changing:
        visitor = admin_at(application, kind)
        headers = {"Origin": visitor.base, "CSRF-Token": good_token(visitor)}
        answer = ask(visitor, route, headers=headers, json={})
        assert ("bad_csrf" in answer.text) == (route.endpoint in SIGNS_IN), route


@pytest.mark.parametrize(("name", "status"), [(EVIL, 403), ("portal.example.com", 200)])
def test_a_name_in_the_host_header_makes_no_page_ours(name: str, status: int) -> None:
    """DNS rebinding: the evil page's own name leads to the bridge, so its Origin and the Host agree."""
    application = web(**OIDC_ENVIRONMENT)
    application.at("oauth")
    application.change(portal_hosts=["portal.example.com"])
    visitor = admin_at(application, "oidc")
    headers = {
        "Cookie": f"__Host-bridge_session={visitor.cookie('__Host-bridge_session')}",
        "CSRF-Token": good_token(visitor),
        "Origin": f"https://{name}",
    }

    answer = application.app.test_client(use_cookies=False).post(
        "/access-token", base_url=f"https://{name}", headers=headers
    )

    assert answer.status_code == status, answer.text
    assert ("portal_hosts" in answer.text) == (status == 403), answer.text


# --- roles -----------------------------------------------------------------------------------------------

CONSOLE = ("api.", "admin.")


def for_operators(routes: list[Route]) -> list[Route]:
    return [each for each in routes if each.endpoint.startswith(CONSOLE) and each.endpoint not in OPEN]


def test_an_operator_of_one_tenant_sees_and_changes_nothing_of_another(routes: list[Route], application: Web) -> None:
    """Not even that it exists, whatever the role."""
    application.change("acme", name="Umbrella")
    token = application.operator_token(grant=Grant(Role.ADMIN, "globex"))
    before = changed(application)

    for route in for_operators(routes):
        answer = ask(application.visitor(), route, headers=token, json={})
        if "<slug>" in route.rule or route.method not in SAFE:
            assert answer.status_code == 403, (route, answer.text)
        shown = answer.text.replace(route.path, "")
        assert not [name for name in ("Umbrella", '"acme"', "/acme") if name in shown], route
    assert changed(application) == before


def test_a_viewer_changes_nothing(routes: list[Route], application: Web) -> None:
    token = application.operator_token(grant=Grant(Role.VIEWER))
    before = changed(application)

    for route in for_operators(routes):
        if route.method not in SAFE:
            assert ask(application.visitor(), route, headers=token, json={}).status_code == 403, route
    assert changed(application) == before
