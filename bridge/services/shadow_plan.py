"""The dry run before stage `shadow`: whom and what the first logins would create in the tenant. It changes nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.licences import Licences
from bridge.model import Identity, Tenant
from bridge.ports import Qlik
from bridge.ports.watching import Directory

IDP = "idp"
ACTIVE = "active"


@dataclass(slots=True)
class ShadowPlan:
    """What is there, and what would come; each list in the order of the people."""

    known_users: int = 0
    new_users: list[str] = field(default_factory=list)
    inactive_users: list[str] = field(default_factory=list)
    new_groups: list[str] = field(default_factory=list)
    other_groups: list[str] = field(default_factory=list)
    creates_groups: bool = False
    licences: Licences = field(default_factory=Licences)

    def document(self) -> dict[str, Any]:
        return {
            "known_users": self.known_users,
            "new_users": self.new_users,
            "inactive_users": self.inactive_users,
            "new_groups": self.new_groups,
            "groups_that_are_not_idp": self.other_groups,
            "tenant_creates_groups": self.creates_groups,
            "licences": self.licences.document(),
        }

    def sentences(self) -> list[str]:
        """Return what follows from the numbers, for the person who decides."""
        return [
            *self._about_users(),
            *self._about_groups(),
            *self.licences.sentences(len(self.new_users)),
        ]

    def _about_users(self) -> list[str]:
        found = [f"{len(self.new_users)} users would be created, {self.known_users} are there."]
        if self.inactive_users:
            found.append(f"{len(self.inactive_users)} users are not active: they get no token.")
        return found

    def _about_groups(self) -> list[str]:
        found = [f"{len(self.new_groups)} groups would be created."]
        if self.new_groups and not self.creates_groups:
            found = [f"{len(self.new_groups)} groups are missing, and the tenant does not create groups: switch it on."]
        if self.other_groups:
            found.append(f"{len(self.other_groups)} groups are there, but not as idp groups: a login cannot fill them.")
        return found


class ShadowPlans:
    """Asks the tenant by its management client, one call for each person and each group (Qlik: Tier 1)."""

    def __init__(self, directory: Directory, qlik: Qlik) -> None:
        self._directory = directory
        self._qlik = qlik

    def plan(self, tenant: Tenant, people: Sequence[Identity], rest: Callable[[], object] = lambda: None) -> ShadowPlan:
        """Return the plan for *people*; *rest* is called after each answer. Raises a TenantError."""
        plan = ShadowPlan(creates_groups=self._qlik.auto_creates_groups(tenant))
        for person in people:
            self._add_user(plan, tenant, person.subject.sub)
            rest()
        for name in sorted(set().union(*(person.subject.groups for person in people))):
            self._add_group(plan, tenant, name)
            rest()
        plan.licences = self._directory.licences(tenant)
        return plan

    def _add_user(self, plan: ShadowPlan, tenant: Tenant, sub: str) -> None:
        status = self._directory.user_status(tenant, sub)
        if status is None:
            plan.new_users.append(sub)
            return
        plan.known_users += 1
        if status != ACTIVE:
            plan.inactive_users.append(sub)

    def _add_group(self, plan: ShadowPlan, tenant: Tenant, name: str) -> None:
        kind = self._directory.group_kind(tenant, name)
        if kind is None:
            plan.new_groups.append(name)
        elif kind != IDP:
            plan.other_groups.append(name)
