"""The sandbox's own controls under /_sandbox: look inside, make trouble, put everything back."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, control_state, seed, sockets, switches
from bridge.sandbox.errors import ApiError, not_found
from bridge.sandbox.state import Fault, Person
from bridge.sandbox.tenant import here

routes = Blueprint("control", __name__, url_prefix="/_sandbox")

FAULT_TYPES: dict[str, type | tuple[type, ...]] = {
    "endpoint": str,
    "status": int,
    "times": int,
    "latency_ms": (int, float),
    "trickle_ms": (int, float),
    "retry_after": int,
    "drop": str,
    "body": str,
    "content_type": str,
    "bytes": int,
    "location": str,
    "close": int,
}
DROPS = (None, "before", "midway", "after")
CLOSE_CODES = (3000, 4999)
FAULT_BOUNDS = {
    "status": (200, 599),
    "times": (1, 10**9),
    "latency_ms": (0, 600_000),
    "trickle_ms": (0, 600_000),
    "retry_after": (0, 10**6),
    "bytes": (0, 10**8),
    "close": CLOSE_CODES,
}
PLAIN_CLOSE_CODES = (1000, 1001, 1011, 1012, 1013)
FARTHEST_S = 10 * 365 * 86400
PERSON_FIELDS = {"groups": list, "disabled": bool, "display_name": str, "email": str}


@routes.before_request
def only_loopback() -> None:
    """Loopback peers by a loopback name, and no page of another origin: the state holds secrets."""
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin != auth.own_origin()
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    if foreign or not _is_loopback(request.remote_addr or "") or not _is_loopback(host.strip("[]")):
        raise ApiError(403, "SANDBOX-1", "Forbidden", "The controls answer to this machine alone")


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@routes.get("/state")
def get_state() -> Response:
    """Everything that the tenant knows, secrets included."""
    return jsonify(control_state.state(here()))


@routes.get("/calls")
def get_calls() -> Response:
    return jsonify([dataclasses.asdict(call) for call in here().memory.calls])


@routes.delete("/calls")
def delete_calls() -> Response:
    here().memory.calls.clear()
    return Response(status=204)


@routes.get("/faults")
def get_faults() -> Response:
    return jsonify([dataclasses.asdict(fault) for fault in here().memory.faults])


@routes.post("/faults")
def post_fault() -> tuple[Response, int]:
    """Add one fault; faults apply in the order in which they came."""
    given = only(body.fields(), FAULT_TYPES)
    given = {name: value for name, value in given.items() if value is not None or name == "times"}
    if not given.get("endpoint", "").startswith(("/", "*")) or given.get("drop") not in DROPS:
        raise body.bad_request("endpoint must be a path, and drop before, midway or after")
    if any(not low <= (given.get(name) or low) <= high for name, (low, high) in FAULT_BOUNDS.items()):
        raise body.bad_request(f"out of bounds; the bounds are {FAULT_BOUNDS}")
    fault = Fault(**given)
    here().memory.faults.append(fault)
    return jsonify(dataclasses.asdict(fault)), 201


@routes.delete("/faults")
def delete_faults() -> Response:
    here().memory.faults.clear()
    return Response(status=204)


@routes.post("/clock")
def post_clock() -> Response:
    """Shift every time that the tenant uses."""
    offset = only(body.fields(), {"offset_s": (int, float)}).get("offset_s", 0)
    if not -FARTHEST_S <= offset <= FARTHEST_S:
        raise body.bad_request("offset_s may move the clock by ten years at most")
    here().memory.clock_offset_s = offset
    return jsonify(offset_s=offset)


@routes.get("/switches")
def get_switches() -> Response:
    return jsonify(switches.listing(here().switches))


@routes.post("/switches")
def post_switches() -> Response:
    """Change switches, all or none. A changed limit also ends the blocks of the old one."""
    memory = here().memory
    try:
        memory.switches = switches.changed(memory.switches, body.fields())
    except switches.BadSwitch as problem:
        raise body.bad_request(str(problem)) from None
    memory.limits.blocked_until.clear()
    return jsonify(dataclasses.asdict(memory.switches))


@routes.patch("/people/<name>")
def patch_person(name: str) -> Response:
    """Change the directory. Groups, name and e-mail reach a tenant at the next sign-in, `disabled` at once."""
    person = here().world.people.get(name)
    if person is None:
        raise not_found("SANDBOX-404")
    given = only(body.fields(), PERSON_FIELDS)
    if not all(isinstance(group, str) for group in given.get("groups", [])):
        raise body.bad_request("groups must be a list of names")
    for field, value in given.items():
        setattr(person, field, value)
    if "disabled" in given:
        _disable_everywhere(person)
    return jsonify(dataclasses.asdict(person))


def _disable_everywhere(person: Person) -> None:
    for tenant in here().world.tenants.values():
        if user := tenant.user_by_subject(person.subject):
            user.status = "disabled" if person.disabled else "active"


@routes.post("/tokens/expire")
def post_expire() -> Response:
    """Expire tokens now: all, those of `user` (a subject), or the one with `token_id`."""
    given = only(body.fields() if request.get_data() else {}, {"user": str, "token_id": str})
    tenant = here()
    user = tenant.user_by_subject(given.get("user", ""))
    chosen = [
        token
        for token in tenant.memory.tokens.values()
        if ("user" not in given or (user is not None and token.user_id == user.id))
        and given.get("token_id", token.id) == token.id
    ]
    for token in chosen:
        token.expires_at = min(token.expires_at, tenant.now())
    return jsonify(expired=len(chosen))


@routes.post("/sockets/close")
def post_close() -> Response:
    """Close the engine's open websockets with `code`, all or those of `user` (a subject)."""
    given = only(body.fields(), {"code": int, "user": str})
    code = given.get("code", sockets.GOING_AWAY)
    if code not in (*PLAIN_CLOSE_CODES, *range(CLOSE_CODES[0], CLOSE_CODES[1] + 1)):
        raise body.bad_request(f"code must be one of {PLAIN_CLOSE_CODES} or from {CLOSE_CODES[0]} to {CLOSE_CODES[1]}")
    return jsonify(closed=sockets.close_all(here(), code, given.get("user")))


@routes.post("/reset")
def post_reset() -> Response:
    """Back to the seed. Keys, ids and secrets stay; websockets are closed."""
    sockets.close_all(here(), sockets.GOING_AWAY)
    seed.fill(here())
    here().world.people.update(seed.people())
    return Response(status=204)


def only(given: body.Fields, types: dict[str, Any]) -> dict[str, Any]:
    """Refuse names that are not in `types` and values of another type."""
    for name, value in given.items():
        if name not in types:
            raise body.bad_request(f"unknown field {name}; there are: {', '.join(types)}")
        wrong_bool = isinstance(value, bool) and types[name] is not bool
        if wrong_bool or not (isinstance(value, types[name]) or (value is None and types is FAULT_TYPES)):
            raise body.bad_request(f"{name} has the wrong type")
    return given
