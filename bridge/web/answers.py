"""What every answer carries: a request id, security headers, one log line, one count.

A WSGI layer around Flask and no hooks of Flask's: nothing gets past it, and it costs little, as each request pays.
"""

import random
import re
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask, request
from werkzeug.sansio.utils import get_content_length

from bridge.bootstrap import Bridge
from bridge.errors import BadRequest, TooLarge
from bridge.services.noting import logged_as
from bridge.telemetry import Step, StepTaken
from bridge.web import cors, current, policy
from bridge.web.current import About, Headers
from bridge.web.tokens import ShortWay

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = structlog.get_logger()

MAX_BODY = 64 * 1024
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
LABELS = 1000
"""More than there are routes and statuses; for each of them the metric that counts it is found once."""
ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    # Not `no-referrer`: it would make browsers send `Origin: null` with our own forms.
    ("Referrer-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
OVER_HTTPS = (("Strict-Transport-Security", "max-age=31536000"),)
"""A year, for our own name alone: what other names of the company do is not ours to say."""
OURS_ALONE = (("Cache-Control", "no-store"), ("Cross-Origin-Resource-Policy", "same-origin"))
"""What is no script or style is kept nowhere, and no page elsewhere gets it as if it were one."""
ORIGINS = {Step.KEPT: "store", Step.SHARED: "shared", Step.MINT: "mint"}
"""Where an answer's token came from: kept here, from the attempt of another request, or new."""


def install(app: Flask, bridge: Bridge) -> None:
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.before_request(_look)
    app.wsgi_app = Answers(app, bridge)  # type: ignore[method-assign]  # Flask's own way to put a layer around it


def _look() -> None:
    """Note the route, and refuse large bodies by the announced length, also where nobody would read them.

    A body in chunks announces none, and Werkzeug would cut it off at the limit without a word.
    """
    if rule := request.url_rule:
        current.about().route = rule.rule
    environ = request.environ
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise BadRequest("Send the body with its Content-Length, not in chunks.")
    if (get_content_length(environ.get("CONTENT_LENGTH")) or 0) > MAX_BODY:
        raise TooLarge


class Answers:
    """Begins each request, and completes its answer when its headers are ready to leave."""

    def __init__(self, app: Flask, bridge: Bridge) -> None:
        self._inner = app.wsgi_app
        self._bridge = bridge
        self._secret = bridge.settings.secret_key.get_secret_value().encode()
        self._short_way = ShortWay(bridge, app.extensions[current.ALLOWANCES])
        self._log = log.bind()
        self._always = ALWAYS + (OVER_HTTPS if bridge.settings.cookies_are_secure else ())
        self._counter = lru_cache(LABELS)(bridge.metrics.requests.labels)
        self._histogram = lru_cache(LABELS)(bridge.metrics.request_seconds.labels)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self._bridge.keeper.start()
        if prefix := environ.get("SCRIPT_NAME"):  # gunicorn believes a header here; we begin where our origin does
            environ["PATH_INFO"], environ["SCRIPT_NAME"] = prefix + environ["PATH_INFO"], ""
        about = current.begin(self._bridge, _request_id(environ))

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:  # noqa: ANN401 - as WSGI has it
            took_s = time.perf_counter() - about.started
            headers += self._headers(about, headers, took_s)
            headers += cors.headers(self._bridge.tenants, environ)
            self._note(environ["REQUEST_METHOD"], about, status[:3], took_s)
            return start_response(status, headers, exc_info)

        try:
            if (short := self._short_way.answer(environ, about)) is not None:
                start("200 OK", short.headers)
                return (short.body,)
            return self._inner(environ, start)
        finally:
            current.end()

    def _headers(self, about: About, given: Headers, took_s: float) -> Headers:
        found = [("Content-Security-Policy", policy.header(about.embeds)), *self._always]
        found.append(("X-Request-Id", about.request_id))
        if about.steps:
            found.append(("Server-Timing", _timing(about.steps, took_s)))
        if not any(name == "Cache-Control" for name, _ in given):
            found += OURS_ALONE
        return found

    def _note(self, method: str, about: About, status: str, took_s: float) -> None:
        """Count and log by the route's pattern: a path or query may hold anything, also what opens doors."""
        self._counter(about.route, status).inc()
        self._histogram(about.route).observe(took_s)
        self._log.info(
            "request",
            method=method,
            route=about.route,
            status=int(status),
            ms=round(took_s * 1000, 1),
            tenant=about.tenant,
            **self._told(about),
        )

    def _told(self, about: About) -> dict[str, str]:
        """Return what the line tells of person, path and outcome, where there is any."""
        told = {}
        if about.tenant and about.person:
            told["subject"] = logged_as(self._secret, about.tenant, about.person)
        if about.path:
            told["path"] = about.path.value
        for taken in reversed(about.steps):
            if taken.step in ORIGINS:
                told["origin"] = ORIGINS[taken.step]
                break
        if about.problem:
            told["problem"] = about.problem
        return told


def _request_id(environ: "WSGIEnvironment") -> str:
    given: str = environ.get("HTTP_X_REQUEST_ID", "")
    if given and REQUEST_ID.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"


def _timing(steps: Iterable[StepTaken], took_s: float) -> str:
    """Say which steps led to this answer (W3C: Server Timing)."""
    return ", ".join([*map(_metric, steps), f"total;dur={took_s * 1000:.1f}"])


def _metric(taken: StepTaken) -> str:
    lasted = "" if taken.seconds is None else f";dur={taken.seconds * 1000:.1f}"
    return taken.step + lasted + (f';desc="{taken.problem}"' if taken.problem else "")
