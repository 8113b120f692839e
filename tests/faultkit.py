"""A bridge over one database, before tenants that break on demand; and what people get of it meanwhile."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from storykit import PORTAL_ISSUER, Tenant, assertion, free_ports, portal_keys, served

from bridge.adapters.sql import Database, SqlSubjects, open_database
from bridge.bootstrap import Bridge, build
from bridge.cli.demo import apply_states, demo_environment
from bridge.model import AuditEvent, IssuedToken, Rollout, Stage, Subject
from bridge.settings import read_settings
from bridge.web import create_app

ROOT = Path(__file__).parents[1]
IMPATIENT_S = 2.0
"""Instead of the deadline that people have, where a fault takes all the time that there is."""
LOCK_S = 0.3
"""Instead of the two seconds that a statement waits for another one's lock."""
GROUP, EMAIL = "Finance", "somebody@example.com"
"""What the portal says of everybody."""
NO_LIMIT = "1000000"
LOGIN, WHO, MINT = "/login/jwt-session", "/api/v1/users/me", "/oauth/token"
SIX_HOURS_S, NEAR_ITS_END_S, TOO_NEAR_S = 6 * 3600, 300, 20
KEPT = "the-token-that-is-kept"


@dataclass
class Clock:
    """The clock of the bridge's machine, which somebody may set wrong."""

    ahead_s: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@dataclass(frozen=True)
class Got:
    """One answer, as the person who asked sees it."""

    status: int
    code: str
    wait: int | None
    token: str
    took_s: float


@dataclass
class Visitor:
    """Somebody with a session at the bridge, on a page of one tenant."""

    place: "Place"
    slug: str
    sub: str
    session: str = field(repr=False)

    def ask(self, **headers: str) -> Got:
        return self._asked("POST", "access-token", headers)

    def ask_for_jwt(self) -> Got:
        return self._asked("GET", "token", {})

    def ask_who(self) -> Got:
        return self._asked("GET", "session", {})

    def _asked(self, method: str, route: str, headers: Mapping[str, str]) -> Got:
        started = time.monotonic()
        answer = requests.request(
            method,
            f"{self.place.base}/t/{self.slug}/{route}",
            headers={"Authorization": f"Bearer {self.session}", "Accept": "application/json", **headers},
            timeout=60,
        )
        said, wait = answer.json(), answer.headers.get("Retry-After")
        token = said.get("access_token") or said.get("token") or ""
        took_s = time.monotonic() - started
        return Got(answer.status_code, said.get("error", ""), int(wait) if wait else None, token, took_s)


@dataclass
class Place:
    """The bridge, the sandbox behind it, and the portal that vouches. Each case has a tenant of its own."""

    bridge: Bridge
    base: str
    acme: Tenant
    key: ec.EllipticCurvePrivateKey
    clock: Clock
    database: Database
    alice: str = ""

    def visitor(self, slug: str, sub: str = "alice", *, host: str = "", stage: Stage = Stage.OAUTH) -> Visitor:
        """Let a person come to a new tenant, which is acme by another name."""
        tenant = self.bridge.tenants.get("acme", fresh=True).tenant
        new = tenant.model_copy(update={"slug": slug, "host": host or tenant.host, "portal_hosts": ()})
        event = AuditEvent(self.clock(), "test", "tenant.applied", slug, "story", None, None)
        self.bridge.tenants.save(new, starting_at=Rollout(stage, 100.0), event=event)
        return self.come(slug, sub)

    def come(self, slug: str, sub: str) -> Visitor:
        public_url = self.bridge.settings.public_url
        signed = assertion(self.key, public_url, sub, [GROUP], {"tenant": slug})
        headers = {"Authorization": f"Bearer {signed}", "Sec-Fetch-Site": "cross-site"}
        answer = requests.post(f"{self.base}/t/{slug}/session", headers=headers, timeout=60)
        assert answer.ok, answer.text
        return Visitor(self, slug, sub, answer.json()["session"])

    def know(self, visitor: Visitor) -> None:
        """Let the tenant know the person, whom it calls alice, and the bridge remember that."""
        now, known = self.clock(), Subject(visitor.sub, visitor.sub.title(), EMAIL, frozenset({GROUP}))
        subjects = SqlSubjects(self.database)
        record = subjects.get(visitor.slug, visitor.sub) or subjects.note(visitor.slug, known, now)
        synced = replace(record, synced_fingerprint=known.fingerprint(), synced_groups=known.groups)
        subjects.record_sync(replace(synced, user_id=self.alice, synced_at=now))

    def keep(self, visitor: Visitor, life_s: float) -> None:
        """Let the person have been here before, and have a token with so much life left."""
        self.know(visitor)
        now = self.clock()
        tenant = self.bridge.tenants.get(visitor.slug).tenant
        token = IssuedToken(tenant.token_key(visitor.sub), "kept", KEPT, tenant.scope, now - 3600, now + life_s)
        self.bridge.broker._tokens.put(token)

    def remember(self, visitor: Visitor) -> None:
        """Let the bridge have in memory what a page that is open makes it read."""
        assert visitor.ask_who().status == 200
        session, tenant = self.bridge.sessions.find(visitor.session), self.bridge.tenants.get(visitor.slug).tenant
        assert session is not None
        for _ in range(2):  # written, and read
            self.bridge.broker._groups.note(tenant, session.identity)
        self.bridge.broker._tokens.get(tenant.token_key(visitor.sub))

    def break_calls(self, endpoint: str, **fault: Any) -> None:  # noqa: ANN401 - as the sandbox has it
        self.acme.control("POST", "faults", {"endpoint": endpoint, "times": None, **fault})

    def spent(self, visitor: Visitor) -> int:
        return self.bridge.budget.state(self.bridge.tenants.get(visitor.slug).tenant).spent

    def heal(self) -> None:
        self.acme.control("DELETE", "faults")
        self.acme.forget_calls()
        self.clock.ahead_s = 0

    def count(self, metric: str, **labels: str) -> float:
        return self.bridge.metrics.registry.get_sample_value(metric, labels) or 0


