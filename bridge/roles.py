"""Who may do what at which tenants. Frozen, no I/O."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

TOKEN_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
"""Names of operator tokens: they stand in addresses, and as actors in the audit."""


class Role(StrEnum):
    """What an operator may do; each role includes those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        return list(Role).index(self) >= list(Role).index(needed)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, at one tenant or (None) at all of them and for what belongs to none."""

    role: Role
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """A machine's bearer as the store knows it: never its value. `created_at` in unix seconds."""

    name: str
    grant: Grant
    created_at: float


def narrowed(grants: Iterable[Grant], tenant: str | None) -> frozenset[Grant]:
    """Return what is left of *grants* for somebody who was vouched for at one tenant alone (None: all is left)."""
    if tenant is None:
        return frozenset(grants)
    return frozenset(replace(each, tenant=tenant) for each in grants if each.tenant in {None, tenant})
