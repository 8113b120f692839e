"""What a copy of the database, or a backup of it, gives to whoever has it."""

from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from pydantic import SecretStr
from samples import tenant

from bridge.adapters.vault import Vault
from bridge.bootstrap import build
from bridge.bootstrap.stores import open_stores
from bridge.budgeting import Account, Lane, Lease, Spent
from bridge.model import AuditEvent, Identity, IssuedToken, OAuthClient, Rollout, Stage, Subject, TokenKey
from bridge.ports.renewals import Seen
from bridge.settings import Settings, read_settings
from bridge.telemetry import Metrics


def settings(place: Path, **changed: str) -> Settings:
    required = {
        "BRIDGE_SECRET_KEY": "the-secret-key-of-this-bridge-0123456789",
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": "https://bridge.example.com",
        "BRIDGE_DATABASE_URL": f"sqlite:///{place / 'bridge.db'}",
    }
    return read_settings(required | changed)


def test_it_holds_nothing_that_opens_a_door(tmp_path: Path) -> None:
    given = settings(tmp_path)
    stores = open_stores(given, lambda: 1_800_000_000, Metrics())
    bridge = build(given)
    hook: dict[str, Any] = {"url": "https://hooks.example.com/", "secret": "webhook-s3cret-0123456789"}
    client = OAuthClient(id="client", secret=SecretStr("issuing-s3cret-0123456789"))
    acme = tenant(notify=hook).model_copy(update={"issuing_client": client})
    made = AuditEvent(0, "test", "tenant.create", "acme", "", None, None)
    stores.tenants.save(acme, starting_at=Rollout(Stage.LEGACY), event=made)
    key = TokenKey("acme", "client", "ada", "user_default", "revision")
    stores.tokens.put(IssuedToken(key, "id", "t0k3n-of-qlik-0123456789", "user_default", 1_800_000_000, 1_900_000_000))
    person = Identity(Subject("ada", "Ada", "ada@example.com", frozenset()), "assertion", "issuer", 0)
    session, operator = bridge.sessions.open(person), bridge.operators.new_token("ci", actor="test")
    bridge.ledger.claim("issuer", "jti-of-an-assertion", 1_900_000_000, now=0)
    under_way = Lease("acme", "grace", "worker-1", 1_800_000_000, 1_800_000_015)
    calls = Spent(Lane.PAGE_OPEN, 1_800_000_000, 2)
    assert stores.budget.claim(Account("acme", "client"), lambda *_: calls, since=0, lease=under_way)
    stores.renewals.add(Seen({("acme", "ada"): 1_800_000_000}))
    bridge.close()
    stores.database.close()

    held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    doors = [session, operator, "t0k3n-of-qlik", "issuing-s3cret", "webhook-s3cret", "jti-of-an-assertion"]
    keys = [given.secret_key.get_secret_value(), given.encryption_keys[0].get_secret_value()]
    assert [door for door in [*doors, *keys] if door.encode() in held] == []
    assert b"ada@example.com" in held  # whom it knows is no secret to the thief
    assert b"grace" in held  # nor for whom a worker mints just now


def test_a_key_that_was_taken_out_opens_nothing_that_is_stored_after_that(tmp_path: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    before = open_stores(settings(tmp_path, BRIDGE_ENCRYPTION_KEYS=old), lambda: 1_800_000_000, Metrics())
    client = OAuthClient(id="client", secret=SecretStr("issuing-s3cret-0123456789"))
    acme = tenant().model_copy(update={"issuing_client": client})
    made = AuditEvent(0, "test", "tenant.create", "acme", "", None, None)
    before.tenants.save(acme, starting_at=Rollout(Stage.LEGACY), event=made)
    key = TokenKey("acme", "client", "ada", "user_default", "revision")
    before.tokens.put(IssuedToken(key, "id", "t0k3n-of-qlik-0123456789", "user_default", 1_800_000_000, 1_900_000_000))
    before.database.close()
    thief = Vault([old])

    bridge = build(settings(tmp_path, BRIDGE_ENCRYPTION_KEYS=f"{new},{old}"))
    stored = bridge.resealing.store
    assert [thief.place(each.sealed) for batch in stored.batches() for each in batch] == [0, 0]
    bridge.resealing.run(actor="test", reason="", step=lambda _: None)
    opened = [thief.place(each.sealed) for batch in stored.batches() for each in batch]
    bridge.close()

    assert opened == [None, None]
