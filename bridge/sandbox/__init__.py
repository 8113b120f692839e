"""A pretend Qlik Cloud tenant. Imports nothing else of the product, so it cannot flatter it."""

from bridge.sandbox.server import run

__all__ = ["run"]
