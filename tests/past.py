"""What the bridge of each revision left in its tables: rows typical of their time, in the form of their time.

Whoever adds a migration adds to ROWS what it stores: tests/adapters/test_migrations.py misses each column that is not
here.
"""

import hashlib
import json
from typing import Any

from fakes import START
from sqlalchemy import Connection, inspect

from bridge.adapters.sql.tables import METADATA
from bridge.adapters.vault import Vault

SEALED = {
    "secrets": json.dumps({"issuing_client": "issuing-s3cret", "management_client": "management-s3cret"}),
    "sealed": "the-access-token",
}
BEARER = "qbs_of-bobs-page"
FINGERPRINT = hashlib.sha256(json.dumps(["bob", "Bob", "bob@example.com", ["Finance"]]).encode()).hexdigest()
HOUR = int(START // 3600 * 3600)

FIRST_DOCUMENT: dict[str, Any] = {
    "slug": "acme",
    "name": "Acme",
    "host": "https://acme.example.com",
    "portal_hosts": ["portal.example.com"],
    "allowed_origins": ["https://portal.example.com"],
    "admits": ["header"],
    "required_group": "Finance",
    "issuer": "portal",
    "key_id": "k1",
    "signing_key": "acme.pem",
    "sync_issuer": None,
    "sync_key_id": None,
    "sync_key": None,
    "web_integration_id": "web-1",
    "issuing_client": {"id": "issuing", "secret": "**********", "key": None, "key_id": None},
    "management_client": {"id": "management", "secret": "**********", "key": None, "key_id": None},
    "content": {"app_id": "app-1", "sheet_id": "", "object_id": ""},
    "embed_script": "https://cdn.jsdelivr.net/npm/@qlik/embed-web-components@1/dist/index.min.js",
    "group_strategy": "jwt",
    "sync_max_age_s": 3600,
    "scope": "user_default",
}
WITH_GUARDRAILS = FIRST_DOCUMENT | {"guardrails": {}, "notify": None}
WITH_QUIET_DAYS = WITH_GUARDRAILS | {"quiet_days": 14}
PARITY = {
    "probes": [],
    "ignores": [],
    "sample_percent": 0.0,
    "subjects_needed": 5,
    "fresh_for_s": 604800,
    "max_apps": 20,
}
WITH_PARITY = WITH_QUIET_DAYS | {"parity": PARITY}
RAMP = {"steps": [{"percent": 25, "hold_s": 3600}, {"percent": 100, "hold_s": 0}], "taken": 1, "since": START}
KILL = {"actor": "cli:erin", "reason": "too slow", "at": START, "everywhere": False}
USE = ["acme", "bob", "https://portal.example.com", "Firefox"]
CHECK = {"area": "groups", "item": "Finance", "verdict": "same", "expected": "Finance", "baseline": "", "oauth": ""}

ROWS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "0001",
        "tenants",
        {
            "slug": "acme",
            "document": FIRST_DOCUMENT,
            "secrets": b"",
            "stage": "rollout",
            "percentage": 25.0,
            "cohorts": {"subjects": ["bob"], "groups": ["Finance"]},
            "rollout_revision": 3,
        },
    ),
    (
        "0001",
        "subjects",
        {
            "tenant": "acme",
            "sub": "bob",
            "name": "Bob",
            "email": "bob@example.com",
            "groups": ["Finance"],
            "fingerprint": FINGERPRINT,
            "asserted_at": START - 60,
            "user_id": "id-of-bob",
            "synced_fingerprint": FINGERPRINT,
            "synced_groups": ["Finance"],
            "synced_at": START - 50,
            "browser_login_until": 0.0,
        },
    ),
    (
        "0001",
        "tokens",
        {
            "slot": "0c864773a932adb5aa73c75b995ccbc16c2813575b342883a7cb85cf7f438b4a",
            "doomed": False,
            "token_id": "id-of-the-token",
            "tenant": "acme",
            "client_id": "issuing",
            "sub": "bob",
            "key_scope": "user_default",
            "credential_revision": "e369cd90205d3a5d",
            "sealed": b"",
            "scope": "user_default",
            "issued_at": START - 40,
            "expires_at": START + 21_560,
        },
    ),
    (
        "0001",
        "sessions",
        {
            "id_hash": hashlib.sha256(BEARER.encode()).hexdigest(),
            "sub": "bob",
            "name": "Bob",
            "email": "bob@example.com",
            "groups": ["Finance"],
            "source": "header",
            "issuer": "",
            "asserted_at": START - 60,
            "tenant": None,
            "created_at": START - 60,
            "seen_at": START - 30,
        },
    ),
    (
        "0001",
        "assertions",
        {"digest": hashlib.sha256(json.dumps(["portal", "jti-1"]).encode()).hexdigest(), "until": START + 300},
    ),
    ("0001", "operator_tokens", {"token_hash": "hash-of-ci", "name": "ci", "created_at": START - 90}),
    (
        "0001",
        "audit",
        {
            "id": 1,
            "at": START - 100,
            "actor": "cli:erin",
            "action": "stage.move",
            "tenant": "acme",
            "reason": "the pilot group first",
            "before": {"stage": "shadow", "percent": 0, "cohorts": {"subjects": [], "groups": []}},
            "after": {"stage": "rollout", "percent": 25, "cohorts": {"subjects": ["bob"], "groups": ["Finance"]}},
            "request_id": "req-1",
        },
    ),
    ("0001", "revision", {"id": 1, "counter": 41}),
    ("0003", "tenants", {"document": WITH_GUARDRAILS}),
    (
        "0003",
        "measured_people",
        {"tenant": "acme", "measure": "asked", "person": "digest-of-bob", "seen_at": START - 20},
    ),
    ("0003", "measured_counts", {"tenant": "acme", "measure": "calls", "slot": int(START) - 20, "count": 5}),
    (
        "0003",
        "notices",
        {
            "id": "notice-1",
            "to": "tenant",
            "tenant": "acme",
            "body": "{}",
            "created_at": START - 10,
            "due_at": START - 5,
            "attempts": 2,
        },
    ),
    ("0004", "tenants", {"ramp": RAMP | {"pause": None}, "kill": KILL}),
    ("0004", "switches", {"name": "kill_all", "document": KILL | {"everywhere": True}}),
    (
        "0005",
        "decisions",
        {
            "tenant": "acme",
            "sub": "bob",
            "path": "oauth",
            "reason": "TARGETING_MATCH",
            "variant": "on",
            "provider": "flagd",
            "since": START - 70,
        },
    ),
    (
        "0006",
        "jwt_uses",
        {
            "digest": hashlib.sha256(json.dumps(USE).encode()).hexdigest(),
            **dict(zip(("tenant", "sub", "origin", "agent"), USE, strict=True)),
            "first_seen": START - 7200,
            "last_seen": START - 100,
            "hours": 3,
        },
    ),
    ("0006", "jwt_watch", {"id": 1, "since": START - 90_000}),
    ("0007", "tenants", {"document": WITH_QUIET_DAYS}),
    (
        "0007",
        "impersonations",
        {
            "token_id": "id-of-the-token",
            "at": START - 40,
            "tenant": "acme",
            "sub": "bob",
            "user_id": "id-of-bob",
            "client_id": "issuing",
            "request_id": "req-2",
        },
    ),
    ("0008", "tenants", {"revision": 7}),
    ("0008", "operator_tokens", {"role": "admin", "tenant": None}),
    ("0009", "tenants", {"document": WITH_PARITY}),
    (
        "0009",
        "parity_baselines",
        {
            "tenant": "acme",
            "sub": "bob",
            "fingerprint": FINGERPRINT,
            "salt_id": "salt-1",
            "taken_at": START - 400,
            "access": {"holder": {"user_id": "id-of-bob", "subject": "bob", "roles": {}, "groups": {}}},
        },
    ),
    (
        "0009",
        "parity_results",
        {
            "tenant": "acme",
            "sub": "bob",
            "run": START - 310,
            "compared_at": START - 300,
            "baseline_at": START - 400,
            "fingerprint": FINGERPRINT,
            "outcome": "proven",
            "checks": [CHECK],
        },
    ),
    ("0010", "notices", {"problem": "timeout"}),
    ("0011", "tenants", {"document": WITH_PARITY | {"own_flags": False}}),
    (
        "0011",
        "history",
        {"tenant": "acme", "slot_s": 3600, "name": "issued", "slot": HOUR, "count": 9, "last_at": START - 1},
    ),
    (
        "0011",
        "history_people",
        {"slot_s": 3600, "slot": HOUR, "tenant": "acme", "name": "oauth_people", "person": "digest-of-bob"},
    ),
    ("0011", "history_turn", {"id": 1, "turn": 77}),
    (
        "0013",
        "budget_calls",
        {"tenant": "acme", "client": "issuing", "lane": "page_open", "slot": START - 5, "calls": 4, "refused": 1},
    ),
    ("0013", "closed_tiers", {"tenant": "acme", "tier": 2, "until": START + 9}),
    ("0014", "parity_results", {"basis": "basis-1"}),
    (
        "0015",
        "leases",
        {
            "tenant": "acme",
            "sub": "bob",
            "holder": "worker-1",
            "begun": START - 1,
            "until": START + 14,
            "problem": "",
        },
    ),
    ("0016", "tokens", {"seen_at": START - 30, "renewing_until": 0.0}),
    ("0018", "changes", {"revision": 41, "sub": "bob"}),
]
MADE_BY_MIGRATIONS = {"revision", "jwt_watch"}
"""Tables whose one row is there from the beginning."""