@contextmanager
def standing(home: Path, sandbox: tuple[Tenant, Tenant], ports: Mapping[str, int], url: str) -> Iterator[Place]:
    """Serve a bridge over the database behind *url*, with short patience."""
    acme, globex = sandbox
    for tenant in sandbox:
        tenant.control("POST", "reset")
    limits = {"tier2_per_minute": int(NO_LIMIT), "tier1_per_minute": int(NO_LIMIT), "tenant_rate_limit": "off"}
    acme.control("POST", "switches", limits)
    key, public = portal_keys()
    (home / "jwks.json").write_text(public)
    port = free_ports(1)[0]
    environment = demo_environment(home, ports) | {
        "BRIDGE_DATABASE_URL": url,
        "BRIDGE_PUBLIC_URL": f"http://localhost:{port}",
        "BRIDGE_IDENTITY": "assertion",
        "BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER,
        "BRIDGE_ASSERTION_JWKS": str(home / "jwks.json"),
        "BRIDGE_ADMIN_GROUPS": "assertion:bridge-admins",
        "BRIDGE_DEMO_PEOPLE": "",
        "BRIDGE_BUDGET_CALLS_PER_MINUTE": NO_LIMIT,
        "BRIDGE_ADDRESS_REFUSALS_PER_MINUTE": "0",
        "BRIDGE_RENEWAL_AHEAD_MINUTES": "0",  # a case is asked for; nothing happens by itself
    }
    settings = read_settings({name: value for name, value in environment.items() if value})
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bridge.bootstrap.stores.open_database", partial(open_database, patience_s=LOCK_S))
        patch.setattr("bridge.adapters.sql.budget.AT_THE_LOCK_S", 1.0)
        bridge = build(settings, clock=clock)
        apply_states(bridge, home, ports, {"acme": acme.state(), "globex": globex.state()})
        admit_assertions(bridge)
        database = open_database(url)
        try:
            with served(create_app(bridge), port):
                place = Place(bridge, f"http://localhost:{port}", acme, key, clock, database)
                assert place.visitor("first").ask().status == 200
                place.alice = next(user["id"] for user in acme.state()["users"] if user["subject"] == "alice")
                yield place
        finally:
            database.close()
            bridge.close()


def admit_assertions(bridge: Bridge) -> None:
    state = bridge.tenants.get("acme", fresh=True)
    event = AuditEvent(0, "test", "tenant.applied", "acme", "story", None, None)
    admitting = state.tenant.model_copy(update={"admits": ("assertion",)})
    bridge.tenants.save(admitting, starting_at=state.rollout, event=event)


# --- the table -------------------------------------------------------------------------------------------

ANSWER = re.compile(r"(?P<status>\d{3})(?: `(?P<code>\w+)`)?(?:, after (?P<wait>\d+) s)?(?P<kept>, the kept one)?")


@dataclass(frozen=True)
class Row:
    """One line of a table of docs/reference/faults.md: what goes wrong, and by column what people get."""

    fault: str
    tries: int
    lost: int
    cells: Mapping[str, str]


def table(heading: str) -> Sequence[Row]:
    """Return the rows of the table that follows a heading."""
    page = (ROOT / "docs" / "reference" / "faults.md").read_text()
    lines = page.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    head, _, *rows = split
    named = [dict(zip(head, row, strict=True)) for row in rows]
    return [
        Row(row.pop(head[0]), int(row.pop("tries", "") or 0), int(row.pop("mints lost", "") or 0), row) for row in named
    ]


def as_told(got: Got) -> str:
    """Say an answer in the words of the table."""
    code = f" `{got.code}`" if got.code else ""
    wait = f", after {got.wait} s" if got.wait else ""
    return f"{got.status}{code}{wait}" + (", the kept one" if got.token == KEPT else "")
