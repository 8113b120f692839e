"""The Flask app of one tenant: what happens around each request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

from bridge.sandbox import (
    audits,
    auth,
    catalog,
    client_auth,
    control,
    cors,
    csp_origins,
    errors,
    faults,
    frames,
    front_end,
    groups,
    identity_providers,
    licenses,
    limits,
    login,
    oauth,
    oauth_clients,
    plants,
    sockets,
    spaces,
    tokens,
    users,
    web_integrations,
)
from bridge.sandbox.faults import CALL, FAULT
from bridge.sandbox.state import Call, Fault
from bridge.sandbox.tenant import Tenant, World, here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Environ = dict[str, Any]
    Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

ROOMS = (
    *(login, oauth, tokens, users, groups, spaces, catalog, frames, front_end, control, plants),
    *(identity_providers, oauth_clients, web_integrations, csp_origins, audits, licenses),
)
CONTROL = "/_sandbox"
UPGRADED = 101
MAX_BODY = 500_000  # Qlik: POST /users answers 413 above 500 kB


def create_apps(world: World) -> dict[str, Flask]:
    return {slug: create_app(tenant) for slug, tenant in world.tenants.items()}


def create_app(tenant: Tenant) -> Flask:
    """Build the app of one tenant; its state lives in `app.extensions["tenant"]`."""
    app = Flask("bridge.sandbox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.extensions["tenant"] = tenant
    app.before_request(arrive)
    app.after_request(leave)
    errors.install(app)
    for room in ROOMS:
        app.register_blueprint(room.routes)
    sockets.install(app)
    app.wsgi_app = Door(app.wsgi_app, tenant)  # type: ignore[method-assign]  # Flask's own way to add middleware
    return app


class Door:
    """Logs each call, applies faults, and serves one request at a time so that each one is atomic.

    A websocket stays open, so it takes the lock only while it is let in and for what it reads of the tenant later.
    """

    def __init__(self, app: Wsgi, tenant: Tenant) -> None:
        self.app = app
        self.tenant = tenant

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        if not is_control(path):
            self.log_and_delay(environ, path)
        if sockets.is_upgrade(environ):
            return self.app(environ, start_response)
        with self.tenant.world.lock:
            body = self.app(environ, start_response)
        return faults.sent(fault, body, environ) if (fault := environ.get(FAULT)) else body

    def log_and_delay(self, environ: Environ, path: str) -> None:
        call = Call(self.tenant.now(), environ["REQUEST_METHOD"], path)
        with self.tenant.world.lock:
            self.tenant.memory.calls.append(call)
            fault = faults.take(self.tenant.memory, path)
        environ[CALL], environ[FAULT] = call, fault
        if fault:
            time.sleep(fault.latency_ms / 1000)
            if fault.drop == "before":
                faults.hang_up(environ)


def is_control(path: str) -> bool:
    return path == CONTROL or path.startswith(CONTROL + "/")


def arrive() -> Response | None:
    """Everything that comes before a route: preflight, fault, who is calling, rate limit, CSRF."""
    if is_control(request.path):
        return None
    with here().world.lock:
        return _arrive()


def _arrive() -> Response | None:
    if request.method == "OPTIONS":
        return cors.preflight()
    fault: Fault | None = request.environ.get(FAULT)
    if fault and (answer := faults.answer(fault)):
        return answer
    upgrades = sockets.is_upgrade(request.environ)
    if upgrades:
        sockets.check_handshake()
        g.principal = auth.identify_websocket()
    elif request.path.startswith("/api/"):
        g.principal = auth.identify()
    count()
    if upgrades or request.path.startswith("/api/"):
        auth.check_csrf(upgrades=upgrades)
    return None


def count() -> None:
    """Spend one call of the caller's budget and one of the tenant's."""
    tier = limits.tier_of(request.method, request.path)
    if tier is None:
        return
    tenant, switches = here(), here().switches
    budget, window = limits.budget_of(tier, switches), switches.tier_window_s
    budgets = {_caller(): budget}
    if switches.tenant_rate_limit == "on":
        budgets[limits.EVERYBODY] = limits.tenant_budget(budget, len(tenant.memory.users))
    for caller, allowed in budgets.items():
        tenant.memory.limits.spend(tier, caller, tenant.now(), allowed, window)
    g.spent = [(tier, caller) for caller in budgets]


def _caller() -> str:
    """Whose budget a call spends: a user's, else by `rate_identity` a client's or an address's."""
    if principal := g.get("principal"):
        return str(principal.user.id)
    if here().switches.rate_identity == "shared":
        return "unsigned"
    client = client_auth.paying_client() if request.path.startswith("/oauth/") else None
    return client or f"address {request.remote_addr}"


def leave(response: Response) -> Response:
    """Everything that comes after a route: clock, caching, CORS, call log."""
    response.date = here().now()  # type: ignore[assignment]  # werkzeug takes a timestamp as well
    if is_control(request.path):
        return response
    response.headers.setdefault("Cache-Control", "no-store")
    cors.add_headers(response)
    call: Call = request.environ[CALL]
    if call.status == UPGRADED:
        return response
    call.status, call.client, call.user = response.status_code, g.get("client"), g.get("user")
    if response.status_code >= 400 and here().switches.failed_requests_count == "no":  # noqa: PLR2004 - HTTP's errors
        for tier, caller in g.get("spent", []):
            here().memory.limits.refund(tier, caller)
    return response
