"""What a tenant tells about its licences. Frozen, no I/O."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Allotment:
    """How many licences of one kind a tenant has, and how many are taken."""

    name: str
    units: int
    used: int


@dataclass(frozen=True, slots=True)
class Licences:
    """What a tenant tells about its licences; None and an empty list: it told nothing."""

    analyzer_by_itself: bool | None = None
    professional_by_itself: bool | None = None
    allotments: tuple[Allotment, ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "assigned_by_itself": {"analyzer": self.analyzer_by_itself, "professional": self.professional_by_itself},
            "allotments": [{"name": each.name, "units": each.units, "used": each.used} for each in self.allotments],
        }

    def sentences(self, new_users: int) -> list[str]:
        """Say what *new_users* would take."""
        taken = [f"Licences {each.name}: {each.used} of {each.units} are taken." for each in self.allotments]
        kinds = {"analyzer": self.analyzer_by_itself, "professional": self.professional_by_itself}
        if None in kinds.values():
            return ["Whether new users take licences is not known: the tenant does not tell this client.", *taken]
        given = [kind for kind, by_itself in kinds.items() if by_itself]
        if not given:
            return ["New users take no licence by themselves: assign them, or they open no app.", *taken]
        return [f"{new_users} new users can each take a licence ({' or '.join(given)}) at first use.", *taken]
