"""Times as people and programs read them."""

from datetime import UTC, datetime


def iso(unix_s: float) -> str:
    """Return ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(int(unix_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
