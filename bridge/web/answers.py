"""What every answer carries: a request id, security headers, one log line, one count."""

import re
import time
import uuid

import structlog
from flask import Flask, Response, g, request

from bridge.errors import BadRequest, TooLarge
from bridge.telemetry import Step, StepTaken, collect_steps
from bridge.web import cors, current, policy

log = structlog.get_logger()

MAX_BODY = 64 * 1024
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
UNMATCHED = "unmatched"
ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    # Not `no-referrer`: it would make browsers send `Origin: null` with our own forms.
    ("Referrer-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
HTTPS_FOR_A_YEAR = "max-age=31536000"
"""For our own name alone: what other names of the company do is not ours to say."""
ORIGINS = {Step.KEPT: "store", Step.SHARED: "shared", Step.MINT: "mint"}
"""Where an answer's token came from: kept here, from the attempt of another request, or new."""


def install(app: Flask) -> None:
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.before_request(_begin)
    app.before_request(_refuse_large)
    app.after_request(_note)  # Flask runs these from the last to the first
    app.after_request(cors.add_headers)
    app.after_request(_time)
    app.after_request(_secure)


def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    g.started = time.perf_counter()
    g.steps = collect_steps()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _refuse_large() -> None:
    """Refuse by the announced length, also where nobody would read the body.

    A body in chunks announces none, and Werkzeug would cut it off at the limit without a word.
    """
    if "Transfer-Encoding" in request.headers:
        raise BadRequest("Send the body with its Content-Length, not in chunks.")
    if (request.content_length or 0) > MAX_BODY:
        raise TooLarge


def _secure(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = policy.header()
    for name, value in ALWAYS:
        response.headers[name] = value
    if current.bridge().settings.cookies_are_secure:
        response.headers["Strict-Transport-Security"] = HTTPS_FOR_A_YEAR
    response.headers["X-Request-Id"] = current.request_id()
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _time(response: Response) -> Response:
    """Say which steps led to this answer, where any did (W3C: Server Timing)."""
    if steps := g.get("steps"):
        total_ms = (time.perf_counter() - g.started) * 1000
        response.headers["Server-Timing"] = ", ".join([*map(_metric, steps), f"total;dur={total_ms:.1f}"])
    return response


def _metric(taken: StepTaken) -> str:
    lasted = "" if taken.seconds is None else f";dur={taken.seconds * 1000:.1f}"
    return taken.step + lasted + (f';desc="{taken.problem}"' if taken.problem else "")


def _note(response: Response) -> Response:
    """Count and log by the route's pattern: a path or query may hold anything, also what opens doors."""
    route = request.url_rule.rule if request.url_rule else UNMATCHED
    took_s = time.perf_counter() - g.started
    metrics = current.bridge().metrics
    metrics.requests.labels(route, str(response.status_code)).inc()
    metrics.request_seconds.labels(route).observe(took_s)
    log.info(
        "request",
        method=request.method,
        route=route,
        status=response.status_code,
        ms=round(took_s * 1000, 1),
        **_about(),
    )
    return response


def _about() -> dict[str, str | None]:
    """Return what a line tells of tenant, person, path and outcome, where there is any."""
    state = g.get("tenant")
    slug = state.tenant.slug if state else None
    told = {
        "subject": current.logged_as(slug, g.person) if slug and "person" in g else None,
        "path": g.get("path"),
        "origin": next((ORIGINS[each.step] for each in reversed(g.steps) if each.step in ORIGINS), None),
        "problem": g.get("problem"),
    }
    return {"tenant": slug} | {name: value for name, value in told.items() if value}
