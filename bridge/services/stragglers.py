"""Who still uses the JWT path: noted where the bridge itself serves it."""

import re
import threading

import structlog
from cachetools import TTLCache

from bridge.errors import StoreError
from bridge.model import Identity, TenantState
from bridge.ports import Clock, JwtUses
from bridge.trail import JwtUse, Whence

log = structlog.get_logger()

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
    """Notes uses of the JWT path: one cheap write for a subject, origin and family in an hour, and never an error."""

    def __init__(self, uses: JwtUses, clock: Clock) -> None:
        self._uses = uses
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
            if key in self._noted:
                return
            self._noted[key] = True
        try:
            self._uses.note(JwtUse(slug, sub, kept, now, now))
        except StoreError:
            log.warning("jwt_use_not_noted", tenant=slug)
            with self._guard:
                self._noted.pop(key, None)

    def _bounded(self, key: tuple[object, ...], whence: Whence) -> Whence:
        """Return where it came from, unless this subject invents origins to fill our disk."""
        known = self._origins.setdefault(key, set())
        if whence.origin not in known and len(known) >= ORIGINS_AN_HOUR:
            return Whence(OTHERS, whence.agent)
        known.add(whence.origin)
        return whence
