"""Who may move stages: people in the admin groups, and machines with an operator token."""

import secrets
from collections.abc import Mapping, Sequence

from bridge.errors import BadRequest, NotSignedIn
from bridge.model import AuditEvent, Identity
from bridge.ports import AuditLog, Clock, OperatorTokens
from bridge.services.sessions import digest

PREFIX = "qbo_"


class Operators:
    """Tell operators from everybody else. Methods that look things up may raise StoreError."""

    def __init__(self, groups: Sequence[str], tokens: OperatorTokens, audit: AuditLog, clock: Clock) -> None:
        self._groups = frozenset(groups)
        self._tokens = tokens
        self._audit = audit
        self._clock = clock

    def include(self, identity: Identity) -> bool:
        """Tell whether this person is an operator: one of their `source:group` is named in BRIDGE_ADMIN_GROUPS."""
        return bool(self._groups & identity.qualified_groups())

    def new_token(self, name: str, *, actor: str) -> str:
        """Return a new bearer value; it is shown once and stored hashed."""
        value = PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        self._tokens.add(name, digest(value), now)
        self._audit.append(AuditEvent(now, actor, "operator_token.create", None, "", None, {"name": name}))
        return value

    def names(self) -> Mapping[str, float]:
        """Return the names of the tokens, each with the time when it was made last (unix seconds)."""
        return self._tokens.names()

    def revoke(self, name: str, *, actor: str) -> None:
        """End every token of this name. Raises BadRequest when there is none."""
        if not self._tokens.remove(name):
            raise BadRequest(f"There is no operator token named {name}. See `qlik-bridge operators token list`.")
        self._audit.append(AuditEvent(self._clock(), actor, "operator_token.revoke", None, "", {"name": name}, None))

    def name_of(self, value: str) -> str:
        """Return the name under which a token was made. Raises NotSignedIn for any other value."""
        name = self._tokens.name_of(digest(value)) if value.startswith(PREFIX) else None
        if name is None:
            raise NotSignedIn("The operator token is not known. Make one with `qlik-bridge operators token new`.")
        return name
