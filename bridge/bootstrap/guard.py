"""Where the bridge may go: the addresses that it calls for tenants, and what a tenant may declare."""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
        beyond = [field for field, host in _called(tenant).items() if not reach.allows_name(host)]
        if beyond:
            raise ConfigError([f"tenant {tenant.slug}: {field} {BEYOND}" for field in beyond])

    return sandboxes_alone if settings.is_demo else within_reach


def beyond_reach(settings: Settings, tenants: Iterable[Tenant]) -> Iterator[str]:
    """Yield a sentence for each host that leads, at this moment, to where the bridge will not call."""
    reach = reach_of(settings)
    ours = {"BRIDGE_NOTIFY_URL": _host(settings.notify_url)} if settings.notify_url else {}
    named = {f"tenant {each.slug}: {field}": host for each in tenants for field, host in _called(each).items()}
    yield from (
        f"{name} is not called: it {BEYOND}" for name, host in (ours | named).items() if not reach.allows_now(host)
    )


def _called(tenant: Tenant) -> Mapping[str, str]:
    return {"host": _host(tenant.host)} | ({"notify.url": _host(tenant.notify.url)} if tenant.notify else {})


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


BEYOND = "must be a public address, or in a network that BRIDGE_PRIVATE_NETWORKS names (loopback: for a bridge there)"
