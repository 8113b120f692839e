"""The small tables: used assertions, operator tokens."""

import hashlib
import json
from collections.abc import Mapping

from sqlalchemy import delete, select

from bridge.adapters.sql.database import Database, upsert
from bridge.adapters.sql.sweep import Sweep
from bridge.adapters.sql.tables import ASSERTIONS, OPERATOR_TOKENS


class SqlAssertionLedger:
    """Implements ports.AssertionLedger. Ids are kept as digests: they are the portal's, and of any length."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sweep = Sweep(database, ASSERTIONS, ASSERTIONS.c.until)

    def claim(self, issuer: str, jti: str, until: float, *, now: float) -> bool:
        digest = hashlib.sha256(json.dumps([issuer, jti]).encode()).hexdigest()
        with self._database.writing() as connection:
            statement = upsert(connection, ASSERTIONS).values(digest=digest, until=until)
            again = statement.on_conflict_do_update(
                index_elements=[ASSERTIONS.c.digest], set_={"until": until}, where=ASSERTIONS.c.until < now
            )
            written = connection.execute(again.returning(ASSERTIONS.c.digest)).first()
        self._sweep.run(now)
        return written is not None


class SqlOperatorTokens:
    """Implements ports.OperatorTokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, token_hash: str, created_at: float) -> None:
        with self._database.writing() as connection:
            row = {"name": name, "token_hash": token_hash, "created_at": created_at}
            connection.execute(OPERATOR_TOKENS.insert().values(row))

    def name_of(self, token_hash: str) -> str | None:
        query = select(OPERATOR_TOKENS.c.name).where(OPERATOR_TOKENS.c.token_hash == token_hash)
        with self._database.reading() as connection:
            name: str | None = connection.execute(query).scalar_one_or_none()
        return name

    def names(self) -> Mapping[str, float]:
        query = select(OPERATOR_TOKENS.c.name, OPERATOR_TOKENS.c.created_at).order_by(OPERATOR_TOKENS.c.created_at)
        with self._database.reading() as connection:
            return {row.name: row.created_at for row in connection.execute(query)}

    def remove(self, name: str) -> bool:
        with self._database.writing() as connection:
            return bool(connection.execute(delete(OPERATOR_TOKENS).where(OPERATOR_TOKENS.c.name == name)).rowcount)
