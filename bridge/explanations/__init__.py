"""What each error code means, what usually causes it, and what to change where. Frozen, no I/O."""

from collections.abc import Mapping

from bridge.explanations.own import BRIDGE
from bridge.explanations.pages import PAGES
from bridge.explanations.tenants import TENANT
from bridge.explanations.words import Cause, Explanation, Place

__all__ = ["EXPLANATIONS", "OF_PAGES", "Cause", "Explanation", "Place", "explain"]

OF_PAGES = frozenset(PAGES)
"""What a page or its reader meets while tenant and bridge are well."""

EXPLANATIONS: Mapping[str, Explanation] = {**TENANT, **PAGES, **BRIDGE}


def explain(code: str) -> Explanation | None:
    """Return what is known of a code; None for one that this version does not know."""
    return EXPLANATIONS.get(code)
