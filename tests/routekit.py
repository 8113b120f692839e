"""Every route of the bridge, read from the application itself, so that no new one is forgotten."""

from collections.abc import Iterator
from dataclasses import dataclass

from webkit import ASSERTION, DEMO, Visitor, Web, web

from bridge.model import Identity, Subject

OIDC = {
    "BRIDGE_IDENTITY": "oidc,assertion",
    "BRIDGE_OIDC_ISSUER": "https://id.example.com",
    "BRIDGE_OIDC_CLIENT_ID": "bridge",
    "BRIDGE_OIDC_CLIENT_SECRET": "client-s3cret",
    "BRIDGE_ADMIN_GROUPS": "oidc:bridge-admins",
}
DEMO_ENVIRONMENT, OIDC_ENVIRONMENT = DEMO, ASSERTION | OIDC | {"BRIDGE_DEFAULT_TENANT": "acme"}
ENVIRONMENTS = {"demo": DEMO_ENVIRONMENT, "oidc": OIDC_ENVIRONMENT}
WHO = {"demo": ("demo", "demo"), "oidc": ("oidc", OIDC["BRIDGE_OIDC_ISSUER"])}
VALUES = {
    "tenant": "acme",
    "slug": "acme",
    "action": "stage",
    "sub": "alice",
    "name": "ci",
    "filename": "style.css",
}
SAFE = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one address in one of the two applications that together serve everything."""

    kind: str
    method: str
    rule: str
    path: str
    endpoint: str

    def __str__(self) -> str:
        return f"{self.kind} {self.method} {self.rule.partition('<any')[0]}"

    def is_at_tenant(self) -> bool:
        return self.rule.startswith("/t/<tenant>/")


def routes() -> Iterator[Route]:
    """Yield every route; one whose parameters are not in VALUES raises, so that they are added."""
    for kind, environment in ENVIRONMENTS.items():
        application = web(**environment).app
        adapter = application.url_map.bind("bridge.example.com")
        for rule in application.url_map.iter_rules():
            path = adapter.build(rule.endpoint, {name: VALUES[name] for name in rule.arguments})
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield Route(kind, method, rule.rule, path, rule.endpoint)


ROUTES = sorted(set(routes()), key=str)


def admin_at(application: Web, kind: str) -> Visitor:
    """Return somebody at a browser who may do everything, by a session of the application's own way of signing in."""
    source, issuer = WHO[kind]
    admits = [*application.tenants.states["acme"].tenant.admits, issuer]
    for slug in application.tenants.states:
        application.change(slug, admits=admits)
    person = Subject("erin", "Erin", "erin@example.com", frozenset({"bridge-admins"}))
    value = application.bridge.sessions.open(Identity(person, source, issuer, application.clock()))
    visitor = application.visitor()
    prefix = "__Host-" if visitor.base.startswith("https://") else ""
    host = visitor.base.split("://")[1].split(":")[0]
    visitor.client.set_cookie(f"{prefix}bridge_session", value, domain=host, secure=bool(prefix))
    return visitor
