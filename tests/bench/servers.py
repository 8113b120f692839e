"""Processes to measure: a tenant that only answers, the bridge, its rivals, each served by the same gunicorn."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet
from storykit import PATIENCE_S, PORTAL_ISSUER, ROOT, change_tenant, free_ports, listens, portal_keys, wait_until
from storykit import Tenant as Sandbox

from bridge.bootstrap import Bridge, build
from bridge.cli.demo import apply_states, demo_environment
from bridge.evidence import ParityPlan
from bridge.model import Content, Identity, Rollout, Stage, Subject, Tenant
from bridge.sandbox.certificates import private_pem, rsa_key
from bridge.services.stages import Move
from bridge.services.tenants import Declared
from bridge.settings import read_settings

WORKERS, THREADS = 2, 16
GROUPS = frozenset({"Finance", "EMEA", "Pilots"})


@contextmanager
def process(*words: str, port: int, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a Python module until the block ends; it is up when something listens on *port*."""
    paths = {"PYTHONPATH": str(ROOT / "tests")}
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**os.environ, **(environment or {}), **paths},
            stdout=output,
            stderr=output,
        )
        try:
            wait_until(listens(port), child, " ".join(words[:2]))
            yield
        finally:
            child.terminate()
            try:
                child.wait(PATIENCE_S / 6)
            except subprocess.TimeoutExpired:
                child.kill()


def gunicorn(app: str, port: int) -> Sequence[str]:
    shape = [f"--workers={WORKERS}", f"--threads={THREADS}", "--worker-class=gthread", "--graceful-timeout=1"]
    return ["gunicorn", *shape, "--log-level=warning", "--no-control-socket", f"--bind=127.0.0.1:{port}", app]


@contextmanager
def tenants(home: Path, latencies: Sequence[int]) -> Iterator[dict[int, str]]:
    """Serve one tenant for each latency (milliseconds); yield their addresses."""
    ports = dict(zip(latencies, free_ports(len(latencies)), strict=True))
    places = [f"{port}:{ms}" for ms, port in ports.items()]
    with process("bench.tenant", *places, port=ports[latencies[-1]], log=home / "tenant.log"):
        yield {ms: f"http://127.0.0.1:{port}" for ms, port in ports.items()}


@contextmanager
def rival(home: Path, addresses: Mapping[int, str]) -> Iterator[str]:
    """Serve what the bridge is compared with; each kind gets a server of its own."""
    (port,) = free_ports(1)
    (pem := home / "rival.pem").write_text(private_pem(rsa_key()))
    environment = {"BENCH_TENANTS": json.dumps({str(ms): at for ms, at in addresses.items()}), "BENCH_KEY": str(pem)}
    words = gunicorn("bench.rival_app:app", port)
    with process(*words, port=port, log=home / "rival.log", environment=environment):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def bridge(home: Path, addresses: Mapping[int, str], people: int) -> Iterator[tuple[str, list[str]]]:
    """Serve the bridge with a tenant `t<latency>` on `oauth` for each address; yield it and its people's sessions."""
    (port,) = free_ports(1)
    _, public = portal_keys()
    (home / "jwks.json").write_text(public)
    (home / "keys").mkdir(mode=0o700)
    environment = {
        "BRIDGE_SECRET_KEY": secrets.token_urlsafe(48),
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "BRIDGE_DATABASE_URL": f"sqlite:///{home / 'bridge.db'}",
        "BRIDGE_KEYS_DIR": str(home / "keys"),
        "BRIDGE_IDENTITY": "assertion",
        "BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER,
        "BRIDGE_ASSERTION_JWKS": str(home / "jwks.json"),
        "BRIDGE_SUBJECT_REQUESTS_PER_MINUTE": "100000000",  # counted as ever, and never used up by a few people
    }
    built = build(read_settings(environment))
    pem = built.settings.keys_dir / "tenant.pem"
    pem.touch(0o600)
    pem.write_text(private_pem(rsa_key()))
    declared = [Declared(_tenant(f"t{ms}", at), Rollout(Stage.OAUTH)) for ms, at in addresses.items()]
    built.declared.apply(built.declared.plan(declared), actor="bench")
    bearers = sessions(built, people, "assertion", PORTAL_ISSUER)
    built.close()
    with process(*gunicorn("app:app", port), port=port, log=home / "bridge.log", environment=environment):
        yield f"http://127.0.0.1:{port}", bearers


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


@contextmanager
def shadowing(
    home: Path, sandbox: Sandbox, ports: Mapping[str, int], sample_percent: float, people: int
) -> Iterator[tuple[str, list[str]]]:
    """Serve the demo's bridge with acme in stage `shadow`; yield it and its people's sessions."""
    port = ports["bridge"]
    environment = {**demo_environment(home, ports), "BRIDGE_LOG_LEVEL": "info"}
    state = sandbox.state()
    built = build(read_settings(environment))
    apply_states(built, home, ports, {"acme": state})
    parity = ParityPlan(sample_percent=sample_percent, subjects_needed=0)
    change_tenant(built, "acme", parity=parity, content=Content())
    built.stages.move("acme", Move(Stage.SHADOW, "bench"))
    bearers = sessions(built, people, "demo", "demo")
    built.close()
    with process(*gunicorn("app:app", port), port=port, log=home / "bridge.log", environment=environment):
        yield f"http://127.0.0.1:{port}", bearers


def sessions(built: Bridge, people: int, source: str, issuer: str) -> list[str]:
    """Sign people in, and return the values of their Authorization headers."""
    names = [f"person-{number}" for number in range(people)]
    subjects = [Subject(name, name, f"{name}@example.com", GROUPS) for name in names]
    found = (Identity(subject, source, issuer, time.time()) for subject in subjects)
    return [f"Bearer {built.sessions.open(identity)}" for identity in found]
