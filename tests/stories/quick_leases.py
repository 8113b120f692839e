"""The WSGI door with leases that end soon: whoever waits for a dead worker would keep the suite waiting, too."""

from bridge.services import leases

leases.LEASE_S = 5.0
leases.CALL_S = 3.0

from app import app  # noqa: E402 - the lease comes before it

__all__ = ["app"]
