"""The bridge as deploy/ runs it, between a portal that vouches for people and a sandbox tenant."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from serverkit import Installation
from storykit import PORTAL_ISSUER, Tenant, change_tenant, portal_keys

from bridge.bootstrap import build
from bridge.cli.demo import apply_states
from bridge.model import Stage
from bridge.services.stages import Move
from bridge.settings import read_settings


@pytest.fixture(scope="module")
def install(
    sandbox: tuple[Tenant, Tenant], ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Installation]]:
    """Sets a bridge up the way an operator does: settings, keys, tenants; acme is in stage `oauth`."""
    with ExitStack() as started:

        def make(database_url: str = "") -> Installation:
            for tenant in sandbox:
                tenant.control("POST", "reset")
            home = tmp_path_factory.mktemp("installation")
            key, jwks = portal_keys()
            (home / "jwks.json").write_text(jwks)
            environment = _environment(home, database_url or f"sqlite:///{home}/bridge.db")
            bridge = build(read_settings(environment))
            states = {slug: each.state() for slug, each in zip(("acme", "globex"), sandbox, strict=True)}
            apply_states(bridge, home, ports, states)
            change_tenant(bridge, admits=(PORTAL_ISSUER,))
            for stage in (Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH):
                bridge.stages.move("acme", Move(stage, "test", "story", 100))
            bridge.close()
            sandbox[0].forget_calls()
            return Installation(home, environment, sandbox[0], key, started)

        yield make


def _environment(home: Path, database_url: str) -> dict[str, str]:
    return {
        "BRIDGE_SECRET_KEY": secrets.token_urlsafe(48),
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": "https://bridge.example.com",
        "BRIDGE_DATABASE_URL": database_url,
        "BRIDGE_KEYS_DIR": str(home / "keys"),
        "BRIDGE_IDENTITY": "assertion",
        "BRIDGE_PRIVATE_NETWORKS": "127.0.0.0/8",  # here the sandbox is
        "BRIDGE_ASSERTION_ISSUER": PORTAL_ISSUER,
        "BRIDGE_ASSERTION_JWKS": str(home / "jwks.json"),
    }
