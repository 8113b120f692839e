"""Operators: people in the admin groups, and machines with an operator token."""

from dataclasses import dataclass

from bridge.errors import NotAllowed
from bridge.services import operators
from bridge.web import csrf, current, identity


@dataclass(frozen=True, slots=True)
class Operator:
    """Who moves stages. `actor` goes into the audit; a person who was vouched for at one tenant stays there."""

    actor: str
    tenant: str | None = None
    caller: identity.Caller | None = None

    def check_csrf(self) -> None:
        if self.caller:
            self.caller.check_csrf()

    def csrf_token(self) -> str:
        return csrf.token(self.caller.anchor) if self.caller else ""

    def may_see(self, slug: str) -> bool:
        return self.tenant in {None, slug}

    def check(self, slug: str) -> None:
        if not self.may_see(slug):
            raise NotAllowed("You are signed in for another tenant. Sign in for this one, or use an operator token.")


def operator() -> Operator:
    """Return the operator who asks. Raises NotSignedIn, or NotAllowed for anybody else."""
    value = identity.bearer()
    if value is not None and value.startswith(operators.PREFIX):
        return Operator(f"token:{current.bridge().operators.name_of(value)}")
    caller = identity.caller()
    person = caller.identity
    if not current.bridge().operators.include(person):
        raise NotAllowed("You are signed in, but you are no operator. Ask one to do this for you.")
    return Operator(f"{person.source}:{person.subject.sub}", person.tenant, caller)
