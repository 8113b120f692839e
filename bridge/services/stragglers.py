"""Who still uses the JWT path: noted where the bridge itself serves it."""

import re
import threading

from cachetools import TTLCache

from bridge.model import Identity, TenantState
from bridge.ports import Clock, JwtUses
from bridge.services.later import Later
from bridge.telemetry import Metrics
from bridge.trail import JwtUse, Whence

HOUR_S = 3600
REMEMBERED = 20_000
ORIGINS_AN_HOUR = 10
OTHERS = "others"
"""Stands for the origins of a subject that names more of them in an hour than anybody has pages."""

FAMILIES = (  # the first that matches: most of them name Chrome and Safari too
    ("Edge", re.compile(r"\bEdgA?(iOS)?/")),
    ("Opera", re.compile(r"\bOPR/|\bOPiOS/|\bOpera\b")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/")),
    ("Firefox", re.compile(r"\bFirefox/|\bFxiOS/")),
    ("Chrome", re.compile(r"\bChrom(e|ium)/|\bCriOS/|\bHeadlessChrome/")),
    ("Safari", re.compile(r"\bVersion/\S+ (Mobile/\S+ )?Safari/")),
    ("other browser", re.compile(r"\bMozilla/")),
)


def agent_family(user_agent: str) -> str:
    """Return the family of browsers that a User-Agent names, `program` for anything else, "" without one.

    Browsers that call themselves Chrome to the letter (Brave, Vivaldi) count as Chrome: nothing tells them apart.
    """
    if not user_agent.strip():
        return ""
    return next((name for name, pattern in FAMILIES if pattern.search(user_agent)), "program")


class Stragglers:
    """Notes uses of the JWT path: one write for a subject, origin and family in an hour, which no request waits for."""

    def __init__(self, uses: JwtUses, clock: Clock, metrics: Metrics) -> None:
        self._later = Later(uses.note, metrics)
        self._clock = clock
        self._noted: TTLCache[tuple[object, ...], bool] = TTLCache(REMEMBERED, HOUR_S, timer=clock)
        self._origins: TTLCache[tuple[object, ...], set[str]] = TTLCache(REMEMBERED, HOUR_S, timer=clock)
        self._guard = threading.Lock()

    def note(self, state: TenantState, identity: Identity, whence: Whence) -> None:
        """Note that this person asked for a legacy JWT, also where a retired tenant refuses it."""
        now, slug, sub = self._clock(), state.tenant.slug, identity.subject.sub
        hour = now // HOUR_S
        with self._guard:
            kept = self._bounded((slug, sub, hour), whence)
            key = (slug, sub, kept, hour)
            if key not in self._noted and self._later.note(JwtUse(slug, sub, kept, now, now)):
                self._noted[key] = True

    def flush(self) -> None:
        """Write what was noted since the last time. Raises StoreError: then it is tried again."""
        self._later.flush()

    def close(self) -> None:
        self._later.close()

    def _bounded(self, key: tuple[object, ...], whence: Whence) -> Whence:
        """Return where it came from, unless this subject invents origins to fill our disk."""
        known = self._origins.setdefault(key, set())
        if whence.origin not in known and len(known) >= ORIGINS_AN_HOUR:
            return Whence(OTHERS, whence.agent)
        known.add(whence.origin)
        return whence
