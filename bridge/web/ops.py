"""For those who run the bridge: is it alive, is it ready, what does it count."""

from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bridge.errors import BridgeError, NotAllowed, StoreError
from bridge.ports import Probe
from bridge.web import current
from bridge.web.proxies import client_is_in

blueprint = Blueprint("ops", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer while the process answers; a restart cures nothing that this does not see."""
    return Response("ok", mimetype="text/plain")


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Answer 503 while a part is away; which one is nobody's business but the operators'."""
    outcomes = {probe.name: _outcome(probe) for probe in current.bridge().probes}
    is_ready = set(outcomes.values()) <= {"ok"}
    detail = {"probes": outcomes, "state_age_s": _state_age_s(), **_unreadable()} if _is_from_ops() else {}
    headers = {} if is_ready else {"Retry-After": "1"}
    return jsonify(ready=is_ready, **detail), 200 if is_ready else 503, headers


@blueprint.get("/metrics")
def metrics() -> ResponseReturnValue:
    if not _is_from_ops():
        raise NotAllowed("Metrics are for the addresses in BRIDGE_OPS_NETWORKS alone.")
    current.bridge().metrics.state_age.set(_state_age_s())
    _note_kill_switches()
    _note_budgets()
    return Response(generate_latest(current.bridge().metrics.registry), content_type=CONTENT_TYPE_LATEST)


def _unreadable() -> dict[str, Any]:
    """Name the tenants that cannot be read, when there are any: the others are served, so we are ready."""
    with suppress(StoreError):
        found = current.bridge().tenants.unreadable()
        return {"unreadable_tenants": {slug: each.problem for slug, each in found.items()}} if found else {}
    return {}


def _state_age_s() -> float:
    """Return how old this worker's copy of the tenants is: it grows while the database is away."""
    bridge = current.bridge()
    with suppress(StoreError):
        bridge.tenants.all()
    return round(bridge.state_age_s(), 1)


def _note_kill_switches() -> None:
    """Bring the gauge up to date; with the database away, what it last said stands."""
    bridge = current.bridge()
    with suppress(StoreError):
        for slug, state in bridge.tenants.all().items():
            bridge.metrics.killed.labels(slug).set(state.is_killed)


def _note_budgets() -> None:
    """Bring the gauges up to date, as `_note_kill_switches` does."""
    bridge = current.bridge()
    with suppress(StoreError):
        for each in bridge.budget.states([state.tenant for state in bridge.tenants.all().values()]):
            slug = each.account.tenant
            bridge.metrics.budget_left.labels(slug).set(each.left)
            bridge.metrics.budget_size.labels(slug).set(each.book.limit.budget)
            bridge.metrics.budget_frozen.labels(slug).set(each.frozen_s)


def _outcome(probe: Probe) -> str:
    try:
        probe.check()
    except BridgeError as error:
        return error.code()
    return "ok"


def _is_from_ops() -> bool:
    settings = current.bridge().settings
    return client_is_in(settings.ops_networks, settings.trusted_proxies)
