"""The bridge to measure: before a tenant that only answers, or before the sandbox."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet
from sqlalchemy import Table
from storykit import PORTAL_ISSUER, change_tenant, free_ports, portal_keys, running_sandbox
from storykit import Tenant as Sandbox

from bench.servers import CHOSEN, Kind, served
from bridge.adapters.sql import open_database
from bridge.adapters.sql.tables import SESSIONS, SUBJECTS
from bridge.bootstrap import build
from bridge.cli.demo import apply_states, demo_environment
from bridge.evidence import ParityPlan
from bridge.model import Content, Rollout, Stage, Subject, Tenant
from bridge.sandbox.certificates import private_pem, rsa_key
from bridge.services.sessions import PREFIX
from bridge.services.stages import Move
from bridge.services.tenants import Declared
from bridge.settings import Settings, read_settings

GROUPS = frozenset({"Finance", "EMEA", "Pilots"})
NO_LIMIT = 1_000_000
ANY_NUMBER = {"BRIDGE_SUBJECT_REQUESTS_PER_MINUTE": "100000000"}
"""A person's requests are counted as ever; the few people of the bench never use them up."""
UNLIMITED = {"tier1_per_minute": NO_LIMIT, "tier2_per_minute": NO_LIMIT, "tenant_rate_limit": "off"}


def of_server(kind: Kind) -> dict[str, str]:
    """Return what the bridge must know of its server."""
    return {"BRIDGE_THREADS": str(kind.threads)} if "threads" in Settings.model_fields else {}


def subject(name: str) -> Subject:
    return Subject(name, name, f"{name}@example.com", GROUPS)


def sessions(url: str, names: Sequence[str], source: str = "assertion", issuer: str = PORTAL_ISSUER) -> list[str]:
    """Let people be signed in, all at once, and return the values of their Authorization headers."""
    values, now = [f"{PREFIX}{secrets.token_urlsafe(32)}" for _ in names], time.time()
    rows = [
        {
            "id_hash": sha256(value.encode()).hexdigest(),
            **_facts(subject(name)),
            "source": source,
            "issuer": issuer,
            "asserted_at": now,
            "tenant": None,
            "created_at": now,
            "seen_at": now,
        }
        for name, value in zip(names, values, strict=True)
    ]
    _insert(url, SESSIONS, rows)
    return [f"Bearer {value}" for value in values]


def _facts(known: Subject) -> dict[str, Any]:
    return {"sub": known.sub, "name": known.name, "email": known.email, "groups": sorted(known.groups)}


