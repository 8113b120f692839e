"""The nouns of decisions: which path a subject got, and by which rule. Frozen, no I/O. Words: docs/glossary.md."""

from dataclasses import dataclass
from typing import Any

from bridge.model import Path


@dataclass(frozen=True, slots=True)
class Decision:
    """The path of one subject, and why.

    `reason` and `variant` are OpenFeature's: the kind of rule that matched, and the name of its value. `provider` is
    the flag service that was asked, empty where nobody was: then the stage or a kill switch decided.
    """

    path: Path
    reason: str
    variant: str | None = None
    provider: str = ""

    def is_like(self, other: "Decision") -> bool:
        """Tell whether the same rule had the same outcome; the reason differs where a provider answers from a cache."""
        return (self.path, self.variant, self.provider) == (other.path, other.variant, other.provider)

    def document(self) -> dict[str, Any]:
        return {"path": self.path.value, "reason": self.reason, "variant": self.variant, "provider": self.provider}


@dataclass(frozen=True, slots=True)
class NotedDecision:
    """The newest decision that a subject got at a tenant, and since when it is like that (unix seconds)."""

    tenant: str
    sub: str
    decision: Decision
    since: float
