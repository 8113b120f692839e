"""What a view needs of the running application and of this request."""

from typing import cast

from flask import current_app, g

from bridge.bootstrap import Bridge
from bridge.model import Identity, Path, TenantState
from bridge.services import noting
from bridge.web.allowances import Allowances
from bridge.web.events import ClientEvents

BRIDGE = "qlik-bridge"
EVENTS = "qlik-bridge-client-events"
ALLOWANCES = "qlik-bridge-allowances"


def bridge() -> Bridge:
    """Return the one Bridge of this application."""
    return cast("Bridge", current_app.extensions[BRIDGE])


def events() -> ClientEvents:
    return cast("ClientEvents", current_app.extensions[EVENTS])


def allowances() -> Allowances:
    return cast("Allowances", current_app.extensions[ALLOWANCES])


def tenants_for(person: Identity) -> list[TenantState]:
    """Return the tenants that admit this person, by slug."""
    states = bridge().tenants.all().values()
    return sorted((each for each in states if each.tenant.admits_identity(person)), key=lambda each: each.tenant.slug)


def note_person(identity: Identity) -> None:
    """Note for the log line who asks; it names them by a digest."""
    g.person = identity.subject.sub


def logged_as(slug: str, sub: str) -> str:
    """Return how log lines of a tenant name this person."""
    return noting.logged_as(bridge().settings.secret_key.get_secret_value().encode(), slug, sub)


def note_path(path: Path) -> None:
    """Note for the log line which path this request is about."""
    g.path = path


def request_id() -> str:
    return str(g.get("request_id", ""))


def tenant(slug: str) -> TenantState:
    """Return the tenant and note it for the log line and the headers. Raises UnknownTenant."""
    g.tenant = bridge().tenants.get(slug)
    return cast("TenantState", g.tenant)
