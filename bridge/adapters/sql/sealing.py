"""Everything that is stored sealed, in SQL, for a change of the encryption key."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, Connection, Table, delete, func, select, update

from bridge.adapters.sql.database import Database
from bridge.adapters.sql.tables import TENANTS, TOKENS
from bridge.adapters.vault import Vault
from bridge.sealing import Holding, SealedValue

BATCH = 200
"""Few enough that no worker waits for a batch to be written."""


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Where values of one kind lie."""

    holding: Holding
    table: Table
    row: Column[str]
    name: Column[str]
    sealed: Column[bytes]


TOKENS_FIRST = (
    _Shelf(Holding.TOKEN, TOKENS, TOKENS.c.slot, TOKENS.c.token_id, TOKENS.c.sealed),
    _Shelf(Holding.SECRETS, TENANTS, TENANTS.c.slug, TENANTS.c.slug, TENANTS.c.secrets),
)
SHELVES = {shelf.holding: shelf for shelf in TOKENS_FIRST}


class SqlSealedValues:
    """Implements ports.sealing.SealedValues."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    @property
    def keys(self) -> int:
        return self._vault.keys

    def count(self) -> int:
        with self._database.reading() as connection:
            counts = [select(func.count()).select_from(shelf.table) for shelf in TOKENS_FIRST]
            return sum(connection.execute(each).scalar_one() for each in counts)

    def batches(self) -> Iterator[Sequence[SealedValue]]:
        for shelf in TOKENS_FIRST:
            last = ""
            while batch := self._batch(shelf, last):
                yield batch
                last = batch[-1].row

    def reseal(self, values: Sequence[SealedValue]) -> int:
        pairs = [(value, anew) for value in values if (anew := self._vault.reseal(value.sealed)) is not None]
        with self._database.writing() as connection:
            free = _free(connection, values)
            return sum(_replaced(connection, value, anew) for value, anew in pairs if _named(value) in free)

    def drop(self, values: Sequence[SealedValue]) -> int:
        tokens = [value for value in values if value.holding is Holding.TOKEN]
        if not tokens:
            return 0
        with self._database.writing() as connection:
            free = _free(connection, tokens)
            return sum(
                connection.execute(delete(TOKENS).where(_as_read(each))).rowcount
                for each in tokens
                if _named(each) in free
            )

    def _batch(self, shelf: _Shelf, last: str) -> Sequence[SealedValue]:
        query = select(shelf.row, shelf.name, shelf.sealed).where(shelf.row > last).order_by(shelf.row).limit(BATCH)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        place = self._vault.place
        return [SealedValue(shelf.holding, row, name, sealed, place(sealed)) for row, name, sealed in rows]


def _named(value: SealedValue) -> tuple[Holding, str]:
    return value.holding, value.row


def _free(connection: Connection, values: Sequence[SealedValue]) -> set[tuple[Holding, str]]:
    """Lock the rows that nobody else is changing: who waits for one and holds others may wait for each other."""
    found: set[tuple[Holding, str]] = set()
    for shelf in TOKENS_FIRST:
        rows = [value.row for value in values if value.holding is shelf.holding]
        if rows:
            query = select(shelf.row).where(shelf.row.in_(rows)).with_for_update(skip_locked=True)
            found |= {(shelf.holding, row) for row in connection.execute(query).scalars()}
    return found


def _replaced(connection: Connection, value: SealedValue, anew: bytes) -> int:
    shelf = SHELVES[value.holding]
    return connection.execute(update(shelf.table).where(_as_read(value)).values({shelf.sealed: anew})).rowcount


def _as_read(value: SealedValue) -> ColumnElement[bool]:
    """Return the condition that the value is the one that was read: no two seals of one text are alike."""
    shelf = SHELVES[value.holding]
    return (shelf.row == value.row) & (shelf.sealed == value.sealed)
