"""For those who run the bridge: is it alive, is it ready, what does it count."""

from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST

from bridge.errors import BridgeError, NotAllowed, StoreError
from bridge.ports import Probe
from bridge.web import current, scrape
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
    bridge = current.bridge()
    scrape.look(bridge)
    return Response(bridge.metrics.exposed(), content_type=CONTENT_TYPE_LATEST)


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


def _outcome(probe: Probe) -> str:
    try:
        probe.check()
    except BridgeError as error:
        return error.code()
    return "ok"


def _is_from_ops() -> bool:
    settings = current.bridge().settings
    return client_is_in(settings.ops_networks, settings.trusted_proxies)
