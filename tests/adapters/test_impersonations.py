"""A token and the record of its impersonation are written together, in SQLite and PostgreSQL."""

from dataclasses import replace

import pytest
import structlog
from fakes import FakeClock
from stores import sql_stores

from bridge.adapters.sql import Database, SqlImpersonations, SqlTokens
from bridge.adapters.sql.impersonations import KEPT_S
from bridge.adapters.vault import Vault
from bridge.model import IssuedToken, Subject, SubjectRecord, TokenKey
from bridge.trail import Impersonation

KEY = TokenKey("acme", "client", "alice", "user_default", "r1")
ALICE = Subject("alice", "Alice", "", frozenset())


@pytest.fixture
def token(clock: FakeClock) -> IssuedToken:
    return IssuedToken(KEY, "id-1", "secret-value-1", "user_default", clock(), clock() + 21_600)


def test_each_minted_token_is_noted_with_user_and_request(
    database: Database, vault: Vault, clock: FakeClock, token: IssuedToken
) -> None:
    stores = sql_stores(database, vault, clock)
    stores.subjects.note("acme", ALICE, 1)
    stores.subjects.record_sync(SubjectRecord("acme", ALICE, 1, "u-1", ALICE.fingerprint(), synced_at=1))
    with structlog.contextvars.bound_contextvars(request_id="req-7"):
        stores.tokens.put(token)
    stores.tokens.put(replace(token, token_id="id-2", issued_at=clock() + 5))
    stores.tokens.put(replace(token, token_id="id-3", key=replace(KEY, tenant="globex")))

    noted = SqlImpersonations(database)
    assert noted.since("acme", 0) == [
        Impersonation("id-1", clock(), "acme", "alice", "u-1", "client", "req-7"),
        Impersonation("id-2", clock() + 5, "acme", "alice", "u-1", "client", ""),
    ]
    assert [each.token_id for each in noted.since("acme", clock() + 1)] == ["id-2"]
    assert [each.user_id for each in noted.since("globex", 0)] == [""]


def test_the_record_outlives_the_token_and_is_written_once(
    database: Database, vault: Vault, clock: FakeClock, token: IssuedToken
) -> None:
    tokens = SqlTokens(database, vault, clock)
    tokens.put(token)
    tokens.put(token)
    tokens.drop(token)

    assert len(SqlImpersonations(database).since("acme", 0)) == 1


def test_records_end_after_ninety_days(database: Database, vault: Vault, clock: FakeClock, token: IssuedToken) -> None:
    SqlTokens(database, vault, clock).put(token)
    clock.advance(KEPT_S + 1)
    SqlTokens(database, vault, clock).put(replace(token, token_id="id-2", issued_at=clock()))

    assert [each.token_id for each in SqlImpersonations(database).since("acme", 0)] == ["id-2"]
