"""A pretend bridge, tenant and portal for embed.js: each rule of the script is tried in a real browser against them."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request
from playwright.sync_api import Page, Route, expect
from storykit import free_ports, served

from bridge.services.frames import replacement

SCRIPT = Path(__file__).parents[1] / "bridge" / "web" / "static" / "embed.js"
COMPONENTS = (Path(__file__).parent / "web" / "components.js").read_text()
LIFE_S = 21_600
PATIENCE_MS = 20_000
"""How long a test waits for what happens at once on an idle machine."""
LISTEN = """
  window.events = [];
  for (const name of ["path", "error", "signed-out", "frame", "step"])
    document.addEventListener(`bridge:${name}`, ({ detail }) => events.push({ name, ...detail }));
"""
EMBED = '<qlik-embed id="one" ui="classic/chart"></qlik-embed>'
TOKEN = "**/t/acme/access-token"
SESSION = "**/t/acme/session"


@dataclass
class Call:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    query: str


@dataclass
class World:
    """What the pretend servers believe, and what they were asked."""

    bridge: str
    tenant: str
    portal: str
    path: str = "oauth"
    stage: str = "oauth"
    person: str | None = "alice"
    csrf: str = "csrf-1"
    minted: int = 0
    token_life_s: int = LIFE_S
    keeps_cookies: bool = True
    logged_in: int = 0
    bearers: dict[str, str] = field(default_factory=dict)
    vouched: list[str] = field(default_factory=list)
    assertions: int = 0
    portal_person: str | None = "alice"
    pages: dict[str, str] = field(default_factory=dict)
    page_policy: str = ""
    calls: list[Call] = field(default_factory=list)

    def asked(self, path: str, method: str | None = None) -> list[Call]:
        return [call for call in self.calls if call.path == path and method in {None, call.method}]

    @property
    def token_calls(self) -> list[Call]:
        return self.asked("/t/acme/access-token")

    def vouch(self, who: str) -> str:
        """Return an assertion that the bridge will believe once."""
        self.assertions += 1
        self.vouched.append(f"a.{who}.{self.assertions}")
        return self.vouched[-1]

    def note(self) -> None:
        if request.method != "OPTIONS":
            body, query = request.get_data(as_text=True), request.query_string.decode()
            self.calls.append(Call(request.method, request.path, dict(request.headers), body, query))


def problem(status: int, code: str, **headers: str) -> Response:
    body = {"error": code, "message": f"This is {code}.", "request_id": "request-1"}
    return Response(json.dumps(body), status, headers, content_type="application/json")


def allow(response: Response) -> Response:
    """Allow every page, as a tenant or a bridge that lists this one's origin does."""
    response.headers["Access-Control-Allow-Origin"] = request.headers.get("Origin", "*")
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
    response.headers["Access-Control-Allow-Headers"] = request.headers.get("Access-Control-Request-Headers", "")
    response.headers["Access-Control-Expose-Headers"] = "Retry-After, Token-Id, qlik-csrf-token"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


