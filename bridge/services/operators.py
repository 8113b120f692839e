"""Who may operate the bridge: people by the groups that the settings name, and machines with an operator token."""

import secrets
from collections.abc import Mapping, Sequence

from bridge.errors import BadRequest, NotSignedIn
from bridge.model import AuditEvent, Identity
from bridge.ports import AuditLog, Clock, OperatorTokens
from bridge.roles import TOKEN_NAME, Grant, OperatorToken, Role, narrowed
from bridge.services.sessions import digest

PREFIX = "qbo_"
EVERYTHING = Grant(Role.ADMIN)
BAD_NAME = (
    "Name an operator token by 1 to 64 letters, digits, dots, dashes and underscores; begin with a letter or digit."
)


class Operators:
    """Tell operators from everybody else. *grants* are what each `source:group` may do.

    Methods that look tokens up may raise StoreError.
    """

    def __init__(
        self, grants: Mapping[str, frozenset[Grant]], tokens: OperatorTokens, audit: AuditLog, clock: Clock
    ) -> None:
        self._grants = grants
        self._tokens = tokens
        self._audit = audit
        self._clock = clock

    def grants_of(self, identity: Identity) -> frozenset[Grant]:
        """Return what this person may do, by their `source:group`; nothing for anybody who is no operator."""
        granted = (self._grants.get(group, frozenset()) for group in identity.qualified_groups())
        return narrowed(frozenset().union(*granted), identity.tenant)

    def include(self, identity: Identity) -> bool:
        """Tell whether this person may see the console at all."""
        return bool(self.grants_of(identity))

    def new_token(
        self, name: str, *, actor: str, grant: Grant = EVERYTHING, reason: str = "", request_id: str = ""
    ) -> str:
        """Return a new bearer value; it is shown once and stored hashed. Raises BadRequest for a wrong name."""
        if not TOKEN_NAME.fullmatch(name):
            raise BadRequest(BAD_NAME)
        value = PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        after = {"name": name, "role": grant.role.value, "tenant": grant.tenant}
        if not self._tokens.add(OperatorToken(name, grant, now), digest(value)):
            raise BadRequest("There is an operator token of this name. Revoke it first, or choose another name.")
        self._audit.append(
            AuditEvent(now, actor, "operator_token.create", grant.tenant, reason, None, after, request_id)
        )
        return value

    def tokens(self) -> Sequence[OperatorToken]:
        """Return every token, the oldest first."""
        return self._tokens.all()

    def revoke(self, name: str, *, actor: str, reason: str = "", request_id: str = "") -> None:
        """End every token of this name. Raises BadRequest when there is none."""
        if not self._tokens.remove(name):
            raise BadRequest(f"There is no operator token named {name}. See `qlik-bridge operators token list`.")
        before = {"name": name}
        self._audit.append(
            AuditEvent(self._clock(), actor, "operator_token.revoke", None, reason, before, None, request_id)
        )

    def token(self, value: str) -> OperatorToken:
        """Return what is known of the token that somebody sent. Raises NotSignedIn for any other value."""
        found = self._tokens.find(digest(value)) if value.startswith(PREFIX) else None
        if found is None:
            raise NotSignedIn("The operator token is not known. Make one with `qlik-bridge operators token new`.")
        return found
