"""The contract of ports.sealing.SealedValues, over every implementation."""

import threading
from collections.abc import Callable
from dataclasses import replace
from secrets import token_hex
from typing import Protocol

import pytest
from cryptography.fernet import Fernet
from fakes import FakeAudit, FakeClock, FakeSealedValues

from bridge.adapters.sql import Database, SqlSealedValues, SqlTenants, SqlTokens
from bridge.adapters.sql import sealing as sql_sealing
from bridge.adapters.vault import Vault
from bridge.model import AuditEvent, IssuedToken, Rollout, Tenant, TokenKey
from bridge.ports.sealing import SealedValues
from bridge.sealing import Census, Holding, SealedValue
from bridge.services.sealing import Resealing

NEW, OLD, LOST = (Fernet.generate_key().decode() for _ in range(3))
KEY = TokenKey("acme", "client", "alice", "user_default", "r1")


class Shelves(Protocol):
    """A store, and how values get into it that one of the keys sealed."""

    @property
    def values(self) -> SealedValues: ...

    def put_token(self, sub: str, key: str) -> None: ...

    def put_secrets(self, slug: str, key: str) -> None: ...


class FakeShelves:
    def __init__(self) -> None:
        self.values = FakeSealedValues()

    def put_token(self, sub: str, key: str) -> None:
        self._put(Holding.TOKEN, sub, f"id-{sub}", key)

    def put_secrets(self, slug: str, key: str) -> None:
        self._put(Holding.SECRETS, slug, slug, key)

    def _put(self, holding: Holding, row: str, name: str, key: str) -> None:
        old = self.values.values.get((holding, row))
        sealed = (old.sealed if old else b"") + key.encode()
        place = {NEW: 0, OLD: 1}.get(key)
        self.values.values[holding, row] = SealedValue(holding, row, name, sealed, place)


class SqlShelves:
    def __init__(self, database: Database, clock: FakeClock, acme: Tenant, event: AuditEvent) -> None:
        self.values = SqlSealedValues(database, Vault([NEW, OLD]))
        self.database, self.clock, self.acme, self.event = database, clock, acme, event

    def put_token(self, sub: str, key: str) -> None:
        self.tokens(key).put(self.token(sub))

    def put_secrets(self, slug: str, key: str) -> None:
        tenant = self.acme.model_copy(update={"slug": slug})
        SqlTenants(self.database, Vault([key])).save(tenant, starting_at=Rollout(), event=self.event)

    def tokens(self, *keys: str) -> SqlTokens:
        return SqlTokens(self.database, Vault(keys), self.clock)

    def token(self, sub: str) -> IssuedToken:
        end = self.clock() + 21_600
        return IssuedToken(replace(KEY, sub=sub), f"id-{sub}", f"value-{sub}", "user_default", self.clock(), end)


@pytest.fixture
def sql(database: Database, clock: FakeClock, acme: Tenant, event: AuditEvent) -> SqlShelves:
    return SqlShelves(database, clock, acme, event)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def shelves(
    request: pytest.FixtureRequest, clock: FakeClock, acme: Tenant, event: AuditEvent, monkeypatch: pytest.MonkeyPatch
) -> Shelves:
    monkeypatch.setattr(sql_sealing, "BATCH", 3)
    if request.param == "fake":
        return FakeShelves()
    return SqlShelves(request.getfixturevalue(f"{request.param}_database"), clock, acme, event)


def read(values: SealedValues) -> list[SealedValue]:
    return [value for batch in values.batches() for value in batch]


def census(values: SealedValues) -> Census:
    return Census.of(read(values), keys=values.keys)


def test_every_value_is_told_with_its_key_tokens_first(shelves: Shelves) -> None:
    shelves.put_secrets("globex", NEW)
    shelves.put_secrets("acme", OLD)
    for sub in "abcdefg":
        shelves.put_token(sub, LOST if sub == "d" else OLD)
    found = read(shelves.values)
    assert shelves.values.count() == len(found) == 9
    assert [value.holding for value in found] == [Holding.TOKEN] * 7 + [Holding.SECRETS] * 2
    assert {value.name: value.place for value in found} == {
        **{f"id-{sub}": 1 for sub in "abcefg"},
        "id-d": None,
        "acme": 1,
        "globex": 0,
    }
    assert census(shelves.values) == Census((1, 7), (), ("id-d",))
    assert "value-" not in repr(found)