class PretendBridge:
    """The routes that embed.js asks, without anything behind them."""

    def __init__(self, world: World) -> None:
        self.world = world

    def app(self) -> Flask:
        app = Flask("bridge")
        app.before_request(self.world.note)
        app.after_request(allow)
        for method, path, view in (
            ("GET", "/t/acme/embed.js", self.script),
            ("GET", "/t/acme/session", self.get_session),
            ("POST", "/t/acme/session", self.post_session),
            ("DELETE", "/t/acme/session", self.delete_session),
            ("POST", "/t/acme/access-token", self.access_token),
            ("GET", "/t/acme/token", lambda: self.refusal() or jsonify(token="a.b.c")),
            ("POST", "/t/acme/client-events", lambda: self.refusal() or Response(status=204)),
            ("POST", "/t/acme/frames", self.frames),
            ("GET", "/<name>.html", lambda name: host_page(self.world, name)),
        ):
            app.add_url_rule(path, f"{method} {path}", view, methods=[method])
        return app

    def caller(self) -> str | None:
        _, _, bearer = request.headers.get("Authorization", "").partition(" ")
        return self.world.bearers.get(bearer) if bearer else self.world.person

    def refusal(self) -> Response | None:
        if self.caller() is None:
            return problem(401, "not_signed_in")
        has_proof = "Authorization" in request.headers or request.headers.get("CSRF-Token") == self.world.csrf
        return None if has_proof or request.method == "GET" else problem(403, "bad_csrf")

    def session(self, who: str | None) -> dict[str, Any]:
        return {
            "path": self.world.path,
            "stage": self.world.stage,
            "host": self.world.tenant,
            "clientId": "client-1",
            "webIntegrationId": "web-1",
            "embedScript": f"{self.world.tenant}/components.js",
            "csrf": self.world.csrf,
            "subject": {"sub": who, "name": "Somebody", "groups": []},
        }

    def script(self) -> Response:
        return Response(SCRIPT.read_bytes(), content_type="text/javascript")

    def get_session(self) -> Response:
        return self.refusal() or jsonify(self.session(self.caller()))

    def post_session(self) -> Response:
        """Trade an assertion, each one once."""
        assertion = request.headers["Authorization"].removeprefix("Bearer ")
        if assertion not in self.world.vouched:
            return problem(401, "not_signed_in")
        self.world.vouched.remove(assertion)
        _, who, number = assertion.split(".")
        self.world.bearers[f"bearer-{number}"] = who
        return jsonify(self.session(who) | {"session": f"bearer-{number}"})

    def delete_session(self) -> Response:
        if refused := self.refusal():
            return refused
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.world.bearers.pop(bearer, None) is None:
            self.world.person = None
        return Response(status=204)

    def access_token(self) -> Response:
        if refused := self.refusal():
            return refused
        if self.world.path == "jwt":
            return problem(409, "still_on_jwt")
        if request.headers.get("X-Rejected-Token") or not self.world.minted:
            self.world.minted += 1
        answer = jsonify(access_token=f"token-{self.world.minted}", expires_in=self.world.token_life_s)
        answer.headers["Token-Id"] = f"id-{self.world.minted}"
        return answer

    def frames(self) -> Response:
        addresses = json.loads(request.get_data())["addresses"]
        return self.refusal() or jsonify(replacements=[asdict(replacement(each)) for each in addresses])


def host_page(world: World, name: str) -> Response:
    answer = Response(world.pages[name], content_type="text/html")
    if world.page_policy:
        answer.headers["Content-Security-Policy"] = world.page_policy
    return answer


def portal_app(world: World) -> Flask:
    """A host page's own server, with the route that `data-session-url` names."""
    app = Flask("portal")
    app.before_request(world.note)

    @app.get("/assertion")
    def assertion() -> Response:
        if world.portal_person is None:
            return Response("<h1>Sign in</h1>", content_type="text/html")
        return jsonify(assertion=world.vouch(world.portal_person))

    @app.get("/<name>.html")
    def page(name: str) -> Response:
        return host_page(world, name)

    return app


def tenant_app(world: World) -> Flask:
    app = Flask("tenant")
    app.before_request(world.note)
    app.after_request(allow)

    @app.get("/components.js")
    def components() -> Response:
        return Response(COMPONENTS, content_type="text/javascript")

    @app.post("/login/jwt-session")
    def log_in() -> Response:
        world.logged_in += 1
        answer = jsonify({})
        if world.keeps_cookies:
            answer.set_cookie("eas.sid", str(world.logged_in))
        return answer

    @app.get("/api/v1/csrf-token")
    def csrf_token() -> Response:
        if request.cookies.get("eas.sid") != str(world.logged_in):
            return Response(status=401)
        return Response(status=204, headers={"qlik-csrf-token": "x"})

    @app.get("/api/v1/users/me")
    def me() -> Response:
        bearer = request.headers.get("Authorization", "")
        is_known = bearer == f"Bearer token-{world.minted}" or "eas.sid" in request.cookies
        return jsonify(id="user-1", name="Alice") if is_known else Response(status=401)

    @app.get("/<path:anything>")
    def frame(anything: str) -> Response:
        return Response(f"<title>{anything}</title>", content_type="text/html")

    return app


