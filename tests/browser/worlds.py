"""Bridges and sandboxes as processes, one set for all tests of this folder."""

from __future__ import annotations

import ssl
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import requests
from storykit import Tenant, World, change_tenant, running_bridge, running_sandbox, served

from bridge.bootstrap import build
from bridge.cli.demo import apply_states, demo_environment
from bridge.guarding import Guardrails
from bridge.settings import read_settings
from browser.front import Front

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LOOPBACK = "127.0.0.1"
STAGES = ("legacy", "shadow", "rollout", "oauth", "retired")
PERSON_FIELDS = ("groups", "display_name", "email", "disabled")


@dataclass
class Site(World):
    """A bridge with two sandbox tenants, behind a front server; an operator's token moves its stages."""

    front: Front = field(kw_only=True)
    operator: str = field(kw_only=True)
    seed: Mapping[str, Any] = field(kw_only=True)
    """What the acme tenant held at first."""
    settings: Mapping[str, str] = field(kw_only=True)

    def fresh(self) -> None:
        """Take back what an earlier test did, but for users, tokens and the groups that the tenants know."""
        self.front.forget()
        self.stage("legacy")
        self.stage("legacy", slug="globex")
        for tenant in (self.acme, self.globex):
            tenant.control("DELETE", "faults")
            tenant.control("POST", "clock", {"offset_s": 0})
            tenant.control("POST", "switches", self.seed["switches"])
            tenant.forget_calls()
        for person in self.seed["people"]:
            self.acme.control("PATCH", f"people/{person['name']}", {name: person[name] for name in PERSON_FIELDS})

    def stage(self, to: str, percent: float = 100, slug: str = "acme") -> None:
        """Move a tenant, step by step where it goes forward."""
        route = f"{self.base}/api/v1/tenants/{slug}"
        bearer = {"Authorization": f"Bearer {self.operator}"}
        now = STAGES.index(requests.get(route, headers=bearer, timeout=20).json()["stage"])
        target = STAGES.index(to)
        steps = STAGES[now + 1 : target + 1] if target > now else [to] * (target < now)
        for step in steps:
            body = {"to": step, "percent": percent, "reason": "browser test", "force": step == "retired"}
            answer = requests.post(f"{route}/stage", json=body, headers=bearer, timeout=20)
            assert answer.ok, answer.text

    @contextmanager
    def guarded(self, slug: str, minimum: int) -> Iterator[None]:
        """Let a guardrail act on fewer people than it does by default, which is more than there are here."""
        strict = Guardrails.model_validate({"issue_errors": {"minimum": minimum}})
        with closing(build(read_settings(self.settings))) as bridge:
            change_tenant(bridge, slug, guardrails=strict)
            try:
                yield
            finally:
                change_tenant(bridge, slug, guardrails=Guardrails())

    def tenant(self, slug: str) -> Tenant:
        return self.globex if slug == "globex" else self.acme

    def on_path(self, path: str) -> None:
        self.stage("oauth" if path == "oauth" else "legacy")


@dataclass(frozen=True)
class Ports:
    """Where a site's processes listen; `front` is the address that browsers know."""

    front: int
    bridge: int
    acme: int
    globex: int

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.front}"

    def named(self) -> dict[str, int]:
        return {"bridge": self.front, "acme": self.acme, "globex": self.globex}


@contextmanager
def running_site(
    home: Path,
    ports: Ports,
    settings: Mapping[str, str] | None = None,
    origins: tuple[str, ...] = (),
    certificate: Path | None = None,
) -> Iterator[Site]:
    """Serve a bridge for a sandbox that runs. `origins` are those of further pages; an empty setting is not set."""
    tenants = (_tenant(ports.acme, certificate), _tenant(ports.globex, certificate))
    environment = _environment(home, ports, certificate, settings or {})
    with ExitStack() as running:
        patch = running.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sys.modules[apply_states.__module__], "_origin", lambda port: _origin(port, certificate))
        if certificate:
            patch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
        operator = _declare(home, ports, tenants, environment, origins)
        running.enter_context(running_bridge(ports.bridge, environment, home / "output"))
        front = Front(ports.front, ports.bridge)
        running.enter_context(served(front, ports.front))
        seed = tenants[0].state()
        yield Site(ports.origin, *tenants, front=front, operator=operator, seed=seed, settings=environment)


def _declare(
    home: Path, ports: Ports, tenants: tuple[Tenant, Tenant], environment: Mapping[str, str], origins: tuple[str, ...]
) -> str:
    """Register the tenants as the demo does, and return an operator's token."""
    bridge = build(read_settings(environment))
    states = dict(zip(("acme", "globex"), (tenant.state() for tenant in tenants), strict=True))
    apply_states(bridge, home, ports.named(), states)
    for slug, tenant in zip(states, tenants, strict=True):
        script = f"{tenant.origin}/npm/@qlik/embed-web-components@1/dist/index.min.js"
        change_tenant(
            bridge,
            slug,
            embed_script=script,
            allowed_origins=(ports.origin, *origins),
            admits=tuple(bridge.settings.identity),
        )
    token = bridge.operators.new_token("browser", actor="test")
    bridge.close()
    return token


def _environment(home: Path, ports: Ports, certificate: Path | None, settings: Mapping[str, str]) -> dict[str, str]:
    trusting = {"PYTHONPATH": str(_trust_store(home, certificate))} if certificate else {}
    people = {"BRIDGE_DEMO_PEOPLE": _origin(ports.acme, certificate), "BRIDGE_LOG_LEVEL": "info"}
    whole = {**demo_environment(home, ports.named()), **trusting, **people, **settings}
    return {name: value for name, value in whole.items() if value}


def _trust_store(home: Path, certificate: Path) -> Path:
    """Put the certificate where a machine's trusted ones are: the bridge trusts those, and takes no word for others."""
    place = home / "trust"
    place.mkdir()
    (place / "sitecustomize.py").write_text(f"import certifi\ncertifi.where = lambda: {str(certificate)!r}\n")
    return place


def _origin(port: int, certificate: Path | None) -> str:
    return f"{'https' if certificate else 'http'}://{LOOPBACK}:{port}"


def _tenant(port: int, certificate: Path | None) -> Tenant:
    return Tenant(_origin(port, certificate), str(certificate) if certificate else True)


@contextmanager
def running_tls_sandbox(home: Path, ports: Ports) -> Iterator[Path]:
    """Serve the tenants by https, and yield the file of the certificate that the process made for itself."""
    with running_sandbox(ports.acme, ports.globex, ports.origin, tls=True):
        certificate = home / "certificate.pem"
        certificate.write_text(ssl.get_server_certificate((LOOPBACK, ports.acme)))
        yield certificate