def test_what_is_sealed_anew_has_the_first_key(shelves: Shelves) -> None:
    shelves.put_secrets("acme", OLD)
    for sub in "abcd":
        shelves.put_token(sub, OLD)
    assert shelves.values.reseal(read(shelves.values)) == 5
    assert census(shelves.values) == Census((5, 0))
    assert shelves.values.reseal([]) == 0


def test_what_no_key_opens_stays_as_it_is(shelves: Shelves) -> None:
    shelves.put_token("alice", LOST)
    shelves.put_secrets("acme", LOST)
    before = read(shelves.values)
    assert shelves.values.reseal(before) == 0
    assert read(shelves.values) == before


def test_what_changed_meanwhile_is_neither_overwritten_nor_dropped(shelves: Shelves) -> None:
    shelves.put_token("alice", OLD)
    shelves.put_secrets("acme", OLD)
    read_before = read(shelves.values)
    shelves.put_token("alice", NEW)
    shelves.put_secrets("acme", NEW)
    newer = read(shelves.values)
    assert shelves.values.reseal(read_before) == 0
    assert shelves.values.drop(read_before) == 0
    assert read(shelves.values) == newer


def test_tokens_are_dropped_and_secrets_never(shelves: Shelves) -> None:
    shelves.put_token("alice", LOST)
    shelves.put_token("bob", OLD)
    shelves.put_secrets("acme", LOST)
    found = {value.name: value for value in read(shelves.values)}
    assert shelves.values.drop([found["id-alice"], found["acme"]]) == 1
    assert [value.name for value in read(shelves.values)] == ["id-bob", "acme"]


def test_values_say_the_same_under_the_new_key_alone(sql: SqlShelves, acme: Tenant) -> None:
    sql.put_token("alice", OLD)
    sql.put_secrets("acme", OLD)
    revision = sql.database.revision()
    Resealing(sql.values, FakeAudit(), sql.clock).run(actor="cli:erin", reason="", step=lambda _: None)
    assert sql.tokens(NEW).get(sql.token("alice").key) == sql.token("alice")
    assert SqlTenants(sql.database, Vault([NEW])).get("acme").tenant == acme
    assert sql.database.revision() == revision, "nothing changed that a worker has a copy of"


def test_workers_that_write_all_the_while_lose_nothing(sql: SqlShelves) -> None:
    """Two workers put, read and revoke tokens, one with the old key in front, while everything is sealed anew."""
    people = [f"person-{number}" for number in range(40)]
    for sub in people:
        sql.put_token(sub, OLD)
    sql.put_secrets("acme", OLD)
    stop, lost = threading.Event(), list[str]()

    def work(keys: tuple[str, str], mine: list[str], doom: Callable[[SqlTokens], object]) -> None:
        tokens = sql.tokens(*keys)
        while not stop.is_set():
            for sub in mine:
                token = replace(sql.token(sub), token_id=token_hex(12))
                tokens.put(token)
                if tokens.get(token.key) != token:
                    lost.append(sub)
            doom(tokens)

    workers = [
        threading.Thread(target=work, args=((NEW, OLD), people[:10], lambda tokens: tokens.doom(sub="person-1"))),
        threading.Thread(target=work, args=((OLD, NEW), people[10:20], lambda tokens: tokens.doom(sub="person-11"))),
    ]
    for each in workers:
        each.start()
    resealing = Resealing(sql.values, FakeAudit(), sql.clock)
    try:
        resealed = [resealing.run(actor="cli:erin", reason="", step=lambda _: None) for _ in range(3)]
    finally:
        stop.set()
        for each in workers:
            each.join(30)
    assert lost == []
    assert all(done.dropped == 0 and not done.now.locked_tokens for done in resealed)
    last = resealing.run(actor="cli:erin", reason="", step=lambda _: None)
    assert last.now.old == 0
    tokens = sql.tokens(NEW)
    assert all(tokens.get(sql.token(sub).key) == sql.token(sub) for sub in people[20:])
