"""What a view needs of the running application and of this request."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import cast

import structlog
from flask import current_app

from bridge.bootstrap import Bridge
from bridge.model import Identity, Path, Tenant, TenantState
from bridge.services import noting
from bridge.telemetry import StepTaken, collect_steps
from bridge.web.allowances import Allowances
from bridge.web.events import ClientEvents

BRIDGE = "qlik-bridge"
EVENTS = "qlik-bridge-client-events"
ALLOWANCES = "qlik-bridge-allowances"
UNMATCHED = "unmatched"

Headers = list[tuple[str, str]]
"""Headers of an answer, as WSGI has them."""


@dataclass(slots=True)
class About:
    """What is noted about the request that is being answered, for its headers and its log line."""

    bridge: Bridge
    request_id: str
    steps: list[StepTaken]
    started: float = field(default_factory=time.perf_counter)
    route: str = UNMATCHED
    slug: str | None = None
    tenant: str | None = None
    person: str | None = None
    path: Path | None = None
    problem: str | None = None
    embeds: Tenant | None = None


_about: ContextVar[About | None] = ContextVar("about", default=None)


def begin(bridge: Bridge, request_id: str) -> About:
    """Begin to note about a new request of this thread."""
    structlog.contextvars.bind_contextvars(request_id=request_id)
    _about.set(about := About(bridge, request_id, collect_steps()))
    return about


def end() -> None:
    """Forget the request, which is answered."""
    _about.set(None)
    structlog.contextvars.unbind_contextvars("request_id")


def about() -> About:
    """Return what is noted about this request."""
    if (found := _about.get()) is None:
        raise RuntimeError("there is no request here")
    return found


def bridge() -> Bridge:
    """Return the one Bridge of this application."""
    found = _about.get()
    return found.bridge if found else cast("Bridge", current_app.extensions[BRIDGE])


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
    about().person = identity.subject.sub


def logged_as(slug: str, sub: str) -> str:
    """Return how log lines of a tenant name this person."""
    return noting.logged_as(bridge().settings.secret_key.get_secret_value().encode(), slug, sub)


def note_path(path: Path) -> None:
    """Note for the log line which path this request is about."""
    about().path = path


def request_id() -> str:
    return about().request_id


def tenant(slug: str) -> TenantState:
    """Return the tenant and note it for the log line and the history. Raises UnknownTenant."""
    state = bridge().tenants.get(slug)
    about().tenant = state.tenant.slug
    return state
