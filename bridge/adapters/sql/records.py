"""The small tables: used assertions, operator tokens."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, exists, select

from bridge.adapters.sql.database import Database, upsert
from bridge.adapters.sql.sweep import Sweep
from bridge.adapters.sql.tables import ASSERTIONS, OPERATOR_TOKENS, REVISION
from bridge.roles import Grant, OperatorToken, Role


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

    def add(self, token: OperatorToken, token_hash: str) -> bool:
        facts = {"name": token.name, "created_at": token.created_at}
        granted = {"role": token.grant.role.value, "tenant": token.grant.tenant}
        with self._database.writing() as connection:
            connection.execute(select(REVISION.c.counter).with_for_update())  # one at a time, in PostgreSQL too
            is_taken = connection.execute(select(exists().where(OPERATOR_TOKENS.c.name == token.name))).scalar_one()
            if not is_taken:
                connection.execute(OPERATOR_TOKENS.insert().values(token_hash=token_hash, **facts, **granted))
        return not is_taken

    def find(self, token_hash: str) -> OperatorToken | None:
        query = select(OPERATOR_TOKENS).where(OPERATOR_TOKENS.c.token_hash == token_hash)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _operator_token(row)

    def all(self) -> Sequence[OperatorToken]:
        query = select(OPERATOR_TOKENS).order_by(OPERATOR_TOKENS.c.created_at, OPERATOR_TOKENS.c.name)
        with self._database.reading() as connection:
            return [_operator_token(row) for row in connection.execute(query)]

    def remove(self, name: str) -> bool:
        with self._database.writing() as connection:
            return bool(connection.execute(delete(OPERATOR_TOKENS).where(OPERATOR_TOKENS.c.name == name)).rowcount)


def _operator_token(row: Row[Any]) -> OperatorToken:
    return OperatorToken(row.name, Grant(Role(row.role), row.tenant), row.created_at)
