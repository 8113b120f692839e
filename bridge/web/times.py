"""Times as people and programs read them."""

from bridge.texts import iso

__all__ = ["iso"]
