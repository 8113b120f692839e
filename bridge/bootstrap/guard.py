"""Where the bridge may go: the addresses that it calls for tenants, and what a tenant may declare."""

from collections.abc import Callable
from urllib.parse import urlsplit

from bridge.adapters.reach import LOOPBACK, Reach
from bridge.adapters.sandbox_people import is_sandbox
from bridge.errors import ConfigError
from bridge.model import Tenant
from bridge.settings import Settings
from bridge.texts import is_loopback


def reach_of(settings: Settings) -> Reach:
    """Return what may be called for a tenant; a bridge that serves this machine alone may call it, too."""
    return Reach((*settings.private_networks, *(LOOPBACK if settings.is_on_loopback else ())))


def tenant_guard(settings: Settings) -> Callable[[Tenant], None]:
    """Return what checks each changed tenant: the demo lets anyone be anyone, so it may touch sandboxes alone."""
    reach = reach_of(settings)

    def sandboxes_alone(tenant: Tenant) -> None:
        if not is_loopback(urlsplit(tenant.host).hostname) or not is_sandbox(tenant.host):
            raise ConfigError([f"tenant {tenant.slug}: with BRIDGE_IDENTITY=demo the host must be a loopback sandbox"])

    def within_reach(tenant: Tenant) -> None:
        called = {"host": tenant.host} | ({"notify.url": tenant.notify.url} if tenant.notify else {})
        beyond = [field for field, url in called.items() if not reach.allows_name(urlsplit(url).hostname or "")]
        if beyond:
            raise ConfigError([f"tenant {tenant.slug}: {field} {BEYOND}" for field in beyond])

    return sandboxes_alone if settings.is_demo else within_reach


BEYOND = "must be a public address, or in a network that BRIDGE_PRIVATE_NETWORKS names (loopback: for a bridge there)"
