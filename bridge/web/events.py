"""What pages tell us about their troubles: counted, without a word about the person."""

import threading
from typing import Literal

from cachetools import TTLCache

from bridge.errors import TooMany
from bridge.ports import Clock
from bridge.telemetry import Metrics

Kind = Literal[
    "cookies_blocked",
    "embed_failed",
    "frame_unmapped",
    "login_failed",
    "session_failed",
    "tenant_unreachable",
    "token_failed",
    "whoami_failed",
]
REFUSED_AFTER_ISSUE: Kind = "whoami_failed"
"""A page was given a token, and the tenant does not let it in with it."""
EVERY_S = 60
REMEMBERED = 20_000


class ClientEvents:
    """Count events, each kind once a subject and minute, so that a looping page cannot shout others down."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seen: TTLCache[tuple[str, str, str], bool] = TTLCache(REMEMBERED, EVERY_S, timer=clock)
        self._guard = threading.Lock()

    def note(self, tenant: str, kind: Kind, sub: str) -> None:
        """Count the event. Raises TooMany."""
        key = (tenant, kind, sub)
        with self._guard:
            if key in self._seen:
                raise TooMany(retry_after_s=EVERY_S)
            self._seen[key] = True
        self._metrics.client_events.labels(tenant, kind).inc()
