"""Issued tokens in SQL, sealed. A doomed token stays until it was revoked at the tenant or has expired."""

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, bindparam, delete, select, true, update

from bridge.adapters.sql import leases
from bridge.adapters.sql.database import Database, Kept, Upsert, bump
from bridge.adapters.sql.impersonations import KEPT_S, note_impersonation
from bridge.adapters.sql.sharing import one_text
from bridge.adapters.sql.sweep import Sweep
from bridge.adapters.sql.tables import IMPERSONATIONS, TOKENS
from bridge.adapters.vault import Vault
from bridge.budgeting import Lease
from bridge.model import IssuedToken, TokenKey
from bridge.ports import Clock

log = structlog.get_logger()


def _replaced(rows: Upsert) -> Upsert:
    """Leave what the new token does not bring along as it was: when its person was seen, and who renews it."""
    brought = [column.name for column in TOKENS.columns if column.server_default is None]
    return rows.on_conflict_do_update(
        index_elements=[TOKENS.c.slot], set_={name: rows.excluded[name] for name in brought}
    )


FIND = select(TOKENS).where(TOKENS.c.slot == bindparam("of"), TOKENS.c.expires_at > bindparam("now"))
PUT = Kept(TOKENS, _replaced)


class SqlTokens:
    """Implements ports.TokenStore."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._sweep = Sweep(database, TOKENS, TOKENS.c.expires_at)
        self._impersonations = Sweep(database, IMPERSONATIONS, IMPERSONATIONS.c.at)

    def get(self, key: TokenKey) -> IssuedToken | None:
        with self._database.looking() as connection:
            row = connection.execute(FIND, {"of": key.digest(), "now": self._clock()}).one_or_none()
        token = None if row is None else self._token(row, key)
        if token and not token.value:
            log.warning("token_locked", tenant=key.tenant, token_id=token.token_id)  # the next one takes its place
            return None
        return token

    def put(self, token: IssuedToken, lease: Lease | None = None) -> bool:
        row = self._row(token)
        with self._database.writing() as connection:
            is_ours = lease is None or leases.hand_over(connection, lease)
            if not is_ours:
                row |= {"slot": token.token_id, "doomed": True}
            connection.execute(PUT.on(connection), row)
            note_impersonation(connection, token)
        self._sweep.run(self._clock())
        self._impersonations.run(self._clock() - KEPT_S)
        return is_ours

    def drop(self, token: IssuedToken) -> None:
        this = TOKENS.c.slot.in_([token.key.digest(), token.token_id]) & (TOKENS.c.token_id == token.token_id)
        with self._database.writing() as connection:
            if connection.execute(delete(TOKENS).where(this)).rowcount:
                bump(connection, token.key.sub)

    def doom(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        meant = self._meant(tenant, sub)
        with self._database.writing() as connection:
            leases.revoke(connection, tenant=tenant, sub=sub, now=self._clock())
            connection.execute(update(TOKENS).where(meant).values(doomed=True, slot=TOKENS.c.token_id))
            rows = connection.execute(select(TOKENS).where(meant, TOKENS.c.doomed)).all()
            bump(connection, sub)
        return [self._token(row) for row in rows]

    def still_doomed(self, *, tenant: str | None = None, sub: str | None = None) -> Sequence[IssuedToken]:
        with self._database.reading() as connection:
            rows = connection.execute(select(TOKENS).where(self._meant(tenant, sub), TOKENS.c.doomed)).all()
        return [self._token(row) for row in rows]

    def _meant(self, tenant: str | None, sub: str | None) -> ColumnElement[bool]:
        meant = TOKENS.c.expires_at > self._clock()
        meant &= true() if tenant is None else TOKENS.c.tenant == tenant
        return meant & (true() if sub is None else TOKENS.c.sub == sub)

    def _row(self, token: IssuedToken) -> dict[str, Any]:
        key = token.key
        return {
            "slot": key.digest(),
            "doomed": False,
            "token_id": token.token_id,
            "tenant": key.tenant,
            "client_id": key.client_id,
            "sub": key.sub,
            "key_scope": key.scope,
            "credential_revision": key.credential_revision,
            "sealed": self._vault.seal(token.value),
            "scope": token.scope,
            "issued_at": token.issued_at,
            "expires_at": token.expires_at,
        }

    def _token(self, row: Row[Any], key: TokenKey | None = None) -> IssuedToken:
        return IssuedToken(
            key=key or TokenKey(row.tenant, row.client_id, row.sub, row.key_scope, row.credential_revision),
            token_id=row.token_id,
            value=self._vault.open(row.sealed) or "",
            scope=one_text(row.scope),
            issued_at=row.issued_at,
            expires_at=row.expires_at,
        )
