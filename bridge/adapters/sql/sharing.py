"""What many rows say alike is kept in memory once: people of one department have one set of groups."""

import threading
from collections.abc import Iterable
from sys import intern

from cachetools import LRUCache

from bridge.model import Subject

MOST = 200
"""So many different sets of groups, and people, are remembered for those who come next."""

_known: LRUCache[frozenset[str], frozenset[str]] = LRUCache(MOST)
_lately: LRUCache[Subject, Subject] = LRUCache(MOST)
_guard = threading.Lock()


def one_set(names: Iterable[str]) -> frozenset[str]:
    """Return a set of these names; the one that was returned for them before, if that was lately."""
    groups = frozenset(names)
    with _guard:
        return _known.setdefault(groups, groups)


def one_subject(sub: str, name: str, email: str, groups: Iterable[str]) -> Subject:
    """Return somebody; a session and the record of a tenant that say the same are read one after the other."""
    subject = Subject(sub, name, email, one_set(groups))
    with _guard:
        return _lately.setdefault(subject, subject)


def one_text(text: str) -> str:
    """Return the text that was returned for an equal one; for those of which there are few, such as scopes."""
    return intern(text)
