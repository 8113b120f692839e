"""A pretend QIX engine: apps in memory, JSON-RPC in, JSON-RPC out. Knows no sockets and no tenant."""

from bridge.sandbox.engine.app import App
from bridge.sandbox.engine.session import Link, Session

__all__ = ["App", "Link", "Session"]