Shelf = dict[str, list[dict[str, Any]]]
"""Rows by table."""


def rows_of(revision: str, vault: Vault) -> Shelf:
    """Return the rows of that revision by table."""
    found: dict[str, dict[str, Any]] = {}
    for since, table, columns in ROWS:
        if since <= revision:
            found.setdefault(table, {}).update(columns)
    for row in found.values():
        row.update({name: vault.seal(text) for name, text in SEALED.items() if name in row})
    return {table: [row] for table, row in found.items()}


def fill(connection: Connection, shelf: Shelf) -> None:
    for name, rows in shelf.items():
        table = METADATA.tables[name]
        if name in MADE_BY_MIGRATIONS:
            connection.execute(table.delete())
        for row in rows:
            connection.execute(table.insert().values(row))


def read(connection: Connection) -> Shelf:
    """Return all that is in the database, but for the name of its revision."""
    names = set(inspect(connection).get_table_names()) - {"alembic_version"}
    return {
        name: [dict(row) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"').mappings()]  # noqa: S608
        for name in names
    }


def narrowed(shelf: Shelf, pattern: Shelf) -> Shelf:
    """Return *shelf* with the tables and columns of *pattern* alone."""
    return {
        name: [{key: row[key] for key in rows[0] if key in row} for row in shelf.get(name, [])]
        for name, rows in pattern.items()
        if rows
    }