@contextmanager
def running_world() -> Iterator[World]:
    """Serve all three, each on a site or port of its own; the portal's site is not the bridge's."""
    bridge, tenant, portal = free_ports(3)
    world = World(f"http://localhost:{bridge}", f"http://localhost:{tenant}", f"http://127.0.0.1:{portal}")
    with ExitStack() as servers:
        for app, port in (
            (PretendBridge(world).app(), bridge),
            (tenant_app(world), tenant),
            (portal_app(world), portal),
        ):
            servers.enter_context(served(app, port))
        yield world


# --- the browser's side ---


def show(page: Page, world: World, body: str = EMBED, *, script: str = "", head: str = "", site: str = "") -> None:
    """Open a page of the portal with embed.js in it."""
    tag = f'<script src="{world.bridge}/t/acme/embed.js" {script} defer></script>'
    world.pages["page"] = f"<!doctype html><html><head>{head}{tag}</head><body>{body}</body></html>"
    page.add_init_script(LISTEN)
    page.goto(f"{site or world.bridge}/page.html", wait_until="domcontentloaded")


def expect_state(page: Page, state: str, path: str | None = None) -> None:
    both = f'html[data-bridge-state="{state}"]' + (f'[data-bridge-path="{path}"]' if path else "")
    expect(page.locator(both)).to_have_count(1, timeout=PATIENCE_MS)


def expect_drawn(page: Page, by: str, embed: str = "#one") -> None:
    expect(page.locator(embed)).to_have_text(f"drawn by {by}", timeout=PATIENCE_MS)


def events(page: Page, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("name => events.filter((each) => each.name === name)", name)
    return found


def wait_for_event(page: Page, name: str, count: int = 1) -> dict[str, Any]:
    """Return event number *count* of that name, as soon as it is there."""
    page.wait_for_function(
        "([name, count]) => events.filter((each) => each.name === name).length >= count",
        arg=[name, count],
        timeout=PATIENCE_MS,
    )
    return events(page, name)[count - 1]


def ask_for_token(page: Page) -> None:
    """Ask as Qlik's code does, and go on; see `token_in_hand`."""
    page.evaluate(
        "() => { window.given = undefined; qlikBridgeAccessToken().then((token) => (window.given = token)); }"
    )


def token_in_hand(page: Page) -> str:
    page.wait_for_function("window.given", timeout=PATIENCE_MS)
    return str(page.evaluate("window.given"))


def has_no_token(page: Page) -> bool:
    return page.evaluate("window.given") is None


Fault = Callable[[Route], None]


def answering(status: int, code: str = "", **headers: str) -> Fault:
    body = json.dumps({"error": code, "message": f"This is {code}.", "request_id": "request-1"}) if code else ""
    return lambda route: route.fulfill(status=status, body=body, headers=headers)


def dropping(route: Route) -> None:
    route.abort("connectionreset")


def hanging(_route: Route) -> None:
    """Leave the request without an answer."""


def garbling(route: Route) -> None:
    route.fulfill(status=200, body="<html>Please accept our terms</html>", content_type="text/html")


def inject(page: Page, address: str, *faults: Fault) -> None:
    """Let the next requests for *address* fail, one fault each; later ones get through."""
    left = list(faults)
    page.unroute(address)  # each request would be asked of every route that was ever set
    page.route(address, lambda route: left.pop(0)(route) if left else route.fallback())
