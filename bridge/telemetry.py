"""Logs, metrics, and the steps of one request. Nothing that opens a door may pass through here: see `redact`."""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache, wraps
from typing import Any, NamedTuple, ParamSpec, TextIO, TypeVar

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from bridge.errors import BridgeError
from bridge.gauges import SharedGauge

P = ParamSpec("P")
R = TypeVar("R")

SECRET_NAMES = re.compile(
    r"token$|secret|password|cookie|authorization|jwt|assertion|private|credential", re.IGNORECASE
)
SECRET_VALUES = re.compile(
    r"eyJ[\w-]*\.[\w.-]*|eyJ[\w-]{16,}"  # a JWT, whole or cut off
    r"|(?i:bearer|basic)\s+\S+"
    r"""|(?i:eas\.sid|_csrfToken)[\w.]*["']?\s*[=:,]\s*["']?[^;,\s"']+"""  # as header, JSON or Python
    r"|qb[so]_[\w-]+"  # our own session and operator values
    r"|-----BEGIN[^-]+-----.*?(?:-----END[^-]+-----|$)",
    re.DOTALL,
)
MASK = "[redacted]"
PLAIN = frozenset({str, int, float, bool, datetime, type(None)})
SHORTEST_SECRET = 20
FILES_OF_WORKERS = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own variable: the folder in which several workers count."""


def redact(text: str) -> str:
    """Return *text* with everything that looks like a credential masked."""
    return SECRET_VALUES.sub(MASK, text)


def mask_credentials(text: str) -> str:
    """Return a text that is kept for good, with credentials masked; a "basic plan" is none, so short words stay."""
    return SECRET_VALUES.sub(
        lambda found: MASK if max(map(len, found[0].split())) >= SHORTEST_SECRET else found[0], text
    )


def credentials_masked(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return JSON that is kept for good, with the credentials in all its texts masked."""
    if isinstance(value, str):
        return mask_credentials(value)
    if isinstance(value, Mapping):
        return {name: credentials_masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [credentials_masked(each) for each in value]
    return value


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {
            redact(str(key)): MASK if SECRET_NAMES.search(str(key)) else _redacted(each) for key, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(each) for each in value]
    return value if value is None or isinstance(value, int | float | datetime) else redact(repr(value))


def _redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if _is_harmless(event):
        return event
    for key, value in event.items():
        event[key] = MASK if _is_secret_name(key) and value is not None else _redacted(value)
    return event


def _is_harmless(event: Mapping[str, Any]) -> bool:
    """Tell at little cost that there is nothing to mask, as in the line of nearly every request."""
    if any(map(_is_secret_name, event)) or not PLAIN.issuperset(map(type, event.values())):
        return False
    return not _hints_at_secret("\n".join([value for value in event.values() if isinstance(value, str)]).casefold())


def _hints_at_secret(folded: str) -> bool:
    """Tell whether SECRET_VALUES might find something: all that it finds has one of these in it."""
    return (
        "eyj" in folded
        or "bearer" in folded
        or "basic" in folded
        or "eas.sid" in folded
        or "_csrftoken" in folded
        or "qbs_" in folded
        or "qbo_" in folded
        or "-----begin" in folded
    )


@lru_cache(1000)
def _is_secret_name(name: str) -> bool:
    return SECRET_NAMES.search(name) is not None


def _add_time(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = datetime.now(UTC)
    return event


def _line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Return the event as JSON; what orjson does not know, such as a number beyond 64 bits, costs more time."""
    try:
        return orjson.dumps(event, option=orjson.OPT_UTC_Z).decode()
    except TypeError:
        return json.dumps(event, default=datetime.isoformat)


class Lines:
    """Writes each line by one call of the system, which keeps it whole, and without a lock.

    With one, every thread stood in line behind the one that waits for the disk: half of the time of busy workers.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._raw = getattr(getattr(stream, "buffer", None), "raw", None)

    def msg(self, line: str) -> None:
        if self._raw is None:  # a stand-in of memory alone
            self._stream.write(line + "\n")
        else:
            self._raw.write(line.encode(errors="backslashreplace") + b"\n")

    debug = info = warning = error = critical = exception = msg


def configure_logging(level: str = "info") -> None:
    """Write JSON lines to standard error, redacted, for structlog and the standard library alike."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _add_time,
        structlog.processors.format_exc_info,
    ]
    last: list[Any] = [_redact_event, _line]
    lines = Lines(sys.stderr)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # Authlib's debug lines print whole tokens; no level of ours may switch them on.
    logging.getLogger("authlib").setLevel(logging.WARNING)


def request_id() -> str:
    """Return the id of the request that this thread works for, "" in the background."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


class Step(StrEnum):
    """What a request may have to do on the way to its answer; docs/reference/routes.md lists them for people."""

    SESSION = "session"
    JWT_LOGIN = "jwt-login"
    GROUPS = "groups"
    CHECK = "check"
    MINT = "mint"
    KEPT = "kept"
    SHARED = "shared"
    WEBSOCKET = "websocket"
    OPEN_APP = "open-app"
    SHEETS = "sheets"
    HYPERCUBE = "hypercube"
    READER = "reader"


class StepTaken(NamedTuple):
    """One step: how long it took (None: no time worth naming), and the code of the error that ended it."""

    step: Step
    seconds: float | None = None
    problem: str = ""


_steps: ContextVar[list[StepTaken] | None] = ContextVar("steps", default=None)


def collect_steps() -> list[StepTaken]:
    """Return a list that fills with the steps of this thread from now on, until the next call."""
    steps: list[StepTaken] = []
    _steps.set(steps)
    return steps


def note_step(taken: StepTaken) -> None:
    """Add a step, where anybody collects."""
    if (steps := _steps.get()) is not None:
        steps.append(taken)


class timed:  # noqa: N801 - reads as the verb that it is
    """Add what happens inside as a step, also when it fails. A class, as each request pays for it."""

    __slots__ = ("_started", "_step")

    def __init__(self, step: Step) -> None:
        self._step = step

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        problem = error.code() if isinstance(error, BridgeError) else ""
        note_step(StepTaken(self._step, time.perf_counter() - self._started, problem))

    def __call__(self, work: Callable[P, R]) -> Callable[P, R]:
        @wraps(work)
        def inner(*args: P.args, **kwargs: P.kwargs) -> R:
            with timed(self._step):
                return work(*args, **kwargs)

        return inner


class Metrics:
    """Every metric that the product exposes; docs/reference/metrics.md lists them for people.

    One registry an application, so that two in one process (tests) never share counts. With PROMETHEUS_MULTIPROC_DIR
    set before this file is imported, each worker counts in files there, and `exposed` adds them all up.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._shared: list[SharedGauge] = []
        self._about_answers()
        self._about_tenants()
        self._about_migration()
        self._about_guards()
        self._about_waiting()

    def _about_answers(self) -> None:
        counter, histogram = self._counter, self._histogram
        self.requests = counter("bridge_http_requests", "Answers given.", "route", "status")
        self.request_seconds = histogram("bridge_http_request_seconds", "Time to answer.", "route")
        self.errors = counter("bridge_errors", "Errors answered, by code.", "code")
        self.tokens = counter("bridge_tokens_issued", "Impersonation tokens issued, by origin.", "tenant", "origin")
        self.legacy_tokens = counter("bridge_legacy_tokens_issued", "Legacy JWTs for browsers.", "tenant", "stage")
        self.parity = counter("bridge_parity_comparisons", "People compared, by outcome.", "tenant", "outcome")
        self.client_events = counter("bridge_client_events", "What pages report, by kind.", "tenant", "kind")

    def _about_tenants(self) -> None:
        counter, histogram = self._counter, self._histogram
        self.syncs = counter("bridge_group_syncs", "Backend JWT logins, by outcome.", "tenant", "outcome")
        self.stale_syncs = counter(
            "bridge_group_syncs_skipped_on_failure",
            "Syncs that failed and were bridged by the last good one.",
            "tenant",
        )
        self.upstream = counter("bridge_upstream_calls", "Calls to tenants, by outcome.", "tenant", "call", "outcome")
        self.upstream_seconds = histogram("bridge_upstream_seconds", "Time of calls to tenants.", "tenant", "call")
        self.budget_spent = counter("bridge_budget_calls", "Logins and token calls, by claim.", "tenant", "lane")
        self.budget_refused = counter("bridge_budget_refusals", "Claims sent away to wait.", "tenant", "lane")
        self.budget_left = self._gauge("bridge_budget_left", "Calls left of the window's budget.", "tenant")
        self.budget_size = self._gauge("bridge_budget_size", "Calls of a whole window's budget.", "tenant")
        self.budget_frozen = self._gauge("bridge_budget_frozen_seconds", "Wait that the tenant asked for.", "tenant")
        self.lease_waits = counter("bridge_lease_waits", "Waits for another worker, by outcome.", "tenant", "outcome")
        self.renewals = counter("bridge_renewals", "Tokens renewed ahead, by outcome.", "tenant", "outcome")
        self.certificate_ends = self._gauge(
            "bridge_certificate_ends_timestamp_seconds", "End of a key's certificate.", "tenant", "key"
        )
        self.mints_lost = counter("bridge_mints_lost", "Mints whose token may exist, and nobody has it.", "tenant")
        self.revocations = counter("bridge_revocations", "Tokens revoked, by outcome.", "tenant", "outcome")

    def _about_waiting(self) -> None:
        """Tell of all workers together: each has places of its own."""
        of_all: dict[str, Any] = {"registry": self.registry, "multiprocess_mode": "livesum"}
        self.bulkhead_size = Gauge("bridge_bulkhead_size", "Requests that may wait for tenants at once.", **of_all)
        self.bulkhead_taken = Gauge("bridge_bulkhead_taken", "Requests that wait for tenants.", ["tenant"], **of_all)
        self.bulkhead_refused = self._counter("bridge_bulkhead_refusals", "Requests told to come back.", "tenant")

    def _about_migration(self) -> None:
        counter = self._counter
        self.flag_fallbacks = counter("bridge_flag_fallbacks", "Flags not evaluated: safe side taken.", "tenant")
        self.stage_moves = counter("bridge_stage_moves", "Stage moves.", "tenant", "to")
        self.ramp_steps = counter("bridge_ramp_steps", "Steps that ramps took.", "tenant")
        self.ramp_paused = self._gauge("bridge_ramp_paused", "1 while a ramp stands still.", "tenant", "by")
        self.killed = self._gauge("bridge_killed", "1 while a kill switch works.", "tenant")
        self.chores = counter("bridge_chores", "Background chores run, by outcome.", "chore", "outcome")

    def _about_guards(self) -> None:
        counter = self._counter
        self.measures_lost = counter("bridge_measures_lost", "Measurements that did not reach the database.")
        self.guardrails = counter("bridge_guardrails_crossed", "What guardrails did.", "tenant", "guardrail", "action")
        self.shadow = counter(
            "bridge_shadow_trials", "Sign-ins tried beside the JWT path, by outcome.", "tenant", "outcome"
        )
        self.shadow_dropped = counter("bridge_shadow_dropped", "Sign-ins that found no room in the queue.", "tenant")
        self.notices = counter("bridge_notices", "Notices to webhooks, by outcome of an attempt.", "tenant", "outcome")
        self.outbox = self._gauge("bridge_outbox_waiting", "Notices that no webhook heard yet.", "tenant")
        self.store_seen = Gauge(
            "bridge_store_seen_timestamp_seconds",
            "When the worker that waits longest last saw the database.",
            registry=self.registry,
            multiprocess_mode="livemin",
        )

    def exposed(self) -> bytes:
        """Return, for a scrape, what all workers counted."""
        if FILES_OF_WORKERS not in os.environ:
            return generate_latest(self.registry)
        whole = CollectorRegistry()
        MultiProcessCollector(whole)  # type: ignore[no-untyped-call]
        for gauge in self._shared:
            whole.register(gauge)
        return generate_latest(whole)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> SharedGauge:
        self._shared.append(gauge := SharedGauge(name, text, *labels, registry=self.registry))
        return gauge

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry)