def _insert(url: str, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(table.insert(), rows)
    database.close()


def people(count: int, kind: str = "person") -> list[str]:
    return [f"{kind}-{number}" for number in range(count)]


def _environment(home: Path, port: int) -> dict[str, str]:
    """Return the settings of a bridge that believes a portal's assertions."""
    _, public = portal_keys()
    (home / "jwks.json").write_text(public)
    return {
        "BRIDGE_SECRET_KEY": secrets.token_urlsafe(48),
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "BRIDGE_DATABASE_URL": f"sqlite:///{home / 'bridge.db'}",
        "BRIDGE_KEYS_DIR": str(home / "keys"),
        "BRIDGE_IDENTITY": "assertion",
        "BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER,
        "BRIDGE_ASSERTION_JWKS": str(home / "jwks.json"),
        "BRIDGE_BUDGET_CALLS_PER_MINUTE": str(NO_LIMIT),
        **ANY_NUMBER,
    }


@dataclass(frozen=True)
class BareBridge:
    """A bridge whose tenants, `t0`, `t20` and so on by their latency, only answer; all of its people are on `oauth`."""

    home: Path
    port: int
    environment: Mapping[str, str]
    bearers: Sequence[str]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def served(self, kind: Kind = CHOSEN) -> Iterator[int]:
        environment = {**self.environment, **of_server(kind)}
        with served(kind, "bridge.wsgi:app", self.port, self.home, environment) as pid:
            yield pid


def bare_bridge(home: Path, addresses: Mapping[int, str], count: int) -> BareBridge:
    """Set a bridge up with so many people who are signed in."""
    (port,) = free_ports(1)
    (home / "keys").mkdir(mode=0o700)
    environment = _environment(home, port)
    built = build(read_settings(environment))
    pem = built.settings.keys_dir / "tenant.pem"
    pem.touch(0o600)
    pem.write_text(private_pem(rsa_key()))
    declared = [Declared(_tenant(f"t{ms}", at), Rollout(Stage.OAUTH)) for ms, at in addresses.items()]
    built.declared.apply(built.declared.plan(declared), actor="bench")
    built.close()
    bearers = sessions(environment["BRIDGE_DATABASE_URL"], people(count))
    return BareBridge(home, port, environment, bearers)


def _tenant(slug: str, host: str) -> Tenant:
    return Tenant(
        slug=slug,
        name=slug,
        host=host,
        admits=("assertion",),
        issuer="portal",
        key_id="kid",
        signing_key="tenant.pem",
        web_integration_id="web",
        issuing_client={"id": "client", "secret": "secret"},  # type: ignore[arg-type]  # read as a file's would be
    )


@dataclass(frozen=True)
class SandboxedBridge:
    """A bridge whose tenant acme, on `oauth`, is the sandbox."""

    home: Path
    environment: Mapping[str, str]
    acme: Sandbox

    @contextmanager
    def machine(self, port: int = 0, **settings: str) -> Iterator[str]:
        """Serve it from two workers; yield the address."""
        port = port or free_ports(1)[0]
        environment = {**self.environment, **of_server(CHOSEN), **settings}
        with served(CHOSEN, "bridge.wsgi:app", port, self.home, environment):
            yield f"http://127.0.0.1:{port}"

    def sign_in(self, names: Sequence[str]) -> list[str]:
        return sessions(self.environment["BRIDGE_DATABASE_URL"], names)

    def know(self, names: Sequence[str]) -> None:
        """Let the tenant have these people, and the bridge remember that they were logged in."""
        admin, now, client = self.acme.admin(), time.time(), requests.Session()

        def row(name: str) -> dict[str, Any]:
            given = {"subject": name, "name": name, "status": "active"}
            made = client.post(f"{self.acme.origin}/api/v1/users", json=given, headers=admin, timeout=30)
            made.raise_for_status()
            known = subject(name)
            facts = {**_facts(known), "fingerprint": known.fingerprint(), "asserted_at": now - 60}
            sync = {"synced_fingerprint": known.fingerprint(), "synced_groups": sorted(known.groups), "synced_at": now}
            return {"tenant": "acme", **facts, "user_id": made.json()["id"], **sync, "browser_login_until": 0.0}

        with ThreadPoolExecutor(4) as several:
            rows = list(several.map(row, names))
        _insert(self.environment["BRIDGE_DATABASE_URL"], SUBJECTS, rows)
        self.acme.forget_calls()


@contextmanager
def sandboxed(home: Path, **settings: str) -> Iterator[SandboxedBridge]:
    """Start a sandbox without limits, and set a bridge up before it."""
    ports = dict(zip(("bridge", "acme", "globex"), free_ports(3), strict=True))
    acme = Sandbox(f"http://127.0.0.1:{ports['acme']}")
    with running_sandbox(ports["acme"], ports["globex"], f"http://localhost:{ports['bridge']}"):
        acme.control("POST", "switches", UNLIMITED)
        environment = {**_environment(home, ports["bridge"]), **settings}
        built = build(read_settings(environment))
        apply_states(built, home, ports, {"acme": acme.state()})
        change_tenant(built, "acme", admits=("assertion",), sync_max_age_s=86_400)
        for stage in (Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH):
            built.stages.move("acme", Move(stage, "bench", "bench", 100, force=True))
        built.close()
        acme.forget_calls()
        yield SandboxedBridge(home, environment, acme)


@contextmanager
def shadowing(
    home: Path, sandbox: Sandbox, ports: Mapping[str, int], sample_percent: float, count: int
) -> Iterator[tuple[str, list[str]]]:
    """Serve the demo's bridge with acme in stage `shadow`; yield it and its people's sessions."""
    environment = {**demo_environment(home, ports), **ANY_NUMBER, **of_server(CHOSEN), "BRIDGE_LOG_LEVEL": "info"}
    built = build(read_settings({name: value for name, value in environment.items() if name.startswith("BRIDGE_")}))
    apply_states(built, home, ports, {"acme": sandbox.state()})
    parity = ParityPlan(sample_percent=sample_percent, subjects_needed=0)
    change_tenant(built, "acme", parity=parity, content=Content())
    built.stages.move("acme", Move(Stage.SHADOW, "bench"))
    built.close()
    bearers = sessions(environment["BRIDGE_DATABASE_URL"], people(count), "demo", "demo")
    with served(CHOSEN, "bridge.wsgi:app", ports["bridge"], home, environment):
        yield f"http://127.0.0.1:{ports['bridge']}", bearers
