"""Who operates: people by their groups, and machines with an operator token. And what each may do where."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import NotAllowed
from bridge.plan import Kill
from bridge.roles import Grant, Role
from bridge.services import operators
from bridge.web import csrf, current, identity
from bridge.web.proxies import client_address


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks. `actor` goes into the audit, `grants` say what they may do at which tenants."""

    actor: str
    grants: frozenset[Grant] = field(default_factory=frozenset)
    caller: identity.Caller | None = None

    def check_csrf(self) -> None:
        if self.caller:
            self.caller.check_csrf()

    def csrf_token(self) -> str:
        return csrf.token(self.caller.anchor) if self.caller else ""

    def role_at(self, slug: str | None) -> Role | None:
        """Return the strongest role at a tenant (None: at what belongs to no tenant)."""
        return max(self._roles_at(slug), key=list(Role).index, default=None)

    def _roles_at(self, slug: str | None) -> Iterator[Role]:
        return (grant.role for grant in self.grants if grant.tenant in {None, slug})

    def may(self, needed: Role, slug: str | None = None) -> bool:
        role = self.role_at(slug)
        return role is not None and role.covers(needed)

    def may_see(self, slug: str | None) -> bool:
        return self.may(Role.VIEWER, slug)

    def shown(self, kill: Kill | None) -> dict[str, Any] | None:
        """Return a kill switch as they may see it: who switched all tenants off, and why, is for operators of all."""
        if kill is None:
            return None
        hidden = {} if not kill.everywhere or self.may_see(None) else {"actor": None, "reason": None}
        return kill.document() | hidden

    def tenants(self) -> frozenset[str] | None:
        """Return the slugs of the tenants that they may see; None means all of them."""
        named = {grant.tenant for grant in self.grants}
        return None if None in named else frozenset(name for name in named if name)

    def check(self, slug: str | None, needed: Role = Role.VIEWER) -> None:
        """Raise NotAllowed unless they have the role at this tenant (None: everywhere)."""
        role = self.role_at(slug)
        if role is None:
            where = "for another tenant" if slug else "for single tenants alone"
            raise NotAllowed(f"You are an operator {where}. Ask an admin of the bridge to do this for you.")
        if not role.covers(needed):
            raise NotAllowed(f"Your role is {role}, and this needs {needed}. Ask somebody who has it.")


def operator() -> Operator:
    """Return the operator who asks. Raises NotSignedIn, TooMany, or NotAllowed for anybody else."""
    value = identity.bearer()
    if value is not None and value.startswith(operators.PREFIX):
        with current.allowances().for_proof(client_address(current.bridge().settings)):
            token = current.bridge().operators.token(value)
        return Operator(f"token:{token.name}", frozenset({token.grant}))
    caller = identity.caller()
    person = caller.identity
    grants = current.bridge().operators.grants_of(person)
    if not grants:
        raise NotAllowed("You are signed in, but you are no operator. Ask one to do this for you.")
    return Operator(f"{person.source}:{person.subject.sub}", grants, caller)


def reader(slug: str | None = None, needed: Role = Role.VIEWER) -> Operator:
    """Return who reads. Raises NotSignedIn, NotAllowed."""
    who = operator()
    who.check(slug, needed)
    return who


def changer(slug: str | None = None, needed: Role = Role.OPERATOR) -> Operator:
    """Return who changes something. Raises NotSignedIn, NotAllowed, BadCsrf."""
    who = operator()
    who.check_csrf()
    who.check(slug, needed)
    return who
